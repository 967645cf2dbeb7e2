"""Which font draws which piece of a text, without knowing how a font is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby, pairwise

from input.textline import boundaries, clean_typing

# in this order: broad ones, then the large scripts, then emoji and signs; what a system lacks is passed over
_SYSTEM_FONTS = (
    "dejavusans notosans segoeui arialunicodems notosanscjksc notosanscjkjp notosanscjkkr microsoftyahei yugothic "
    "malgungothic hiraginosans applesdgothicneo droidsansfallback wenquanyizenhei notosansarabic notosanshebrew "
    "notosansdevanagari notocoloremoji notoemoji segoeuiemoji applecoloremoji segoeuisymbol notosanssymbols2 symbola"
)
_NEVER_DRAWN = "\u200c\u200d\ufe0e\ufe0f"  # joiners and variation selectors need no glyph


class Fonts:
    """The bundled font first, then the system's, which are looked up only when the bundled one lacks a character.

    find(name) gives a system font's file or None; has(face, char) whether that file draws a character.
    """

    def __init__(self, bundled: str, find: Callable[[str], str | None], has: Callable[[str, str], bool]) -> None:
        self._bundled = bundled
        self._find = find
        self._has = has
        self._face = lru_cache(4096)(self._choose)

    def runs(self, text: str) -> list[tuple[str, str]]:
        """`text` without control characters, as (face, piece) in a row; no user-perceived character is cut in two."""
        shown = clean_typing(text)
        stops = boundaries(shown)
        clusters = (shown[a:b] for a, b in pairwise(stops))
        return [(face, "".join(run)) for face, run in groupby(clusters, self._face)]

    def _choose(self, cluster: str) -> str:
        """The first face that has all of `cluster`, else the first that has its first character, else the bundled."""
        drawn = [char for char in cluster if char not in _NEVER_DRAWN]
        whole = (face for face in self._all() if all(self._has(face, char) for char in drawn))
        part = (face for face in self._all() if self._has(face, cluster[0]))
        return next(whole, None) or next(part, None) or self._bundled

    def _all(self) -> Iterator[str]:
        yield self._bundled
        yield from filter(None, map(self._find, _SYSTEM_FONTS.split()))
