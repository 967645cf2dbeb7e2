"""The table of all keys, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from world.info import DialRange

_LINE_HELP = (
    ("Enter or /", "write what comes next"),
    ("Enter", "go on under these words"),
    ("Shift+Enter", "hard cut to a new scene"),
    ("Up  Down", "earlier lines, while writing"),
    ("Ctrl+Enter", "keep the line for later: Page Down fires it"),
    ("Esc", "close the line; take back what waits"),
)
_HELP = (
    ("Space  B", "freeze, blackout, and back"),
    ("Backspace  R", "step back in time; another turn"),
    ("F5 to F8", "go back to a bookmark; with Shift set it"),
    ("Ctrl+F5 to F8", "let a bookmark come back into the picture"),
    ("T  Shift+T  ;  '", "tap the beat; the one; nudge it"),
    ("Q  F4", "words wait for a beat; take more blocks"),
    ("F2  F3", "ways to switch; picture whole, cut, stretched"),
    ("V", "a guest: follow by latents, by video, as it can"),
    ("F12", "learn: a key, then a control"),
    ("F9  F11", "record, full screen"),
    ("F10", "pin the corners of the picture"),
    ("F1  H", "statistics, these keys"),
    ("Ctrl+Q", "quit"),
)
_CUE_HELP = (
    ("1 to 9", "fire a cue; with Shift: make it the next"),
    ("Page Down  Page Up", "next cue, the one before"),
)
_AUDIENCE_HELP = ("Y  X", "let in the audience's oldest words; refuse them")
_COMPLETION_HELP = ("Tab  Shift+Tab", "list the words; complete one, try others")
_DIAL_HELP = (
    (("pan_x", "pan_y"), ("Arrows or WASD", "pan, while held")),
    (("zoom",), ("[  ]", "zoom")),
    (("energy",), ("-  =", "energy")),
)
_INSTEAD_OF_ZOOM = ("[  ]", "magnify: no zoom here")
_DISPLAY_HELP = (
    (",  .", "darker, brighter"),
    ("N  Shift+N", "turn the hues"),
    ("Z  Shift+Z", "magnify, and back"),
    ("M", "mirror: whole, halves, none"),
    ("P", "poster: few tones, fewer, all"),
    ("G", "strobe guard"),
    ("0", "all dials as they were, but the guard"),
)


def help_rows(
    dials: Mapping[str, DialRange],
    vocabulary: Sequence[str] = (),
    has_cues: bool = False,
    has_audience: bool = False,
) -> tuple[tuple[str, str], ...]:
    """(key, what it does) of every key, for a world that has `dials` and completes the words of `vocabulary`."""
    of_world = tuple(row for names, row in _DIAL_HELP if any(name in dials for name in names))
    of_world += () if "zoom" in dials else (_INSTEAD_OF_ZOOM,)
    of_line = (_COMPLETION_HELP,) if vocabulary else ()
    of_cues = _CUE_HELP if has_cues else ()
    of_audience = (_AUDIENCE_HELP,) if has_audience else ()
    return _LINE_HELP[:4] + of_line + _LINE_HELP[4:] + of_audience + of_cues + of_world + _DISPLAY_HELP + _HELP
