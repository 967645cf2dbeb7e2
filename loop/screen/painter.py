"""Drawing the marks of an overlay, and measuring text as it will be drawn."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import pygame

from loop.screen.fonts import FontFallback
from loop.screen.marks import Bar, Caret, Color, Label, Mark, Panel


class Painter:
    """Draws marks and measures text; keeps what it has drawn, so that an unchanged mark costs one blit.

    Owned by the window. Made after `pygame.font.init()`.
    """

    def __init__(self) -> None:
        self.measure = lru_cache(4096)(self._measure)
        self._text = lru_cache(128)(self._draw_text)
        self._panel = lru_cache(16)(rounded_panel)
        self._font = lru_cache(64)(pygame.font.Font)
        self._fonts = FontFallback(pygame.font.get_default_font(), pygame.font.match_font, self._has_glyph)

    def draw(self, target: pygame.Surface, mark: Mark) -> None:
        """Draw one mark on `target`."""
        if isinstance(mark, Label):
            drawn, baseline = self._text(mark.text, mark.size, mark.color)
            # the capitals of the bundled font are 0.73 of its size high: this centres them in the label's height
            target.blit(drawn, (mark.x, mark.y + round(mark.size * 0.865) - baseline))
        elif isinstance(mark, Panel):
            target.blit(self._panel(mark.w, mark.h, mark.alpha, mark.radius), (mark.x, mark.y))
        elif isinstance(mark, Bar) or (isinstance(mark, Caret) and mark.lit):
            target.fill(mark.color, (mark.x, mark.y, mark.w, mark.h))

    def _measure(self, text: str, size: int) -> int:
        """The width in pixels of `text` when drawn `size` pixels high."""
        return sum(
            round(self._font(font, 2 * size).size(piece)[0] * self._reduction(font, size))
            for font, piece in self._fonts.split(text)
        )

    def _draw_text(self, text: str, size: int, color: Color) -> tuple[pygame.Surface, int]:
        """(`text` drawn on a transparent surface, the distance from its top to its baseline in pixels)."""
        pieces = [
            self._draw_piece(font, piece, size, color)
            for font, piece in self._fonts.split(text)
            if self._font(font, size).size(piece)[0]  # a joiner by itself has no width and cannot be drawn
        ]
        baseline = max((ascent for _, ascent in pieces), default=0)
        height = max((baseline - ascent + piece.get_height() for piece, ascent in pieces), default=0)
        whole = pygame.Surface((sum(piece.get_width() for piece, _ in pieces), height), pygame.SRCALPHA)
        x = 0
        for piece, ascent in pieces:
            whole.blit(piece, (x, baseline - ascent), special_flags=pygame.BLEND_RGBA_MAX)
            x += piece.get_width()
        return whole, baseline

    def _draw_piece(self, font: str, text: str, size: int, color: Color) -> tuple[pygame.Surface, int]:
        """(`text` drawn with one font file, the distance from its top to its baseline in pixels)."""
        large, reduction = self._font(font, 2 * size), self._reduction(font, size)
        drawn = large.render(text, True, color)
        drawn = pygame.transform.smoothscale(drawn, [round(n * reduction) for n in drawn.get_size()])
        return drawn, round(large.get_ascent() * reduction)

    def _reduction(self, font: str, size: int) -> float:
        """The factor by which text is scaled down after it was drawn at twice its size.

        Drawn so, letters are spaced better. Emoji fonts have one fixed size, which may need another factor.
        """
        height = self._font(font, 2 * size).get_height()
        return 0.5 if height < 4 * size else 1.2 * size / height

    def _has_glyph(self, font: str, char: str) -> bool:
        """Whether the font file `font` has `char`: one that it lacks measures like U+FFFF, which no font may have."""
        loaded = self._font(font, 32)
        return loaded.metrics(char) != loaded.metrics("\uffff")


def rounded_panel(w: int, h: int, alpha: float, radius: int) -> pygame.Surface:
    """A dark background of `w` x `h` pixels with round corners; alpha is 0 (clear) to 1 (solid).

    The corners are cut from a disc drawn at twice the size, because those that pygame draws are jagged.
    """
    color = (10, 10, 14, round(255 * alpha))
    panel = pygame.Surface((w, h), pygame.SRCALPHA)
    panel.fill(color)
    disc = pygame.Surface((4 * radius, 4 * radius), pygame.SRCALPHA)
    pygame.draw.circle(disc, color, (2 * radius, 2 * radius), 2 * radius)
    disc = pygame.transform.smoothscale(disc, (2 * radius, 2 * radius))
    for x, y in product((0, radius), repeat=2):
        corner = (w - radius if x else 0, h - radius if y else 0)
        panel.blit(disc, corner, (x, y, radius, radius), special_flags=pygame.BLEND_RGBA_MIN)
    return panel
