"""The model's process as the window's process sees it."""
