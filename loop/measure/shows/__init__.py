"""Benchmarks that play real shows as processes of their own."""
