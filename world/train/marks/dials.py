"""Marks of a storybook's dials: whether the camera goes where a dial asks, and whether the picture holds there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from world.compact.form import WorldForm
from world.train.judge.report import mean_of_values
from world.train.learn.rollout import Streams
from world.train.marks.judge import BATCH, SECOND, StoryJudge
from world.train.marks.pixels import scene_likeness, shown_way
from world.train.marks.tables import Table, known_hits
from world.train.story.clips import in_chunks, render_scenes, travelled
from world.train.tale.scene import Scenes
from world.train.tale.words import ATTRIBUTES

CAMERA = ("pan_x", "pan_y")
TOGETHER, REST, RENDERED = "both of the camera", "at rest", "rendered clips"
TAKEN = [n / 4 for n in range(-2, 7)]  # shares of what pan_y asks that the camera may be found to have risen
PHASES = 4  # places along its way from which the near ground's rows are averaged
GLIDE, WHEN = SECOND, {"after 2 s": 2 * SECOND, "after 10 s": 10 * SECOND}  # blocks of a turn, and after it
STANDING = ATTRIBUTES.index("way")  # the attributes before it: a dial changes way and speed itself
LEAST_WAY = 0.03  # half picture heights in a block: what goes more slowly has no way that can be told


@torch.no_grad()
def dial_table(judge: StoryJudge, count: int) -> Table:
    """What streams show whose dials glide to an end, three seconds after they began, within one, and stay there.

    A row of `count` streams for dials at rest, for each dial, and for those of the camera together; every other stream
    goes to the low ends. The last row has rendered clips under the dials of the one before. ground: the share whose
    near ground goes the way that words and dials ask for. rise: the share of the asked rise that is seen, 0 of a camera
    that stays and 1 of one that obeys. likeness: of what stands to the scene, up to 1. adherence: of place, time,
    weather, subject and colour.
    """
    scenes, _, texts = judge.asked(count)
    rows: dict[str, dict[str, list[float]]] = {}
    for name in (REST, *judge.world.form.dials, TOGETHER):
        asked = dial_ends(judge.world.form, name, count)
        for part in in_chunks(count, BATCH):
            streams = judge.streams(texts[part], judge.seed + 17 + part.start)
            for when, pair in turned_streams(streams, asked[part].to(judge.device)):
                marks = _marks(judge, pair, scenes.rows(part), asked[part])
                _add(rows.setdefault(name, {}), when, marks)
    for part in in_chunks(count, BATCH):
        # the same scenes elsewhere on their way, at another beat
        other = replace(scenes.rows(part), phase=scenes.phase[part].roll(1), beat=scenes.beat[part].roll(1))
        clips = render_scenes(other, asked[part].unsqueeze(1).repeat(1, 2, 1), judge.device)
        marks = _marks(judge, judge.world.decoder.linear.encode(clips), scenes.rows(part), asked[part])
        _add(rows.setdefault(RENDERED, {}), next(iter(WHEN)), marks)
    return {row: {column: mean_of_values(values) for column, values in cells.items()} for row, cells in rows.items()}


def dial_ends(form: WorldForm, name: str, count: int) -> Tensor:
    """Dials [count, n] that are at rest but for those of a row of the table: at their high and low ends in turns."""
    turned = {REST: (), TOGETHER: CAMERA}.get(name, (name,))
    ends = [[limits.high, limits.low] if dial in turned else [0.0, 0.0] for dial, limits in form.dials.items()]
    return torch.tensor(ends).T.repeat(-(-count // 2), 1)[:count]


def turned_streams(streams: Streams, asked: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Play `streams` at rest for three seconds and let dials glide to `asked` [B, n]: pairs of blocks, by WHEN."""
    for _ in range(3 * SECOND):
        last = streams.next_block()
    for block in range(1, GLIDE + max(WHEN.values()) + 1):
        now = streams.next_block((asked * min(1.0, block / GLIDE)).unsqueeze(1))
        yield from ((when, torch.cat([last, now], 1)) for when, after in WHEN.items() if block == GLIDE + after)
        last = now


def seen_rise(frames: Tensor, scenes: Scenes, asked: Tensor) -> Tensor:
    """The share of the dial pan_y of `asked` [B, n] by which the camera of clips [B, T, 3, Y, X] has risen: [B].

    Of renderings whose camera has risen by a share, the one whose rows have the likeliest mean colours tells it: what
    goes by on the ground is another at every moment, how high the ground reaches is not.
    """
    height, width = frames.shape[-2:]
    apart = []
    for share in TAKEN:
        drawn = [
            render_scenes(
                replace(scenes, phase=scenes.phase + n / PHASES), share * asked[:, None], frames.device, (width, height)
            )
            for n in range(PHASES)
        ]
        apart.append((_low_rows(torch.cat(drawn, 1)) - _low_rows(frames)).square().flatten(1).sum(1))
    return torch.tensor(TAKEN)[torch.stack(apart).argmin(0).cpu()]


def _low_rows(frames: Tensor) -> Tensor:
    """The mean colours of the rows in the lower half of clips [B, T, 3, Y, X]: [B, 3, Y / 2]."""
    return frames[..., frames.shape[-2] // 2 :, :].mean((1, 4))


def _marks(judge: StoryJudge, pair: Tensor, scenes: Scenes, asked: Tensor) -> dict[str, list[float]]:
    """The marks of blocks [B, 2, C, h, w] whose dials stand at `asked` [B, n]; no rise where none is asked for."""
    frames = judge.world.decoder.linear.decode(pair)
    way = travelled(scenes, asked[:, None])[:, 1]
    goes = way.abs() > LEAST_WAY
    still = render_scenes(scenes, torch.zeros_like(asked)[:, None], frames.device, (frames.shape[-1], frames.shape[-2]))
    hits = judge.read(pair).cpu()[:, :STANDING] == scenes.numbers()[:, :STANDING]
    marks = {
        "ground": ((shown_way(frames).cpu() == 1) == (way > 0))[goes].float().tolist(),
        "likeness": scene_likeness(frames.mean(1), still.mean(1)).tolist(),
        "adherence": [fmean(row) for row in known_hits(hits, scenes.described())],
    }
    if asked[:, [*judge.world.form.dials].index("pan_y")].any():
        marks["rise"] = seen_rise(frames, scenes, asked).tolist()
    return marks


def _add(cells: dict[str, list[float]], when: str, marks: dict[str, list[float]]) -> None:
    for name, values in marks.items():
        if values:
            cells.setdefault(f"{name} {when}", []).extend(values)
