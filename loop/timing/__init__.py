"""When things are due and what they cost. Pure: time is an argument."""
