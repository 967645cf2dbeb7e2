"""A GPU that is pretended, for tests of what streams, events, graphs and copies do."""
