"""The hands' room: keys, the prompt line and every other source of events."""
