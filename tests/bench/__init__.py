"""Tests of benchmarks and latency."""
