"""From where in a saved session a show can go on."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from loop.archive.reading import read_session
from loop.archive.record import BlockRecord, SessionError
from loop.archive.saved import SavedSession
from loop.archive.segment import LatentsLostError
from loop.link.message import BlockMade
from world.block import latent_frames
from world.event import Dial, text_of
from world.info import STEPS_DIAL

PAST_BYTES = 256 << 20  # of latents that are read so that a show can go back behind its beginning


def place_of(saved: SavedSession, text: str) -> int:
    """The block that a number or the name of a bookmark stands for; raises SessionError if there is none."""
    if text in saved.bookmarks:
        return saved.bookmarks[text]
    if text.isascii() and text.isdigit() and int(text) in saved.blocks:
        return int(text)
    marks = f", or a bookmark ({', '.join(saved.bookmarks)})" if saved.bookmarks else ""
    there = f"{min(saved.blocks)} to {max(saved.blocks)}" if saved.blocks else "none yet"
    raise SessionError(f"{saved.folder} has no block or bookmark {text[:40]!r}: expected a block ({there}){marks}")


def blocks_to_go_on(saved: SavedSession, tip: int) -> tuple[BlockMade, ...]:
    """The blocks that a model needs to go on from `tip`, oldest first; empty if their latents cannot be read."""
    try:
        made = saved.made(tip, saved.header.memory_blocks)
    except LatentsLostError:
        return ()
    blocks = [one.block for one in made]
    is_enough = latent_frames(blocks) >= saved.header.memory_blocks * blocks[-1].latents.shape[1]
    return made if is_enough or blocks[0].start == 0 else ()


def past_of(saved: SavedSession, tip: int) -> tuple[BlockMade, ...]:
    """The blocks up to `tip` whose latents can be read, oldest first, over hard cuts, as far as there is room."""
    found, left_bytes = list[BlockMade](), PAST_BYTES
    for record in reversed(saved.line(tip)):
        left_bytes -= record.stored_bytes
        if left_bytes < 0:
            break
        with suppress(LatentsLostError):
            found.append(BlockMade(saved.block(record.index), record.conditions, 0, 0))
    return tuple(reversed(found))


def newest_place(saved: SavedSession) -> int:
    """The newest block of the session's line from which a show can go on; -1 if it has no block at all.

    Raises SessionError if none can be gone on from.
    """
    line = saved.line()
    for record in reversed(line):
        if blocks_to_go_on(saved, record.index):
            return record.index
    if saved.blocks:
        raise SessionError(f"{saved.folder}: no block can be gone on from, their latents are lost: {saved.damage[:1]}")
    return -1


def words_at(saved: SavedSession, record: BlockRecord) -> str:
    """The words that were asked for when a block was made: in a transition those at its end."""
    if isinstance(record.conditions.words, str):
        return record.conditions.words
    asked = [asked.event for asked in saved.asked if asked.after < record.index]
    texts = [text for event in asked if (text := text_of(event)) is not None]
    return texts[-1] if texts else str(record.conditions.words)


def dials_at(saved: SavedSession, record: BlockRecord) -> dict[str, float]:
    """The world's dials as a block was made under; the steps as they were asked for, if they were.

    What a brake made of them is no wish of anybody's.
    """
    asked = [asked.event for asked in saved.asked if asked.after < record.index]
    steps = [event.value for event in asked if isinstance(event, Dial) and event.name == STEPS_DIAL]
    others = {name: value for name, value in record.conditions.dials.items() if name != STEPS_DIAL}
    return others | ({STEPS_DIAL: steps[-1]} if steps else {})


def fork(folder: Path, new: Path) -> SavedSession:
    """Copy a session, which stays as it is; the copy. Raises SessionError if it cannot be made."""
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise SessionError(f"{new} is there already: choose a folder that is not")
    try:
        shutil.copytree(folder, new, dirs_exist_ok=True)
        new.chmod(0o700)
    except (OSError, shutil.Error) as error:
        raise SessionError(f"{folder} cannot be copied to {new}: {error}") from None
    return read_session(new)
