"""Marks of the storybook: sentences, switches and two minutes, by a reader and by pixels; contact sheets."""
