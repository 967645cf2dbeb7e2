"""The clipboard of the system."""
