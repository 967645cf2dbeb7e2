"""How good a model is, in figures with intervals: prompts, drift over two minutes, dials, and prompt switches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from world.compact.model import CompactModel
from world.compact.small import SMALL
from world.train.data.captions import LINEAR, SCENES, Look, exam_prompts, look_of
from world.train.data.motion import measured_speeds, motion_fields, translation_fields, zoom_fields
from world.train.judge.report import Figure, mean_of_values, share_of_hits
from world.train.judge.scores import ClipMark, Marker
from world.train.learn.device import seeded_generator
from world.train.learn.rollout import SamplingRecipe, Streams

SECOND = 4  # blocks
BATCH = 50  # streams at once
CACHE_MODES = ("no cache", "keep", "recache")
DIAL_STEP = 0.35  # per block: as fast as the engine lets a dial move
Figures = dict[str, Figure]
AskedLook = tuple[str, Look]  # a prompt and the look that it asks for


@dataclass(frozen=True)
class Trial:
    """One prompt switch: the largest change between two pictures in the second after it, and the marks later on.

    jump: mean absolute change of a picture, 0 to 255; one, two, three: the marks after so many seconds.
    """

    jump: float
    one: ClipMark
    two: ClipMark
    three: ClipMark


@dataclass(frozen=True)
class Judge:
    """Evaluates a model with one sampling recipe. The same seed gives the same figures."""

    model: CompactModel
    marker: Marker
    recipe: SamplingRecipe
    seed: int = 5

    def prompts(self, count: int = 200) -> dict[str, Figures]:
        """The shares that are right under exam prompts after one second and after five, the latter also by scene."""
        asked = exam_prompts(random.Random(self.seed), count)
        early, late = self._marks(asked, (SECOND, 5 * SECOND))
        rows = {"after 1 s": mark_shares(early), "after 5 s": mark_shares(late)}
        for scene in SCENES:
            of_scene = [mark for mark, (_, look) in zip(late, asked, strict=True) if look.scene == scene]
            rows[scene] = mark_shares(of_scene)
        return rows

    def early(self, count: int = 200) -> list[tuple[Look, ClipMark]]:
        """The looks that exam prompts ask for, with the marks of their streams after one second."""
        asked = exam_prompts(random.Random(self.seed), count)
        return [(look, mark) for (_, look), mark in zip(asked, self._marks(asked, [SECOND])[0], strict=True)]

    def drift(self, count: int = 72, seconds: int = 120) -> dict[str, Figures]:
        """What streams are like after five seconds and at the end, and how much each stream has changed."""
        asked = exam_prompts(random.Random(self.seed + 1), count)
        # three marks at each time, because a single one is noisy
        ends = [seconds * SECOND - 2 - 4 * n for n in (2, 1, 0)]
        marks = self._marks(asked, [5 * SECOND + 4 * n for n in (0, 1, 2)] + ends)
        early, late = zip(*marks[:3], strict=True), zip(*marks[3:], strict=True)
        return _differences([_levels(group) for group in early], [_levels(group) for group in late], seconds)

    def dials(self, count: int = 54) -> Figures:
        """The share of trials in which a dial changed the measured motion in its direction within two blocks."""
        return {dial: share_of_hits(self._dial_hits(dial, count)) for dial in SMALL.dials}

    def switches(self, count: int = 200, sink: int = 1) -> dict[str, Figures]:
        """Prompt switches with each of CACHE_MODES: the jump, the adherence after it, and paired differences."""
        rng = random.Random(self.seed + 2)
        pairs = list(zip(exam_prompts(rng, count), rng.sample(exam_prompts(rng, count), count), strict=True))
        parts = [self._switch_trials(pairs[at : at + BATCH], sink) for at in range(0, count, BATCH)]
        results = {mode: [trial for part in parts for trial in part[mode]] for mode in CACHE_MODES}
        return {mode: _summary(trials, results["recache"]) for mode, trials in results.items()}

    def streams(self, texts: Sequence[str], recipe: SamplingRecipe | None = None) -> Streams:
        """New streams under `texts`, with a generator of their own."""
        return Streams(self.model, texts, recipe or self.recipe, seeded_generator(self.seed))

    @torch.no_grad()
    def _marks(self, asked: Sequence[AskedLook], places: Sequence[int]) -> list[list[ClipMark]]:
        """The marks of every stream at each of `places`, which are block numbers."""
        marks: list[list[ClipMark]] = [[] for _ in places]
        for part in _batches(asked):
            streams, looks = self.streams([text for text, _ in part]), [look for _, look in part]
            # a clip starts one block earlier, because the decoder needs it
            clips: dict[int, list[Tensor]] = {n: [] for n in places}
            for block in range(max(places) + 2):
                made = streams.next_block()
                for n in places:
                    if n - 1 <= block <= n + 1:
                        clips[n].append(made)
            for at_place, n in zip(marks, places, strict=True):
                at_place += self.marker(torch.cat(clips[n], 1), 1, looks)
        return marks

    @torch.no_grad()
    def _dial_hits(self, dial: str, count: int) -> list[bool]:
        """Whether the motion of each stream followed the dial; every other stream turns it up, the others down.

        Each stream is compared with itself under the dial at rest.
        """
        asked = [part for part in exam_prompts(random.Random(self.seed + 3), count) if _can_show(part[1], dial)]
        resting = self.streams([text for text, _ in asked])
        before = torch.cat([resting.next_block() for _ in range(8)], 1)
        signs = torch.tensor([1.0 if n % 2 else -1.0 for n in range(len(asked))])
        turned, rest = resting.fork(), torch.zeros(len(asked), 2, len(SMALL.dials))
        dials = ((turned, turned_dial(dial, signs)), (resting, rest))
        made = [torch.cat([before, streams.next_blocks(values)], 1) for streams, values in dials]
        motions = [self._dial_motion(latents, dial, [look for _, look in asked]) for latents in made]
        return ((motions[0] - motions[1]) * signs > 0).tolist()

    def _dial_motion(self, latents: Tensor, dial: str, looks: Sequence[Look]) -> Tensor:
        """The motion [B] that the dial should change, over the last two blocks (for the energy, over the last one)."""
        frames = self.marker.frames(latents, 8 + (dial == "energy"), 2 - (dial == "energy"))
        clips = zip(frames, looks, strict=True)
        return torch.stack([_motion_along(clip.unsqueeze(0), dial, look) for clip, look in clips])

    @torch.no_grad()
    def _switch_trials(self, pairs: Sequence[tuple[AskedLook, AskedLook]], sink: int) -> dict[str, list[Trial]]:
        """The trials of each of CACHE_MODES; pairs: the prompts before and after the switch."""
        texts, after = [old[0] for old, _ in pairs], [new[0] for _, new in pairs]
        looks = [look_of(text, old[1]) for text, (old, _) in zip(after, pairs, strict=True)]
        running = self.streams(texts, replace(self.recipe, sink=sink))
        last = torch.cat([running.next_block() for _ in range(3 * SECOND)], 1)[:, -2:]
        trials = {}
        for mode in CACHE_MODES:
            streams = running.fork()
            streams.set_texts(after)
            if mode == "no cache":
                streams.clear_cache()
            elif mode == "recache":
                streams.recache()
            trials[mode] = self._trials(streams, last, looks)
        return trials

    def _trials(self, streams: Streams, last: Tensor, looks: Sequence[Look]) -> list[Trial]:
        """One trial for each stream, right after the switch; last: the two blocks before it."""
        made = torch.cat([last, *(streams.next_block() for _ in range(3 * SECOND + 2))], 1)
        # the last picture before the switch, and one second after it
        frames = self.marker.frames(made, 1, 1 + SECOND)[:, 5:]
        jumps = (frames.diff(dim=1).abs().mean((2, 3, 4)) * 127.5).amax(1).tolist()
        marks = [self.marker(made, 2 + seconds * SECOND, looks) for seconds in (1, 2, 3)]
        return [Trial(*part) for part in zip(jumps, *marks, strict=True)]


def turned_dial(dial: str, signs: Tensor) -> Tensor:
    """Dial values [B, 2, 4] of two blocks in which one dial moves up or down from rest, as fast as play allows."""
    low, dials = SMALL.dials[dial].low, list(SMALL.dials)
    values = torch.zeros(len(signs), 2, len(dials))
    values[:, :, dials.index(dial)] = (signs[:, None] * torch.tensor([DIAL_STEP, 2 * DIAL_STEP])).clamp(min=low)
    return values


def mark_shares(marks: Sequence[ClipMark]) -> Figures:
    """The share of marks in which each attribute is right."""
    names = ("scene", "colour", "direction", "speed", "exact")
    return {name: share_of_hits([getattr(mark, name) for mark in marks]) for name in names}


def _motion_along(clip: Tensor, dial: str, look: Look) -> Tensor:
    """The motion of one clip [1, T, 3, Y, X] in a dial's direction; a camera that goes right moves the picture left."""
    height, width = clip.shape[3:]
    if dial == "energy":
        return measured_speeds(clip, motion_fields(look.scene, height, width))[0].norm()
    if dial == "zoom":
        return measured_speeds(clip, zoom_fields(height, width) + translation_fields(height, width))[0, 0]
    to_right, down = measured_speeds(clip, translation_fields(height, width))[0]
    return -to_right if dial == "pan_x" else down


def _can_show(look: Look, dial: str) -> bool:
    """Whether a dial changes the picture at all: stripes that move along themselves look the same."""
    across = {"pan_x": ("left", "right"), "pan_y": ("up", "down")}.get(dial, LINEAR)
    return look.scene != "stripes" or look.direction in across


def _batches(asked: Sequence[AskedLook]) -> Iterator[Sequence[AskedLook]]:
    return (asked[at : at + BATCH] for at in range(0, len(asked), BATCH))


def _levels(marks: Sequence[ClipMark]) -> dict[str, float]:
    names = ("adherence", "scene", "colour", "contrast", "motion")
    return {name: fmean(getattr(mark, name) for mark in marks) for name in names}


def _differences(
    early: Sequence[Mapping[str, float]], late: Sequence[Mapping[str, float]], seconds: int
) -> dict[str, Figures]:
    pairs = list(zip(early, late, strict=True))
    return {
        "after 5 s": {name: mean_of_values([a[name] for a in early]) for name in early[0]},
        f"after {seconds} s": {name: mean_of_values([b[name] for b in late]) for name in early[0]},
        "difference": {name: mean_of_values([b[name] - a[name] for a, b in pairs]) for name in early[0]},
        # how far a stream drifts, in whichever direction
        "distance": {name: mean_of_values([abs(b[name] - a[name]) for a, b in pairs]) for name in early[0]},
    }


def _summary(trials: Sequence[Trial], recached: Sequence[Trial]) -> Figures:
    row = {"jump": mean_of_values([trial.jump for trial in trials])}
    for name in ("one", "two", "three"):
        row[f"adherence after {name} s"] = mean_of_values([getattr(trial, name).adherence for trial in trials])
    row["scene after two s"] = mean_of_values([trial.two.scene for trial in trials])
    gains = [a.two.adherence - b.two.adherence for a, b in zip(recached, trials, strict=True)]
    return row | {"recache less this": mean_of_values(gains)}
