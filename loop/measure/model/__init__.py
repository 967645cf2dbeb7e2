"""The benchmark of a world's model alone."""
