"""The bird, the whale and the comet."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from world.train.tale.paper import Paper, disc, ellipse, limb, polygon, tint, triangle_wave, union
from world.train.tale.stage import Pose

_BEAK, _FOAM = (244, 164, 48), (238, 246, 252)
_BIRD = 1.3  # how much larger a bird is than it is drawn


def lay_bird(paper: Paper, p: Pose) -> None:
    """A bird from the side, whose wings beat faster as it goes faster.

    They beat slowly: what crosses its own length within a block, the latents blur.
    """
    turn = (2.5 + 3.0 * p.pace) * p.clock
    beat, late = torch.sin(turn), torch.sin(turn - 0.7)
    u, v = p.u / _BIRD, (p.v + 0.05 * beat) / _BIRD

    def wing(shoulder: float, forward: float) -> Tensor:
        wrist = (shoulder + forward, -0.20 - 0.12 * beat)
        tip = (shoulder - 0.34 + forward, -0.36 - 0.27 * late)
        arm = limb(u, v, ((shoulder, 0.0), wrist), (0.19, 0.15))
        return union(arm, limb(u, v, (wrist, tip), (0.15, 0.02)))

    body = limb(u, v, ((-0.20, 0.02), (0.22, -0.02)), (0.07, 0.125))
    tail = [limb(u, v, ((-0.18, 0.02), end), (0.06, 0.05)) for end in ((-0.52, -0.06), (-0.52, 0.10))]
    whole = union(body, disc(u - 0.36, v + 0.08, 0.115), *tail)
    near = wing(-0.02, 0.0)
    paper.glow(union(whole, near), p.lamp, 0.25, 0.30 * p.dark * p.spark)
    paper.lay(wing(0.08, 0.10), p.colour * 0.72, 0.2)
    paper.lay(polygon(u, v, [(0.44, -0.14), (0.60, -0.06), (0.44, -0.02)]), tint(_BEAK, u))
    paper.lay(whole, p.colour, 0.3)
    paper.lay(torch.maximum(body, 0.045 - v), p.trim)
    paper.lay(near, p.colour, 0.3)
    paper.lay(near + 0.055, p.trim, alpha=0.55)
    paper.lay(disc(u - 0.39, v + 0.10, 0.028), p.ink)


def lay_whale(paper: Paper, p: Pose) -> None:
    """A whale with a spout, whose tail beats; at sea the near waves hide its belly."""
    sway = torch.sin((1.5 + 1.5 * p.pace) * p.clock)
    u, v, lift = p.u, p.v, 0.14 * sway
    root = (-0.62, -0.10 + lift)
    body = union(ellipse(u - 0.14, v, 0.56, 0.32), limb(u, v, ((-0.05, 0.04), root), (0.25, 0.07)))
    fluke = [limb(u, v, (root, (x, y + lift)), (0.08, 0.05)) for x, y in ((-0.90, -0.34), (-0.92, 0.02))]
    whole = union(body, *fluke)
    paper.glow(whole, p.lamp, 0.28, 0.28 * p.dark * p.spark)
    rise = 0.06 * torch.sin(3 * p.clock)
    jet, side = u - 0.26, (u - 0.26).abs()
    spout = union(
        limb(jet, v, ((0.0, -0.30), (0.0, -0.52 + rise)), (0.04, 0.05)),
        limb(side, v, ((0.0, -0.54 + rise), (0.16, -0.64 + rise)), (0.05, 0.06)),
        disc(side - 0.24, v + 0.52 - rise, 0.05),
    )
    paper.lay(spout, p.trim * 0.35 + tint(_FOAM, u) * 0.65, 0.15)
    paper.lay(whole, p.colour, 0.35)
    paper.lay(torch.maximum(body + 0.015, 0.10 + 0.25 * (u - 0.2) ** 2 - v), p.trim)
    paper.lay(limb(u, v, ((0.06, 0.14), (-0.12, 0.36 - 0.5 * lift)), (0.10, 0.03)), p.colour * 0.8, 0.25)
    paper.lay(disc(u - 0.47, v + 0.03, 0.045), p.ink)


def lay_comet(paper: Paper, p: Pose) -> None:
    """A star with three tails, longer as it goes faster."""
    cos, sin = math.cos(0.30), math.sin(0.30)
    u, v = cos * p.u + sin * p.v, cos * p.v - sin * p.u
    long, flicker = 0.85 + 0.55 * p.pace, 0.03 * torch.sin(7 * p.clock)
    bright = p.colour * 0.8 + 0.2
    ends = ((-long, -0.22 + flicker), (-1.15 * long, 0.02), (-0.9 * long, 0.24 - flicker))
    tail = union(*(limb(u, v, ((0.0, 0.0), end), (0.12, 0.012)) for end in ends))
    paper.glow(tail, bright, 0.30, 0.5 * p.spark)
    paper.lay(tail, bright, 0.2)
    paper.lay(limb(u, v, ((0.0, 0.0), (-0.75 * long, 0.01)), (0.10, 0.012)), p.trim)
    points = triangle_wave((torch.atan2(v, u) + 0.6 * p.clock) * 2.5 / math.pi)
    paper.lay((disc(u, v, 0.0) - 0.12 - 0.20 * points**1.5) * 0.7, bright, 0.25)
    paper.lay(disc(u, v, 0.10), p.trim)
