"""Seeds made of numbers, so that nothing random depends on what was drawn before. No torch."""

from __future__ import annotations

MASK = (1 << 64) - 1


def mix(*numbers: int) -> int:
    """64 bits in which every bit of every number counts: splitmix64 over each in turn."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & MASK)) + 0x9E3779B97F4A7C15 & MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state
