"""The garbage collector's long pauses, kept out of a show."""

from __future__ import annotations

import gc


def freeze() -> None:
    """Exclude all objects that exist now (modules, the window, the model) from later collections.

    A full collection walks some 170,000 objects and stops its process for 75 to 120 ms, about once in 50 s of a show,
    which makes a frame or a block late. The few objects that a show itself makes are collected as usual.
    """
    gc.collect()
    gc.freeze()
