"""Training of the small world: `python -m world.train`, the same as `neverblink train`."""
