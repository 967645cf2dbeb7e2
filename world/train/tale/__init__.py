"""The storybook world `tale`: its scenes, how they are drawn, and the sentences that tell of them."""
