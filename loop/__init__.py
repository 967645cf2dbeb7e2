"""The engine's room: fixed ticks, the model process, the frame ring, pacing, the window and the command line."""
