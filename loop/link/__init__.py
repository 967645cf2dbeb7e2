"""What crosses between the window's process and the model's process."""
