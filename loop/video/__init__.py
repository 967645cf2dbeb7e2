"""Pictures as H.264 and back, off the tick."""
