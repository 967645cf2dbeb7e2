"""When things are due and what they cost. Time is an argument everywhere."""
