"""A session on the disk: every block that was made and all that was asked for, written as it happens."""
