"""Tests of recordings, receipts, what is shown."""
