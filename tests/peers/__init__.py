"""Tests of shows on several machines."""
