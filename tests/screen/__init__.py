"""Tests of windows and what is drawn in them."""
