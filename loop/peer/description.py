"""What a host says of its world, for guests that do not open it themselves, and what such a guest knows by it."""

from __future__ import annotations

from collections.abc import Sequence

from net.message import Welcome
from net.picture import MAX_SILENT, MAX_VOCABULARY, WorldDescription
from world.info import DialRange, WorldInfo


def describe_world(info: WorldInfo, weights: str) -> WorldDescription:
    """The message. weights: their digest."""
    return WorldDescription(
        weights=weights,
        width=info.picture[0],
        height=info.picture[1],
        dials={name: (limits.low, limits.high, limits.rest) for name, limits in info.dials.items()},
        showpiece=info.showpiece,
        vocabulary=_listed(info.vocabulary, MAX_VOCABULARY),
        silent=_listed(info.silent, MAX_SILENT),
        most_words=info.most_words or 0,
    )


def _listed(words: Sequence[str], most: int) -> str:
    """The words as the message has them; none where there are more than it has room for, as where any may be used."""
    listed = " ".join(words)
    return listed if len(listed) <= most else ""


def info_from(welcome: Welcome, about: WorldDescription) -> WorldInfo:
    """The world as a guest knows it that gets its picture only."""
    return WorldInfo(
        name=welcome.world,
        fps=welcome.fps,
        block_frames=welcome.block_frames,
        picture=(about.width, about.height),
        showpiece=about.showpiece,
        memory_blocks=0,
        dials={name: DialRange(*limits) for name, limits in about.dials.items()},
        vocabulary=tuple(about.vocabulary.split()),
        silent=tuple(about.silent.split()),
        most_words=about.most_words or None,
    )
