"""Font fallback: which font draws which piece of a text. It draws nothing itself and knows no drawing library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby, pairwise

from input.characters import boundaries, clean_typing

# tried in this order: fonts that cover many scripts, then the large scripts, then emoji and symbols; a font that the
# system does not have is skipped
_SYSTEM_FONTS = (
    "dejavusans notosans segoeui arialunicodems notosanscjksc notosanscjkjp notosanscjkkr microsoftyahei yugothic "
    "malgungothic hiraginosans applesdgothicneo droidsansfallback wenquanyizenhei notosansarabic notosanshebrew "
    "notosansdevanagari notocoloremoji notoemoji segoeuiemoji applecoloremoji segoeuisymbol notosanssymbols2 symbola"
)
_NEVER_DRAWN = "\u200c\u200d\ufe0e\ufe0f"  # joiners and variation selectors need no glyph


class FontFallback:
    """Chooses a font file for each character: the bundled font, or the first system font that has the character.

    find(name) gives the file of a system font, or None if it is not installed. has_glyph(font, char) says whether the
    font file `font` can draw `char`. System fonts are looked up only for characters that the bundled font lacks.
    """

    def __init__(self, bundled: str, find: Callable[[str], str | None], has_glyph: Callable[[str, str], bool]) -> None:
        self._bundled = bundled
        self._find = find
        self._has_glyph = has_glyph
        self._font_of = lru_cache(4096)(self._choose)

    def split(self, text: str) -> list[tuple[str, str]]:
        """`text` without control characters, cut into (font file, piece) in reading order.

        A user-perceived character (an emoji family, say) is never cut in two.
        """
        shown = clean_typing(text)
        characters = (shown[start:end] for start, end in pairwise(boundaries(shown)))
        return [(font, "".join(piece)) for font, piece in groupby(characters, self._font_of)]

    def _choose(self, character: str) -> str:
        """The first font that has all code points of `character`, else one that has the first, else the bundled."""
        drawn = [char for char in character if char not in _NEVER_DRAWN]
        complete = (font for font in self._fonts() if all(self._has_glyph(font, char) for char in drawn))
        partial = (font for font in self._fonts() if self._has_glyph(font, character[0]))
        return next(complete, None) or next(partial, None) or self._bundled

    def _fonts(self) -> Iterator[str]:
        yield self._bundled
        yield from filter(None, map(self._find, _SYSTEM_FONTS.split()))
