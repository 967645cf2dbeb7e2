"""`bench methods`: rules of the literature for steps and memory, side by side in one table."""
