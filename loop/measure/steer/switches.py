"""The switches of `bench steer`: from a file, one line each, or those that suit a world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from loop.cli.usage import UsageError
from world.event import clean_text
from world.info import WorldInfo
from world.train.marks.exam import STORY
from world.train.tale.words import THESAURUS

_FORM = "expected `words before | words after`"
_ANY_WORDS = (  # for worlds that know any word
    ("a sailing boat on a calm sea at sunset", "a sailing boat in a storm at night"),
    ("a quiet street in an old town by day", "the same street at night in heavy rain"),
    ("a red fox walks through a green forest", "a red fox walks through a forest in the snow"),
    ("a steam train crosses a desert", "a steam train crosses a bridge over a river"),
)


@dataclass(frozen=True)
class PromptSwitch:
    """The words that a stream begins with, and those that it is switched to."""

    before: str
    after: str


def read_switches(path: Path) -> list[PromptSwitch]:
    """The switches in a file, one line `before | after` each; raises UsageError with the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(
            f"--prompts {path} is no UTF-8 text: expected lines like `words before | words after`"
        ) from None
    switches = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = line.split("|")
        if len(parts) != 2:
            raise UsageError(f"{path}, line {number}: got {line.strip()[:60]!r}, {_FORM}")
        try:
            switches.append(PromptSwitch(*(clean_text(part) for part in parts)))
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}") from None
    if not switches:
        raise UsageError(f"--prompts {path} holds no line: {_FORM}")
    return switches


def default_switches(info: WorldInfo) -> list[PromptSwitch]:
    """Switches in words that the world knows: the storybook's, which name one thing each, or from place to place."""
    return [PromptSwitch(*pair) for pair in STORY] if tells_stories(info) else switches_of_place(info)


def switches_of_place(info: WorldInfo) -> list[PromptSwitch]:
    """Switches from one of the world's examples to the next; of a world that knows any words, in such words."""
    pairs: Sequence[tuple[str, str]] = _ANY_WORDS
    if info.vocabulary:
        pairs = list(pairwise((info.showpiece, *info.examples, info.showpiece)))
    return [PromptSwitch(*pair) for pair in pairs]


def tells_stories(info: WorldInfo) -> bool:
    """Whether the world knows the storybook's words."""
    return set(THESAURUS) <= set(info.vocabulary)
