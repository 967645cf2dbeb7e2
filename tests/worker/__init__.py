"""Tests of the model's process."""
