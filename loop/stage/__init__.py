"""What a performer plays with: cues, launches on the beat, instruments."""
