"""The model as the window's process sees it: its process, restarted when it dies."""
