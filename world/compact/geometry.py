"""The sizes of a compact world's pictures and latents. No torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

MOST = 4096  # of any size: what is larger is no compact world, and must not fill the memory before it is refused


@dataclass(frozen=True)
class Geometry:
    """Sizes of a compact world's latents; the defaults are those of `small`.

    One latent frame stands for a block of pixel frames.

    frames: pixel frames in that block. cell: side in pixels of the square that one latent vector stands for.
    channels: of a latent vector. rows, columns: of cells in a picture. enlarge: how many times larger than its cells
    the decoder draws a picture. patch_rows, patch_columns: of latents in a token.
    """

    frames: int = 6
    cell: int = 16
    channels: int = 32
    rows: int = 8
    columns: int = 14
    enlarge: int = 1
    patch_rows: int = 4
    patch_columns: int = 2

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if type(size) is not int or not 1 <= size <= MOST:
                raise ValueError(f"{field.name} {size!r}: expected a whole number from 1 to {MOST}")
        if self.cell % 4 or (self.enlarge > 1 and self.cell * self.enlarge % 8):
            raise ValueError(f"cells of {self.cell} pixels, enlarged {self.enlarge} times: expected a multiple of four")

    @property
    def numbers(self) -> int:
        """Pixel values in one cell over one block: frames * 3 * cell * cell."""
        return self.frames * 3 * self.cell**2

    @property
    def picture(self) -> tuple[int, int]:
        """Width and height in pixels of what the decoder draws."""
        return self.columns * self.cell * self.enlarge, self.rows * self.cell * self.enlarge

    @property
    def patch(self) -> tuple[int, int]:
        """Rows and columns of latents in a token."""
        return self.patch_rows, self.patch_columns

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens in a latent frame."""
        return self.rows // self.patch_rows, self.columns // self.patch_columns
