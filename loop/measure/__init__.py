"""Benchmarks, and the figures that are read out of traces."""
