"""The newest blocks of a stream in the order of time, without their latents: what can be recached and taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace

from world.boundary import Boundary
from world.cache_rules import CacheRules
from world.event import Event


@dataclass(frozen=True)
class MadeBlock:
    """A block that was made; fields as in world.block.Block.

    end: the latent frame after it, or after what is left of it where it was cut. boundary: what it was made under; None
    where nobody told which words a resumed stream made it under. has_averages: those after it are known, where a cache
    averages what leaves its window.
    """

    index: int
    parent: int
    start: int
    end: int
    events: tuple[Event, ...]
    boundary: Boundary | None
    cut: int | None = None
    seen: int | None = None
    has_averages: bool = True

    @property
    def frames(self) -> int:
        """Its latent frames."""
        return self.end - self.start


class BlockLine:
    """As many blocks as a recache may need, and `spare` more, which can be taken back. Owned by a SwitchState."""

    def __init__(self, rules: CacheRules, spare: int) -> None:
        self._rules, self._spare = rules, spare
        self._blocks: list[MadeBlock] = []

    def __iter__(self) -> Iterator[MadeBlock]:
        """Oldest first."""
        return iter(self._blocks)

    @property
    def newest(self) -> MadeBlock | None:
        """None before the first block."""
        return self._blocks[-1] if self._blocks else None

    def copy(self) -> BlockLine:
        """Another line of the same blocks."""
        twin = copy(self)
        twin._blocks = list(self._blocks)
        return twin

    def clear(self) -> None:
        """Forget every block."""
        self._blocks = []

    def add(self, block: MadeBlock) -> None:
        """Remember the newest block; one that begins a scene makes all older ones needless."""
        if block.start == 0:
            self._blocks.clear()
        self._blocks.append(block)
        window = self._rules.window
        while window != -1 and _frames(self._blocks[1 : -self._spare or None]) >= window:
            del self._blocks[0]

    def take_back(self, after: int, latents: int | None = None) -> list[MadeBlock]:
        """Forget the blocks newer than block `after`, and return them, oldest first.

        latents: how many latent frames are left of block `after`; None: all. Raises ValueError where a recache could
        not follow.
        """
        known = [place for place, block in enumerate(self._blocks) if self._can_return_to(place, block.end)]
        place = next((place for place in known if self._blocks[place].index == after), None)
        if place is None:
            which = ", ".join(str(self._blocks[place].index) for place in known) or "none"
            raise ValueError(f"block {after} cannot be gone back to: those that can be are {which}")
        end = self._blocks[place].end if latents is None else self._cut_end(place, latents)
        forgotten = self._blocks[place + 1 :]
        del self._blocks[place + 1 :]
        self.end_at(end)
        return forgotten

    def end_at(self, end: int) -> None:
        """Let the newest block end at latent frame `end`, which is not before its second one."""
        newest = self._blocks[-1]
        assert newest.start < end <= newest.end, "a block is cut within"
        self._blocks[-1] = replace(newest, end=end)

    def require(self, end: int, frames: int) -> None:
        """Raise ValueError unless the `frames` latent frames before latent frame `end` are known."""
        known = _frames([block for block in self._blocks if block.end <= end])
        if frames and not known:
            raise ValueError(f"nothing is known of what came before latent frame {end}: blocks are missing")
        if known < frames:
            raise ValueError(f"a rebuild needs {frames} latent frames, got the last {known}")

    def _cut_end(self, place: int, latents: int) -> int:
        """Where a block of the line ends when so many latent frames are left of it; raises ValueError if it cannot."""
        block, cut_from = self._blocks[place], self._rules.cut_from
        end = block.start + latents
        if not 0 < latents <= block.frames:
            raise ValueError(f"block {block.index} cannot be cut after {latents} of its {block.frames} latent frames")
        if latents < block.frames and (cut_from is None or end < cut_from or not self._can_return_to(place, end)):
            raise ValueError(f"block {block.index} cannot be cut at latent frame {end}: no recache could follow")
        return end

    def _can_return_to(self, place: int, end: int) -> bool:
        """Whether a recache could follow the block at this place, were it to end at latent frame `end`."""
        block = self._blocks[place]
        known = _frames(self._blocks[:place]) + end - block.start
        return block.boundary is not None and known >= self._rules.frames_needed(end, renew=True)


def _frames(blocks: Sequence[MadeBlock]) -> int:
    return sum(block.frames for block in blocks)
