"""What the training stages share: device, checkpoints, time budget, optimisers, losses, and batches of streams."""
