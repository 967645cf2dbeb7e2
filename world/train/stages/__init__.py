"""The training stages of the small world: base, teacher, streaming long tuning, pace, and the picture decoder."""
