"""Saved sessions made again, drawn and listed."""
