"""Sessions for tests: a test card that is played and saved without a show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loop.archive.opening import open_log
from loop.archive.record import SessionHeader
from loop.archive.writer import SessionWriter
from loop.link.message import BlockMade
from world.event import Event, Prompt
from world.options import ProbeOptions, WorldOptions
from world.probe import ProbeWorld

WORDS = "the first words"


def probe_world() -> ProbeWorld:
    return ProbeWorld(ProbeOptions(), None, lambda seconds: None)


def header_for(world: Any, options: WorldOptions | None = None, seed: int = 3) -> SessionHeader:
    info = world.info
    sizes = (info.fps, info.block_frames, info.picture, info.memory_blocks)
    return SessionHeader(options or WorldOptions(info.name), seed, WORDS, *sizes, began="2026-01-02T03:04:05")


def new_writer(folder: Path, **options: Any) -> SessionWriter:
    return SessionWriter(open_log(folder), lambda: 1000.0, **options)


def save(
    folder: Path, events: Sequence[Sequence[Event]], world: Any = None, options: WorldOptions | None = None
) -> list[BlockMade]:
    """A saved session of one block for each of `events`. options: that it says its world was opened with."""
    world = world or probe_world()
    session, writer, made = world.session(3, WORDS), new_writer(folder), []
    writer.begin(header_for(world, options))
    for of_block in events:
        for event in of_block:
            writer.asked(event, "keys")
        made.append(BlockMade(session.step(of_block), session.conditions, 0, 0))
        writer.block(made[-1])
    writer.close()
    assert writer.error is None
    return made


def plain(blocks: int, *prompts: int) -> list[list[Event]]:
    """So many blocks, with a prompt at each of these numbers."""
    return [[Prompt(f"words {number}")] if number in prompts else [] for number in range(blocks)]
