"""What a host tells those who follow its picture, as latents or as video. Checked like all messages (net.message)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from net.schema import (
    Message,
    NetError,
    checked,
    event,
    flag,
    listing,
    numbers_by_name,
    one_of,
    optional,
    ranges_by_name,
    text,
    whole,
)

DTYPES = {"float16": 2, "float32": 4}
MAX_PAYLOAD = 64 * 2**20
MAX_AVERAGES = 64 * 2**10  # those of a larger model are not sent: they are as large as its latents
MAX_VOCABULARY, MAX_SILENT = 12_000, 2_000  # characters

_time = whole(-(2**63), 2**63 - 1)
_count = whole(0, 2**53)
_place = whole(-1, 2**53)
_words = event("prompt", "blend")
_any_event = event("prompt", "blend", "dial", "scene", "rebuild", "recall", "rewind")
_side = whole(1, 16_384)


def _averages(value: Any) -> tuple[int, ...]:
    """The shape of averages that are small enough to travel with their block; empty for none."""
    shape = listing(whole(1, 65_536), 6)(value)
    if shape and 4 * math.prod(shape) > MAX_AVERAGES:
        raise NetError(f"averages of {4 * math.prod(shape):,} bytes: {MAX_AVERAGES:,} are the most")
    return shape


@dataclass(frozen=True)
class WorldDescription(Message):
    """What a guest has to know of a world that it does not open itself. Fields as in world.info.WorldInfo.

    weights: a guest with the same digest makes the same pixels of the same latents. dials: low, high and rest of each.
    vocabulary, silent: words with a space between them; no vocabulary: any word may mean something. most_words: 0 for
    no limit.
    """

    weights: str = checked(text(64))
    width: int = checked(_side)
    height: int = checked(_side)
    dials: dict[str, tuple[float, ...]] = checked(ranges_by_name)
    showpiece: str = checked(text(8_000))
    vocabulary: str = checked(text(MAX_VOCABULARY))
    silent: str = checked(text(MAX_SILENT))
    most_words: int = checked(whole(0, 10_000))


@dataclass(frozen=True)
class WorldState(Message):
    """What the world is at now: conditions, and how many Latents follow that a decoder and a recache may need."""

    seed: int = checked(whole(0, 2**64 - 1))
    index: int = checked(_count)
    start: int = checked(_count)
    words: dict[str, Any] = checked(_words)
    dials: dict[str, float] = checked(numbers_by_name)
    blocks: int = checked(whole(0, 4096))


@dataclass(frozen=True)
class Latents(Message):
    """One block; its latents are the payload, C order, little endian. Fields as in world.block.Block.

    words, seed, dials: what it was made under. digest: SHA-256 of the latents, in hex. averages: the shape of those
    after it, float32, whose bytes follow the latents; empty where it has none.
    """

    index: int = checked(_count)
    parent: int = checked(_place)
    start: int = checked(_count)
    shape: tuple[int, ...] = checked(listing(whole(1, 65_536), 5))
    dtype: str = checked(one_of(*DTYPES))
    digest: str = checked(text(64))
    events: tuple[dict[str, Any], ...] = checked(listing(_any_event, 256))
    cut: int | None = checked(optional(_count))
    seen: int | None = checked(optional(_count))
    dials: dict[str, float] = checked(numbers_by_name)
    words: dict[str, Any] = checked(_words)
    seed: int = checked(whole(0, 2**64 - 1))
    averages: tuple[int, ...] = checked(_averages, ())

    @property
    def latents_bytes(self) -> int:
        """What shape and dtype say of the latents' size."""
        return DTYPES[self.dtype] * math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """What is said of the payload's size."""
        return self.latents_bytes + (4 * math.prod(self.averages) if self.averages else 0)


@dataclass(frozen=True)
class Retract(Message):
    """The blocks after `kept` were taken back: nobody is to show them."""

    kept: int = checked(_place)


@dataclass(frozen=True)
class Due(Message):
    """Frame `frame` was due on the host's screen at `due_ns`, the following ones `period_ns` apart.

    tick_ns: when a tick of the host was; they are 1/60 s apart, and a frame is shown at the first one after it is due.
    freeze, blackout: the state of the host's show; while frozen, nothing is due.
    """

    frame: int = checked(_count)
    due_ns: int = checked(_time)
    tick_ns: int = checked(_time)
    period_ns: int = checked(whole(1, 10**11))
    freeze: bool = checked(flag)
    blackout: bool = checked(flag)


@dataclass(frozen=True)
class Digest(Message):
    """The guest's newest block and its digest. An empty digest asks for a snapshot."""

    block: int = checked(_place)
    digest: str = checked(text(64))


@dataclass(frozen=True)
class Video(Message):
    """One frame; its payload, of `size` bytes, is an H.264 access unit (Annex B, BT.709, limited range).

    is_key: a decoder can begin with it; the first frame that a guest gets is one. is_hidden: it was taken back
    meanwhile, so it is to be decoded, as later ones build on it, and not to be shown.
    """

    frame: int = checked(_count)
    block: int = checked(_count)
    is_key: bool = checked(flag)
    is_hidden: bool = checked(flag)
    size: int = checked(whole(1, MAX_PAYLOAD))

    @property
    def size_bytes(self) -> int:
        """What is said of the payload's size."""
        return self.size


@dataclass(frozen=True)
class FollowBy(Message):
    """A guest wants to follow in this way from now on, from a snapshot or a key frame on."""

    follow: str = checked(one_of("latents", "video"))
