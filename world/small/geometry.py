"""The sizes of the bundled world's pictures and latents. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from world.info import WorldError


@dataclass(frozen=True)
class Geometry:
    """Sizes of the bundled world's latents. One latent frame stands for a block of pixel frames.

    frames: pixel frames in that block. cell: side in pixels of the square that one latent vector stands for.
    channels: of a latent vector. rows, columns: of cells in a picture.
    """

    frames: int = 6
    cell: int = 16
    channels: int = 32
    rows: int = 8
    columns: int = 14

    @property
    def numbers(self) -> int:
        """Pixel values in one cell over one block: frames * 3 * cell * cell."""
        return self.frames * 3 * self.cell**2

    @property
    def picture(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.columns * self.cell, self.rows * self.cell


def check_picture(picture: tuple[int, int] | None) -> None:
    """Raise WorldError if a picture size is asked for that this world cannot draw; None is what it draws."""
    width, height = Geometry().picture
    if picture not in (None, (width, height)):
        asked = "x".join(map(str, picture))
        raise WorldError(f"picture {asked}: this world draws {width}x{height} only")
