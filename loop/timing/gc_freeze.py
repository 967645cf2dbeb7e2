"""The garbage collector's long pauses, kept out of a show."""

from __future__ import annotations

import gc


def freeze() -> None:
    """Never look again at what lives now: imports, the window, the model's modules.

    A full collection walks some 170,000 objects and stops its process for 75 to 120 ms, about once in 50 s of a show: a
    frame too late, or a block. What a show itself makes is little and is collected as ever.
    """
    gc.collect()
    gc.freeze()
