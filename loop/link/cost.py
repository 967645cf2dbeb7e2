"""The costs to plan with, as the model's process tells them to the window's. Nanoseconds throughout."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The largest recent costs: a recache, a block up to its first frame, its clean pass, and encoding slow words.

    pass_ns: the longest that the model's process goes without reading its pipe while it makes a block. unseen_ns: a
    margin for costs larger than those measured so far, as long as only a few blocks were measured. knows_recache:
    whether a recache was measured, and not only guessed.
    """

    recache_ns: int
    first_frame_ns: int
    clean_ns: int
    encoding_ns: int = 0
    pass_ns: int = 0
    unseen_ns: int = 0
    knows_recache: bool = True

    @property
    def switch_ns(self) -> int:
        """From the boundary to the first frame under new words."""
        return self.recache_ns + self.first_frame_ns
