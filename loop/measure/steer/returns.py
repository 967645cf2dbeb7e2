"""An old place brought back: by going back to it, as memory, by its words alone, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil

from loop.measure.steer.likeness import layout_correlation, shared_colours
from loop.measure.steer.scene_marks import SceneMarker
from loop.measure.steer.streams import ShownStretch
from loop.measure.steer.switches import PromptSwitch
from world.block import Block, Snapshot
from world.diffusion.world import DiffusionWorld
from world.event import Event, Prompt, Recall

WAYS = ("rewind", "recall", "words", "stay")
LATER_S = (2.0, 5.0)

Likeness = dict[str, float]  # to the old place, by what is compared
ReturnMarks = dict[str, dict[float, Likeness]]  # by way, after how many seconds


@dataclass(frozen=True)
class ReturnTest:
    """What every trial is made with. first_s: in the old place; away_s: under the other words; marker: if there is one.

    marker reads a storybook's scenes.
    """

    world: DiffusionWorld
    first_s: float = 3.0
    away_s: float = 5.0
    marker: SceneMarker | None = None

    def blocks(self, seconds: float) -> int:
        """How many blocks last so long."""
        return max(2, ceil(seconds / self.world.info.block_s))

    def trial(self, switch: PromptSwitch, seed: int) -> ReturnMarks:
        """Play the old place and then the other words, and bring the old place back in each of WAYS.

        All go on from the same blocks, in a session that is what the first one was, bit for bit.
        """
        session, first = self.world.session(seed, switch.before), self.blocks(self.first_s)
        past = [session.step() for _ in range(first)]
        past += [session.step([Prompt(switch.after)] if n == 0 else []) for n in range(self.blocks(self.away_s))]
        place = ShownStretch(self.world.decoder.start())
        for block in past[:first]:
            place.add(self.world.decoder, block)
        away = ShownStretch(place.state)
        for block in past[first:]:
            away.add(self.world.decoder, block)
        starts = {way: place.state if way == "rewind" else away.state for way in WAYS}
        return {
            way: self._marks(place, ShownStretch(starts[way]), self._go_on(way, switch, seed, past, first))
            for way in WAYS
        }

    def _marks(self, place: ShownStretch, shown: ShownStretch, blocks: Iterator[Block]) -> dict[float, Likeness]:
        found, made = {}, 0
        for seconds in LATER_S:
            count = self.blocks(seconds)
            for block in islice(blocks, count - made):
                shown.add(self.world.decoder, block)
            made, found[seconds] = count, self._likeness(place, shown)
        return found

    def _likeness(self, place: ShownStretch, shown: ShownStretch) -> Likeness:
        """How like the old place the newest picture is."""
        assert place.last is not None and shown.last is not None  # both stretches hold blocks
        alike = {
            "colour": shared_colours(place.last, shown.last),
            "layout": layout_correlation(place.last, shown.last),
        }
        if self.marker:
            old, new = self.marker.read(place.newest), self.marker.read(shown.newest)
            alike["scene"] = sum(old[name] == new[name] for name in old) / len(old)
        return alike

    def _go_on(self, way: str, switch: PromptSwitch, seed: int, past: Sequence[Block], first: int) -> Iterator[Block]:
        """Block after block."""
        session, info = self.world.session(seed, switch.before), self.world.info
        kept = tuple(past[:first])
        if way == "rewind":
            end = kept[-1].start + kept[-1].latents.shape[1]
            blocks = kept[-info.memory_blocks :]
            session.resume(Snapshot(seed, len(past), end, switch.before, {}, blocks))
        else:
            session.fold(past)
        recalled = tuple(block.past for block in kept[-info.sink_blocks :])
        events: Mapping[str, Event] = {"recall": Recall(recalled, switch.before), "words": Prompt(switch.before)}
        yield session.step([events[way]] if way in events else [])
        while True:
            yield session.step()
