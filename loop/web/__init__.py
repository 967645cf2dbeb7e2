"""The page for phones, as the window's process sees it."""
