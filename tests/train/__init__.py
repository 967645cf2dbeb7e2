"""Tests of the training of compact worlds."""
