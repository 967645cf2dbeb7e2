"""Tests of checkpoints of Wan and its families."""
