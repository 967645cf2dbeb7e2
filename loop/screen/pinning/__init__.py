"""Corner pinning: the picture bent so that it is straight on a wall that the projector does not face."""
