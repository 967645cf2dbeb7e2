"""What a mistake in the command line raises."""

from __future__ import annotations


class UsageError(ValueError):
    """The user asked for something impossible. The message is one line for the user; the exit status is 2."""
