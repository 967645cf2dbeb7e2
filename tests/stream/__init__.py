"""Tests of a session: switches, memory, the law of state."""
