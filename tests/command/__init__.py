"""Tests of the command line, the rooms, the documents."""
