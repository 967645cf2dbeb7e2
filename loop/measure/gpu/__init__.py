"""`neverblink bench gpu`: what the engine does on this device, at the true sizes and with random weights."""
