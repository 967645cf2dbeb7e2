"""Trials of real processes, run by hand."""
