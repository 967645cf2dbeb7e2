"""What a host says of its world, for guests that do not open it themselves, and what such a guest knows by it."""

from __future__ import annotations

from net.message import Welcome
from net.picture import WorldDescription
from world.info import DialRange, WorldInfo


def describe_world(info: WorldInfo, weights: str) -> WorldDescription:
    """The message. weights: their digest."""
    return WorldDescription(
        weights=weights,
        width=info.picture[0],
        height=info.picture[1],
        dials={name: (limits.low, limits.high, limits.rest) for name, limits in info.dials.items()},
        showpiece=info.showpiece,
        vocabulary=" ".join(info.vocabulary),
        silent=" ".join(info.silent),
        most_words=info.most_words or 0,
    )


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
