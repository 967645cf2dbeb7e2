"""Which family of checkpoints a folder holds: known files, the folder's own description, and what follows. No torch."""
