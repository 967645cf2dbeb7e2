"""The storybook, drawn in paper-cut style in batches at any size, with torch alone."""

from __future__ import annotations

import torch
from torch import Tensor

from world.train.tale.paper import Paper
from world.train.tale.places import lay_ground
from world.train.tale.scene import Groups, Scenes, group, scenes_of
from world.train.tale.sky import begin_sky, lay_planet, lay_stars, lay_sun
from world.train.tale.stage import DIALS, Staging, set_stage
from world.train.tale.subjects import lay_subjects, lay_wind
from world.train.tale.weather import lay_clouds, lay_falling, lay_fog
from world.train.tale.words import PLACES, TIMES, WEATHERS, SceneWords


@torch.no_grad()
def draw(scenes: Scenes, dials: Tensor, size: tuple[int, int]) -> Tensor:
    """Clips [B, T, 3, Y, X], float32, -1 to 1, of B scenes under DIALS [B, T, 3] of each picture, at a size X, Y.

    Everything is made on the device of `scenes`, in about nine times the memory of the clips: draw many a part at a
    time (`Scenes.rows`).
    """
    stage, groups = set_stage(scenes, dials, size), group(scenes)
    paper = begin_sky(stage)
    _lay_heavens(paper, stage, groups)
    for layer in range(3):
        if layer == 2:
            lay_subjects(paper, stage, groups.grounded)
        lay_ground(paper, stage, groups, layer)
        lay_fog(paper, stage, groups, layer)
    lay_wind(paper, stage)
    lay_subjects(paper, stage, groups.flying)
    lay_falling(paper, stage, groups)
    return paper.rgb.clamp_(0, 1).mul_(2).sub_(1)


def _lay_heavens(paper: Paper, stage: Staging, groups: Groups) -> None:
    starry = (stage.when("place", PLACES.index("space")) + stage.when("time", TIMES.index("night"))).clamp(max=1)
    starry = starry * stage.when("weather", WEATHERS.index("clear")) + 0.5 * stage.when("place", PLACES.index("space"))
    lay_stars(paper, stage, starry.clamp(max=1))
    lay_sun(paper, stage)
    if "space" in groups.place:
        rows = groups.place["space"]
        part = paper.rows(rows)
        lay_planet(part, stage.rows(rows))
        paper.put(rows, part)
    lay_clouds(paper, stage, groups)


def sheet(described: list[SceneWords], columns: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """A contact sheet of scenes told in words, uint8 [rows * Y, columns * X, 3]: the third picture of each."""
    scenes = scenes_of(described, torch.Generator().manual_seed(seed))
    pictures = draw(scenes, torch.zeros(len(scenes), 3, len(DIALS)), size)[:, -1]
    pictures = torch.cat([pictures, pictures.new_zeros(-len(pictures) % columns, *pictures.shape[1:])])
    rows = [torch.cat(list(row), 2) for row in pictures.split(columns)]
    return ((torch.cat(rows, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
