"""Tests of pacing, costs, leaps."""
