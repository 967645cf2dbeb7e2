"""The picture sizes of a folder of checkpoints. No torch."""

from __future__ import annotations

from world.info import WorldError

PICTURE = (832, 480)  # width and height in pixels, as the checkpoints were trained


def checked_picture(picture: tuple[int, int] | None) -> tuple[int, int]:
    """The size asked for, or without one the usual one; raises WorldError for sides that are no multiples of 16."""
    width, height = picture or PICTURE
    if width % 16 or height % 16 or min(width, height) < 16:
        raise WorldError(f"picture {width}x{height}: this world needs multiples of 16, like 832x480")
    return width, height
