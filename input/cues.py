"""Cues: prompts prepared for a show, one a line of a plain text file.

    rain | blue rain on glass | transition=8 quantise=bar
    drop | red tunnel | cut bar=33
    both | green grid:0.7 | blue rain:0.3
    near |  | turn=zoom:0.4 quantise=beat
    # a comment

The first field is the cue's name, the last one its options if it is empty, or holds a `=` or the word `cut`; what lies
between is the prompt, which may itself be a mix. A cue that turns a dial has no prompt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from world.event import Dial, Event, Prompt, Scene

Quantise = Literal["off", "beat", "bar", "4bars"]
QUANTISE: tuple[Quantise, ...] = get_args(Quantise)
BEATS_PER_BAR = 4
QUANTUM_BEATS = {"beat": 1, "bar": BEATS_PER_BAR, "4bars": 4 * BEATS_PER_BAR}
MOST_BLOCKS, MOST_BAR = 64, 100_000
MOST_BYTES = 1_000_000  # of a file: thousands of cues; more is a wrong file
_FORM = (
    "'name | prompt | transition=8 quantise=bar cut bar=33', of which the options may be left out, "
    "or 'name | | turn=DIAL:VALUE quantise=bar'"
)


class CueError(ValueError):
    """A set list cannot be read. The message is one line for the user and names the file and the line."""


@dataclass(frozen=True)
class Cue:
    """A prompt with a name, or a dial's value.

    transition: blocks over which its words come in; None: as set for the show. quantise: what it waits for; None: as
    set for the show. is_cut: a hard cut. bar: the bar, counted from 1, with which it plays by itself; None: by hand.
    turn: a dial and its value, in place of a prompt.
    """

    name: str
    prompt: str
    transition: int | None = None
    quantise: Quantise | None = None
    is_cut: bool = False
    bar: int | None = None
    turn: tuple[str, float] | None = None

    @property
    def event(self) -> Event:
        if self.turn:
            return Dial(*self.turn)
        return Scene(self.prompt) if self.is_cut else Prompt(self.prompt)


def read_cues(path: Path) -> tuple[Cue, ...]:
    """The cues of the file `path`, in its order; raises CueError."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise CueError(f"set list {path} cannot be read: {error.strerror}; expected lines such as {_FORM}") from None
    except UnicodeDecodeError:
        raise CueError(f"set list {path} is not UTF-8 text; expected lines such as {_FORM}") from None
    if len(content) > MOST_BYTES:
        raise CueError(f"set list {path} is larger than {MOST_BYTES:,} bytes: is it a set list?")
    cues = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                cues.append(parse_cue(line))
            except ValueError as error:
                raise CueError(f"{path}, line {number}: {error}") from None
    if not cues:
        raise CueError(f"set list {path} holds no cue; expected lines such as {_FORM}")
    return tuple(cues)


def parse_cue(line: str) -> Cue:
    """The cue of one line; raises ValueError with what was given and what was expected."""
    name, bar, rest = line.partition("|")
    fields = [field.strip() for field in rest.split("|")]
    options = fields.pop() if len(fields) > 1 and _are_options(fields[-1]) else ""
    if not bar or not name.strip():
        raise ValueError(f"{_short(line)} has no name and prompt with a | between: expected {_FORM}")
    words = " | ".join(fields)
    cue = Cue(name.strip(), words)
    for option in options.split():
        cue = _with_option(cue, option)
    if cue.turn and (words or cue.is_cut or cue.transition):
        raise ValueError(f"{_short(line)} turns a dial: expected no prompt, cut or transition beside it")
    return cue if cue.turn else replace(cue, prompt=Prompt(words).text)


def _are_options(field: str) -> bool:
    return not field or "=" in field or "cut" in field.split()


def _with_option(cue: Cue, option: str) -> Cue:
    fields = dict(vars(cue))
    name, has_value, value = option.partition("=")
    if option == "cut":
        fields["is_cut"] = True
    elif name == "quantise" and value in QUANTISE:
        fields["quantise"] = value
    elif name == "quantise":
        raise ValueError(f"quantise is {value!r}: expected one of {', '.join(QUANTISE)}")
    elif name == "turn":
        fields["turn"] = _turn(value)
    elif name in ("transition", "bar") and has_value:
        fields[name] = _whole(name, value, MOST_BLOCKS if name == "transition" else MOST_BAR)
    else:
        known = "transition=N, quantise=..., bar=N, cut or turn=DIAL:VALUE"
        raise ValueError(f"{_short(option)} is no option of a cue: expected {known}")
    return Cue(**fields)


def _turn(value: str) -> tuple[str, float]:
    dial, _, number = value.partition(":")
    try:
        turned = float(number)
    except ValueError:
        turned = math.nan
    if not dial or not math.isfinite(turned):
        raise ValueError(f"turn is {_short(value)}: expected a dial and its value, such as zoom:0.4")
    return dial, turned


def _whole(name: str, value: str, most: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 9 and 1 <= int(value) <= most):
        raise ValueError(f"{name} is {_short(value)}: expected a whole number from 1 to {most}")
    return int(value)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
