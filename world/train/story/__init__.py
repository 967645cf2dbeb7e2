"""Training of `tale`, the storybook: a library of rendered clips, base, tuning, decoder and marks, within minutes."""
