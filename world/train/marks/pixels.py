"""What is measured on pictures of the storybook, without a network: motion, edges, seams, layout."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from world.train.story.form import TALE

LUMA = (0.299, 0.587, 0.114)
APART = 3  # pictures between the two whose shift is measured
FURTHEST = 0.22  # half picture heights: the farthest shift that is looked for
GROUND = 0.78  # where the band begins that shows the near layer alone, as a share of the height


def brightness(frames: Tensor) -> Tensor:
    """Grey pictures [..., Y, X] of frames [..., 3, Y, X]."""
    return (frames * torch.tensor(LUMA, device=frames.device).view(3, 1, 1)).sum(-3)


def shown_way(frames: Tensor) -> Tensor:
    """The value of the way that the near ground of clips [B, T, 3, Y, X] shows: int64 [B].

    The shift between pictures three apart that makes their lower bands most alike says which way the ground goes; how
    far it goes is hidden by what stands still. Rain and snow fall before it and would be taken for it: of two pictures
    that follow one another, the darker of each point is taken.
    """
    height = frames.shape[-2]
    band = brightness(frames)[..., int(height * GROUND) :, :]
    band = torch.minimum(band[:, :-1], band[:, 1:])
    # the mean round a point near the rim is of what is there: a zero outside would be an edge that stands still
    rows = band.flatten(0, 2).unsqueeze(1)
    band = band - F.avg_pool1d(rows, 15, 1, 7, count_include_pad=False).view(band.shape)
    first, second = band[:, :-APART], band[:, APART:]
    most, width = max(1, round(FURTHEST * height / 2)), band.shape[-1]
    alike = []
    for shift in range(-most, most + 1):
        a = first[..., max(0, shift) : width + min(0, shift)]
        b = second[..., max(0, -shift) : width + min(0, -shift)]
        alike.append((a * b).sum((1, 2, 3)) / (a.square().sum((1, 2, 3)) * b.square().sum((1, 2, 3))).sqrt().add(1e-6))
    score = torch.stack(alike, 1)
    best = score.argmax(1)
    # a parabola through the best shift and its neighbours tells the rest of a pixel
    inner = best.clamp(1, 2 * most - 1)
    left, middle, right = (score.gather(1, (inner + k)[:, None])[:, 0] for k in (-1, 0, 1))
    bend = (left - 2 * middle + right).clamp(max=-1e-6)
    return (inner - most + (0.5 * (left - right) / bend).clamp(-0.5, 0.5) > 0).long()


def edge_strength(frames: Tensor) -> float:
    """The steepest steps between neighbouring columns of clips: the 99.5th percentile of their brightness steps."""
    steps = brightness(frames).diff(dim=-1).abs().flatten()
    return float(steps[:: max(1, len(steps) // 2_000_000)].quantile(0.995))


def seam_ratio(frames: Tensor) -> float:
    """The mean step at the columns where two tokens meet over the mean step elsewhere."""
    g = TALE.geometry
    token = frames.shape[-1] // g.grid[1]
    steps = brightness(frames).diff(dim=-1).abs().mean(tuple(range(frames.ndim - 2)))
    is_seam = torch.arange(1, len(steps) + 1, device=frames.device) % token == 0
    return float(steps[is_seam].mean() / steps[~is_seam].mean())


def layout_likeness(one: Tensor, other: Tensor) -> Tensor:
    """How alike the layouts of pictures [B, 3, Y, X] are outside the middle, where the subject is: [B], -1 to 1.

    The correlation of fine brightness, each point over its surroundings: a new time of day does not change it.
    """
    a, b = (fine_brightness(pictures) for pictures in (one, other))
    height, width = a.shape[-2:]
    for detail in (a, b):
        detail[..., height // 6 : 5 * height // 6, width // 4 : 3 * width // 4] = 0
    return correlation(a, b)


def scene_likeness(one: Tensor, other: Tensor) -> Tensor:
    """How alike pictures [B, 3, Y, X] are where nothing goes by, above the near ground: [B], -1 to 1."""
    a, b = (fine_brightness(pictures) for pictures in (one, other))
    above = int(a.shape[-2] * GROUND)
    return correlation(a[..., :above, :], b[..., :above, :])


def fine_brightness(pictures: Tensor) -> Tensor:
    """The brightness of pictures [B, 3, Y, X], each point over its surroundings and by their contrast: [B, 1, Y, X]."""
    grey = brightness(pictures).unsqueeze(1)
    wide = grey.shape[-2] // 8 * 2 + 1
    detail = grey - F.avg_pool2d(grey, wide, 1, wide // 2, count_include_pad=False)
    power = F.avg_pool2d(detail.square(), wide, 1, wide // 2, count_include_pad=False)
    return detail / (power + 1e-3).sqrt()


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """The correlation [B] of deviations [B, ...]."""
    a, b = one.flatten(1), other.flatten(1)
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt().clamp(min=1e-6)
