"""How good the bundled world is, in numbers with intervals: prompts, two minutes of drift, dials, and the switch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from world.small.world import DIALS, RANGES, SmallModel
from world.train.captions import LINEAR, SCENES, Look, exam, imagine
from world.train.motion import growth, motions, speeds, translations
from world.train.place import chance
from world.train.report import Figure, mean, share
from world.train.rollout import Recipe, Streams
from world.train.scores import Mark, Marker

SECOND = 4  # blocks
BATCH = 50  # streams at once
WAYS = ("no cache", "keep", "recache")
PACE = 0.35  # of a dial in a block, as fast as the engine lets it move


@dataclass(frozen=True)
class Judge:
    """A model, how it is sampled, and who marks what it makes. The same seed gives the same figures."""

    model: SmallModel
    marker: Marker
    recipe: Recipe
    seed: int = 5

    def prompts(self, count: int = 200) -> dict[str, dict[str, Figure]]:
        """Shares that are right one and five seconds into streams under prompts kept out of training, and by scene."""
        asked = exam(random.Random(self.seed), count)
        early, late = self._marked(asked, (SECOND, 5 * SECOND))
        rows = {"after 1 s": shares(early), "after 5 s": shares(late)}
        for scene in SCENES:
            rows[scene] = shares([mark for mark, (_, look) in zip(late, asked, strict=True) if look.scene == scene])
        return rows

    def early(self, count: int = 200) -> list[tuple[Look, Mark]]:
        """What prompts kept out of training asked for, and what their streams show after a second."""
        asked = exam(random.Random(self.seed), count)
        return [(look, mark) for (_, look), mark in zip(asked, self._marked(asked, [SECOND])[0], strict=True)]

    def drift(self, count: int = 72, seconds: int = 120) -> dict[str, dict[str, Figure]]:
        """What streams are like after five seconds, at the end, and how the two differ, stream by stream."""
        asked = exam(random.Random(self.seed + 1), count)
        # three looks each, for one is noisy
        ends = [seconds * SECOND - 2 - 4 * n for n in (2, 1, 0)]
        marks = self._marked(asked, [5 * SECOND + 4 * n for n in (0, 1, 2)] + ends)
        early, late = zip(*marks[:3], strict=True), zip(*marks[3:], strict=True)
        return _differences([_levels(group) for group in early], [_levels(group) for group in late], seconds)

    def dials(self, count: int = 54) -> dict[str, Figure]:
        """Share of trials in which a dial changed the measured motion its way within two blocks."""
        return {dial: share(self._turned(dial, count)) for dial in DIALS}

    def switches(self, count: int = 200, sink: int = 1) -> dict[str, dict[str, Figure]]:
        """The three ways to carry a cache over a switch: the jump, adherence, and paired differences."""
        rng = random.Random(self.seed + 2)
        pairs = list(zip(exam(rng, count), rng.sample(exam(rng, count), count), strict=True))
        seen = [self._switched(pairs[at : at + BATCH], sink) for at in range(0, count, BATCH)]
        results = {way: [trial for part in seen for trial in part[way]] for way in WAYS}
        return {way: _summary(trials, results["recache"]) for way, trials in results.items()}

    def streams(self, texts: Sequence[str], recipe: Recipe | None = None) -> Streams:
        """Streams of their own chance."""
        return Streams(self.model, texts, recipe or self.recipe, chance(self.seed))

    @torch.no_grad()
    def _marked(self, asked: Sequence[tuple[str, Look]], places: Sequence[int]) -> list[list[Mark]]:
        """Marks of every stream at each of the places, which are blocks."""
        marks: list[list[Mark]] = [[] for _ in places]
        for part in _batches(asked):
            streams, looks = self.streams([text for text, _ in part]), [look for _, look in part]
            # a clip begins with the block before it: the decoder looks back
            kept = {n: [] for n in places}
            for block in range(max(places) + 2):
                made = streams.block()
                for n in places:
                    if n - 1 <= block <= n + 1:
                        kept[n].append(made)
            for into, n in zip(marks, places, strict=True):
                into += self.marker(torch.cat(kept[n], 1), 1, looks)
        return marks

    @torch.no_grad()
    def _turned(self, dial: str, count: int) -> list[bool]:
        """Whether the motion of each stream went the dial's way, half of them turned up and half of them down."""
        asked = [part for part in exam(random.Random(self.seed + 3), count) if _shows(part[1], dial)]
        resting = self.streams([text for text, _ in asked])
        before = torch.cat([resting.block() for _ in range(8)], 1)
        signs = torch.tensor([1.0 if n % 2 else -1.0 for n in range(len(asked))])
        turned, rest = resting.fork(), torch.zeros(len(asked), 2, len(DIALS))
        made = [torch.cat([before, s.chunk(d)], 1) for s, d in ((turned, turn(dial, signs)), (resting, rest))]
        moved = [self._motion(latents, dial, [look for _, look in asked]) for latents in made]
        return ((moved[0] - moved[1]) * signs > 0).tolist()

    def _motion(self, latents: Tensor, dial: str, looks: Sequence[Look]) -> Tensor:
        """What the dial should change, measured over the last two blocks (the last one for the energy)."""
        frames = self.marker.frames(latents, 8 + (dial == "energy"), 2 - (dial == "energy"))
        return torch.stack([_along(clip.unsqueeze(0), dial, look) for clip, look in zip(frames, looks, strict=True)])

    @torch.no_grad()
    def _switched(self, pairs: Sequence[tuple], sink: int) -> dict[str, list[Trial]]:
        texts, after = [old[0] for old, _ in pairs], [new[0] for _, new in pairs]
        looks = [imagine(text, old[1]) for text, (old, _) in zip(after, pairs, strict=True)]
        running = self.streams(texts, replace(self.recipe, sink=sink))
        last = torch.cat([running.block() for _ in range(3 * SECOND)], 1)[:, -2:]
        return {way: self._trials(running.fork(), last, after, looks, way) for way in WAYS}

    def _trials(
        self, streams: Streams, last: Tensor, texts: Sequence[str], looks: Sequence[Look], way: str
    ) -> list[Trial]:
        streams.say(texts)
        if way == "no cache":
            streams.forget()
        elif way == "recache":
            streams.recache()
        made = torch.cat([last, *(streams.block() for _ in range(3 * SECOND + 2))], 1)
        # the last picture of before, and a second of what follows
        frames = self.marker.frames(made, 1, 1 + SECOND)[:, 5:]
        jumps = (frames.diff(dim=1).abs().mean((2, 3, 4)) * 127.5).amax(1).tolist()
        marks = [self.marker(made, 2 + seconds * SECOND, looks) for seconds in (1, 2, 3)]
        return [Trial(*part) for part in zip(jumps, *marks, strict=True)]


@dataclass(frozen=True)
class Trial:
    """One switch: the largest change from picture to picture in the second after it (0 to 255), and the marks."""

    jump: float
    one: Mark
    two: Mark
    three: Mark


def turn(dial: str, signs: Tensor) -> Tensor:
    """Two blocks of a dial on its way up or down from rest, each at the pace that play allows: [B, 2, 4]."""
    low = RANGES[dial].low if dial in RANGES else -1.0
    values = torch.zeros(len(signs), 2, len(DIALS))
    values[:, :, DIALS.index(dial)] = (signs[:, None] * torch.tensor([PACE, 2 * PACE])).clamp(min=low)
    return values


def _along(clip: Tensor, dial: str, look: Look) -> Tensor:
    """Motion of one clip [1, T, 3, Y, X] the way of a dial: a camera that goes right makes the picture go left."""
    size = clip.shape[3:]
    if dial == "energy":
        return speeds(clip, motions(look.scene, *size))[0].norm()
    if dial == "zoom":
        return speeds(clip, growth(*size) + translations(*size))[0, 0]
    to_right, down = speeds(clip, translations(*size))[0]
    return -to_right if dial == "pan_x" else down


def _shows(look: Look, dial: str) -> bool:
    """Stripes look the same wherever they stand along themselves."""
    across = {"pan_x": ("left", "right"), "pan_y": ("up", "down")}.get(dial, LINEAR)
    return look.scene != "stripes" or look.direction in across


def _batches(asked: Sequence) -> Iterable[Sequence]:
    return (asked[at : at + BATCH] for at in range(0, len(asked), BATCH))


def shares(marks: Sequence[Mark]) -> dict[str, Figure]:
    """Of each attribute, how many marks are right."""
    names = ("scene", "colour", "direction", "speed", "exact")
    return {name: share([getattr(mark, name) for mark in marks]) for name in names}


def _levels(marks: Sequence[Mark]) -> dict[str, float]:
    names = ("adherence", "scene", "colour", "contrast", "motion")
    return {name: fmean(getattr(mark, name) for mark in marks) for name in names}


def _differences(early: Sequence[dict], late: Sequence[dict], seconds: int) -> dict[str, dict[str, Figure]]:
    pairs = list(zip(early, late, strict=True))
    return {
        "after 5 s": {name: mean([a[name] for a in early]) for name in early[0]},
        f"after {seconds} s": {name: mean([b[name] for b in late]) for name in early[0]},
        "difference": {name: mean([b[name] - a[name] for a, b in pairs]) for name in early[0]},
        # drift whichever way a stream goes
        "distance": {name: mean([abs(b[name] - a[name]) for a, b in pairs]) for name in early[0]},
    }


def _summary(trials: Sequence[Trial], recached: Sequence[Trial]) -> dict[str, Figure]:
    row = {"jump": mean([trial.jump for trial in trials])}
    for name in ("one", "two", "three"):
        row[f"adherence after {name} s"] = mean([getattr(trial, name).adherence for trial in trials])
    row["scene after two s"] = mean([trial.two.scene for trial in trials])
    gains = [a.two.adherence - b.two.adherence for a, b in zip(recached, trials, strict=True)]
    return row | {"recache less this": mean(gains)}
