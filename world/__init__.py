"""The model's room: what a world is, how its next block is made, and nothing of windows, sockets, threads or clocks."""
