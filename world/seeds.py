"""Seeds computed from numbers, so that no random draw depends on how many were made before it. No torch."""

from __future__ import annotations

MASK = (1 << 64) - 1


def mix(*numbers: int) -> int:
    """A 64-bit seed that depends on every bit of every number and on their order: splitmix64, folded over them."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & MASK)) + 0x9E3779B97F4A7C15 & MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state
