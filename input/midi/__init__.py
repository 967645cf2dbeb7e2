"""MIDI: what is heard on its ports, and the lamps of controllers."""
