"""Tests of whole shows, simulated and real."""
