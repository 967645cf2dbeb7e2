"""Whole shows on made-up time: the engine, the live model and the model's process run for real, in one process.

The clock, the pipe, the process, the ring's memory and the screen are made up. So a show of ten seconds takes some
hundredths of one, goes the same way each time, and the model's process can die or hang between any two of its steps.
"""
