"""The lines of a session's log, and the values that they hold.

A line is a JSON object that ends with the CRC-32 of what stands before, so that a damaged one is noticed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from loop.link.message import BlockMade
from world.block import Block, Conditions
from world.event import Event, from_json, to_json
from world.info import WorldError
from world.options import ProbeOptions, WorldOptions
from world.prompt_mix import PromptMix, Words

FORMAT = 1
_SEAL = re.compile(rb', "crc": "([0-9a-f]{8})"\}\n?$')
Fields = dict[str, Any]


class SessionError(WorldError):
    """A saved session cannot be used as asked; the message is one line for the user."""


def seal(fields: Mapping[str, Any]) -> bytes:
    """A line of the log, its checksum and its end included. The fields must be JSON values."""
    body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return b'%b, "crc": "%08x"}\n' % (body[:-1], zlib.crc32(body))


def unseal(line: bytes) -> Fields:
    """The fields of a line; raises ValueError if it is not as it was written."""
    match = _SEAL.search(line)
    if match is None:
        raise ValueError("it does not end with a checksum")
    body = line[: match.start()] + b"}"
    if zlib.crc32(body) != int(match[1], 16):
        raise ValueError("its checksum does not fit")
    fields = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("it is no object")
    return fields


@dataclass(frozen=True)
class SessionHeader:
    """What a session was played with.

    world: how to open it. prompt: the words that it began with. memory_blocks: how many blocks are needed to go on.
    versions: of what made the latents, and on which device. weights: a fingerprint of the world's files. began: the
    local time, for people.
    """

    world: WorldOptions
    seed: int
    prompt: str
    fps: float
    block_frames: int
    picture: tuple[int, int]
    memory_blocks: int
    versions: dict[str, str] = field(default_factory=dict)
    weights: str = ""
    began: str = ""

    def fields(self) -> Fields:
        """The header as a line of the log."""
        return {"kind": "header", "format": FORMAT, **asdict(self)}


def header_of(fields: Fields) -> SessionHeader:
    """The header that `SessionHeader.fields` gave; raises ValueError where it is of another format."""
    if fields.get("format") != FORMAT:
        raise ValueError(f"format {fields.get('format')!r}, expected {FORMAT}")
    rest = {name: value for name, value in fields.items() if name not in ("kind", "format")}
    world = dict(rest.pop("world"))
    probe = dict(world.pop("probe"))
    probe["pace"] = tuple(probe["pace"])
    picture = world.pop("picture")
    if isinstance(world.get("sink_ema"), list):
        world["sink_ema"] = tuple(world["sink_ema"])
    options = WorldOptions(**world, picture=tuple(picture) if picture else None, probe=ProbeOptions(**probe))
    return SessionHeader(options, **{**rest, "picture": tuple(rest["picture"])})


@dataclass(frozen=True)
class AveragesRecord:
    """What the log says of a block's averages: their shape, and the SHA-256 of their bytes, float32."""

    shape: tuple[int, ...]
    digest: str

    @property
    def size_bytes(self) -> int:
        """Of the array."""
        return 4 * math.prod(self.shape)


def averages_record(block: Block) -> AveragesRecord | None:
    """What the log says of a block's averages; None where there are none."""
    if block.averages is None:
        return None
    return AveragesRecord(block.averages.shape, hashlib.sha256(block.averages.tobytes()).hexdigest())


@dataclass(frozen=True)
class BlockRecord:
    """A block of the log; its fields as in world.block.Block.

    conditions: what it was made under. digest: SHA-256 of its latents, whose dtype and shape are given. epoch: as in
    BlockMade. at_s: when it was made, in seconds of the system's clock, for people. averages: of what has left the
    window; their bytes follow those of the latents. None where there are none, as in older sessions.
    """

    index: int
    parent: int
    start: int
    events: tuple[Event, ...]
    cut: int | None
    seen: int | None
    dials: dict[str, float]
    conditions: Conditions
    digest: str
    dtype: str
    shape: tuple[int, ...]
    epoch: int
    at_s: float
    averages: AveragesRecord | None = None

    @property
    def end(self) -> int:
        """The latent frame after it."""
        return self.start + self.shape[1]

    @property
    def size_bytes(self) -> int:
        """Of its latents."""
        return int(np.dtype(self.dtype).itemsize * math.prod(self.shape))

    @property
    def stored_bytes(self) -> int:
        """Of all that stands behind its line in a file of latents."""
        return self.size_bytes + (self.averages.size_bytes if self.averages else 0)

    def block(self, latents: np.ndarray, averages: np.ndarray | None = None) -> Block:
        """The block as it was made; latents, averages: as stored."""
        place = (self.index, self.parent, self.start)
        return Block(*place, latents, self.events, self.cut, self.seen, dict(self.dials), averages)

    def fields(self) -> Fields:
        """The record as a line of the log."""
        own = {name: getattr(self, name) for name in ("index", "parent", "start", "cut", "seen", "dials", "digest")}
        under = {"words": words_to_json(self.conditions.words), "seed": self.conditions.seed}
        under["world_dials"] = self.conditions.dials
        events = [to_json(event) for event in self.events]
        stored = {"dtype": self.dtype, "shape": list(self.shape), "epoch": self.epoch, "at_s": self.at_s}
        if self.averages:
            stored["averages"] = {"shape": list(self.averages.shape), "digest": self.averages.digest}
        return {"kind": "block", **own, "events": events, "under": under, **stored}


def record_of_made(made: BlockMade, at_s: float) -> BlockRecord:
    """The record of a block that was made at `at_s`."""
    block, latents = made.block, made.block.latents
    return BlockRecord(
        index=block.index,
        parent=block.parent,
        start=block.start,
        events=block.events,
        cut=block.cut,
        seen=block.seen,
        dials=dict(block.dials),
        conditions=made.conditions,
        digest=block.digest,
        dtype=latents.dtype.str,
        shape=latents.shape,
        epoch=made.epoch,
        at_s=at_s,
        averages=averages_record(block),
    )


def record_of(fields: Fields) -> BlockRecord:
    """The record that `BlockRecord.fields` gave, whatever else stands in the line; raises ValueError or KeyError."""
    under, averages = fields["under"], fields.get("averages")
    return BlockRecord(
        **{name: fields[name] for name in ("index", "parent", "start", "cut", "seen", "dials", "digest")},
        events=tuple(from_json(event) for event in fields["events"]),
        conditions=Conditions(words_from_json(under["words"]), under["seed"], under["world_dials"]),
        dtype=fields["dtype"],
        shape=tuple(fields["shape"]),
        epoch=fields["epoch"],
        at_s=fields["at_s"],
        averages=AveragesRecord(tuple(averages["shape"]), averages["digest"]) if averages else None,
    )


def words_to_json(words: Words) -> Any:
    """Words as a JSON value: what was typed as text, a mix of a transition as its parts."""
    return words if isinstance(words, str) else {"parts": [list(part) for part in words.parts]}


def words_from_json(value: Any) -> Words:
    """The inverse of `words_to_json`."""
    return value if isinstance(value, str) else PromptMix(tuple((text, share) for text, share in value["parts"]))
