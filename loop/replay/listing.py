"""`neverblink sessions`: the saved sessions, and what is in one of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from loop.archive.append_file import is_in_use
from loop.archive.reading import read_session
from loop.archive.record import BlockRecord, SessionError
from loop.archive.saved import SavedSession
from loop.archive.segment import segment_numbers
from loop.archive.state_folder import session_bytes, session_folders
from loop.archive.writer import LOG
from world.event import said_of, words_of

log = logging.getLogger(__name__)


def print_sessions(folder: Path) -> int:
    """Print what is in a session, or one line on each session in a folder of them; the exit status."""
    if (folder / LOG).is_file() or (folder.is_dir() and segment_numbers(folder)):
        for line in describe_session(read_session(folder)):
            print(line)
        return 0
    folders = session_folders(folder)
    if not folders:
        print(f"no sessions in {folder}")
    for one in folders:
        try:
            print(f"{one.name:<24} {summary(read_session(one))}")
        except SessionError as error:
            print(f"{one.name:<24} {error}")
    return 0


def summary(saved: SavedSession) -> str:
    """One line on a session: length, world, size, how many prompts, what is wrong with it."""
    count = len(list(prompts_of(saved)))
    told = f"{clock_text(length_s(saved)):>6}  {saved.header.world.name}, seed {saved.header.seed}, {count} prompts"
    told += f", {session_bytes(saved.folder) / 1e6:.1f} MB"
    told += ", being played" if is_in_use(saved.folder / LOG) else ""
    return told + (f", damaged ({len(saved.damage)})" if saved.damage else "")


def describe_session(saved: SavedSession) -> Iterator[str]:
    """The lines on one session: summary, prompts with times and blocks, branches, damage."""
    yield f"{saved.folder}: {summary(saved).strip()}, begun {saved.header.began}"
    for at_s, record, words in prompts_of(saved):
        yield f"  {clock_text(at_s):>6}  block {record.index:<6} {words}"
    for tip in branches(saved):
        line = saved.line(tip)
        fork = max((record.index for record in line if record in saved.line()), default=-1)
        yield f"  branch to block {tip}: {len([r for r in line if r.index > fork])} blocks that go on from block {fork}"
    for name, block in saved.bookmarks.items():
        yield f"  bookmark {name}: block {block}"
    for damage in saved.damage:
        yield f"  damaged: {damage}"


def prompts_of(saved: SavedSession, tip: int | None = None) -> Iterator[tuple[float, BlockRecord, str]]:
    """The words of the session's line, each with its time in the film (seconds), and the first block under them."""
    words, line = None, saved.line(tip)
    for at_s, record in zip(_begins_s(saved, line), line, strict=False):
        told = [said_of(event) for event in record.events if words_of(event) == record.conditions.words]
        if record.conditions.words != words or told:
            is_first = words is None and record.parent < 0
            words = record.conditions.words
            yield at_s, record, (told[-1] if told else saved.header.prompt if is_first else None) or str(words)


def branches(saved: SavedSession) -> list[int]:
    """The newest blocks of every branch but the session's line that was rewound; blocks that nobody saw are none."""
    line = {record.index for record in saved.line()}
    tips = [index for index in dict.fromkeys(saved.left) if index in saved.blocks and index not in line]
    passed = {record.index for tip in tips for record in saved.line(tip)[:-1]}
    return [tip for tip in tips if tip not in passed]


def length_s(saved: SavedSession) -> float:
    """The length of the session's film in seconds."""
    return _begins_s(saved, saved.line())[-1]


def _begins_s(saved: SavedSession, line: Sequence[BlockRecord]) -> list[float]:
    """When each block of a line begins in the film, in seconds, and when the last one ends."""
    shown = zip(saved.latents_shown(line), line, strict=True)
    blocks = accumulate((latents / record.shape[1] for latents, record in shown), initial=0.0)
    return [count * saved.header.block_frames / saved.header.fps for count in blocks]


def clock_text(seconds: float) -> str:
    """Minutes and seconds, for people."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
