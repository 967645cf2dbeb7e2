"""What may be typed on the command line."""
