"""A stream of a diffusion world: its session, its caches, and how state follows from latents."""
