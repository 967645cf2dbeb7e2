"""Tests of keys, cues, instruments, the beat."""
