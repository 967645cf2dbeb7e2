"""Tests of compact worlds, and every world by name."""
