"""What blocks and recaches cost at worst, as one process tells the other. Nanoseconds throughout."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The worst to plan with: a recache, a block up to its first frame, its clean pass, and encoding slow words.

    pass_ns: for so long the model's process does not look at its pipe while it makes a block. unseen_ns: by so much a
    block may still cost more than any of the few so far.
    """

    recache_ns: int
    first_frame_ns: int
    clean_ns: int
    encoding_ns: int = 0
    pass_ns: int = 0
    unseen_ns: int = 0

    @property
    def switch_ns(self) -> int:
        """From the boundary to the first frame under new words."""
        return self.recache_ns + self.first_frame_ns
