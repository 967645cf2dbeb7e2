"""What is heard: the audio input, and what is found in its sound."""
