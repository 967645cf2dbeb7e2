"""Blocks as they travel between machines: latents beside the conditions that they were made under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from loop.link.message import BlockMade
from net.picture import Latents, WorldState
from net.schema import NetError, event_from
from world.block import Block, Conditions, Snapshot
from world.event import event_of, to_json, words_of
from world.prompt_mix import Words


def to_latents(block: Block, conditions: Conditions) -> tuple[Latents, bytes]:
    """A block as a message and its payload."""
    latents = np.ascontiguousarray(block.latents)
    latents = latents.astype(latents.dtype.newbyteorder("<"), copy=False)
    message = Latents(
        index=block.index,
        parent=block.parent,
        start=block.start,
        shape=latents.shape,
        dtype=latents.dtype.name,
        digest=block.digest,
        events=tuple(to_json(event) for event in block.events),
        cut=block.cut,
        seen=block.seen,
        dials=block.dials,
        words=to_json(event_of(conditions.words)),
        seed=conditions.seed,
        averages=() if block.averages is None else block.averages.shape,
    )
    averages = b"" if block.averages is None else block.averages.astype("<f4", copy=False).tobytes()
    return message, latents.tobytes() + averages


def from_latents(message: Latents, payload: bytes, epoch: int) -> BlockMade:
    """The block that a message holds, as made in this epoch.

    Raises NetError unless its digest is the one it names and its averages are numbers.
    """
    stored = payload[: message.latents_bytes]
    array = np.frombuffer(stored, np.dtype(message.dtype).newbyteorder("<")).reshape(message.shape)
    latents = array.astype(np.dtype(message.dtype))
    events = tuple(event_from(event) for event in message.events)
    place = message.index, message.parent, message.start
    averages = _averages(message, payload)
    block = Block(*place, latents, events, message.cut, message.seen, message.dials, averages)
    if block.digest != message.digest:
        raise NetError(f"block {message.index} came with other latents than it names")
    return BlockMade(block, Conditions(_words(message.words), message.seed, message.dials), epoch, 0)


def _averages(message: Latents, payload: bytes) -> np.ndarray | None:
    if not message.averages:
        return None
    averages = np.frombuffer(payload[message.latents_bytes :], "<f4").reshape(message.averages).astype(np.float32)
    if not np.isfinite(averages).all():
        raise NetError(f"block {message.index} came with averages that are not finite")
    return averages


def to_state(snapshot: Snapshot) -> WorldState:
    """A snapshot without its blocks, which follow."""
    words = to_json(event_of(snapshot.words))
    place = snapshot.seed, snapshot.index, snapshot.start
    return WorldState(*place, words, snapshot.dials, len(snapshot.blocks))


def _words(told: Mapping[str, Any]) -> Words:
    words = words_of(event_from(dict(told)))
    assert words is not None, "the message's own check lets words through only"
    return words
