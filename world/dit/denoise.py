"""Flow matching in a few steps: the grid of timesteps, conversions, and a sampler that stops after each model pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from world.dit.config import SamplerConfig

GRID = 1000


class Schedule:
    """The shifted grid of noise levels, descending from 1, and what is computed on it.

    The grid is float32 throughout: the rounding of a timestep is seen by the sinusoid, and the released weights saw
    this one.
    """

    def __init__(self, shift: float = 5.0) -> None:
        level = torch.linspace(1, 0, GRID + 1)[:-1]
        self.shift = shift
        self.sigmas = shift * level / (1 + (shift - 1) * level)
        self.timesteps = self.sigmas * GRID

    def warp(self, nominal: Sequence[int]) -> list[float]:
        """The grid's timesteps for nominal ones: 1000 is the first, 0 is no noise at all."""
        grid = [*self.timesteps.tolist(), 0.0]
        return [grid[GRID - step] for step in nominal]

    def nearest(self, timesteps: Tensor) -> Tensor:
        """Index [n] of the grid entry nearest to each of timesteps [n]."""
        return (self.timesteps - timesteps[:, None].to(self.timesteps)).abs().argmin(1)

    def sigma(self, timestep: float) -> float:
        """The noise level of a timestep: that of the nearest entry of the grid."""
        return self.sigmas[self.nearest(torch.tensor([timestep]))].item()

    def euler(self, flow: Tensor, timestep: float, x: Tensor) -> Tensor:
        """x one entry further down the grid, along `flow`."""
        at = int(self.nearest(torch.tensor([timestep])))
        after = self.sigmas[at + 1].item() if at + 1 < GRID else 0.0
        return x + flow * (after - self.sigmas[at].item())

    def shifted(self, timesteps: Tensor, low: float = 20, high: float = 980) -> Tensor:
        """Uniform timesteps leaning to noise, within `low` to `high`: what the score models are asked at."""
        level = timesteps / GRID
        return (self.shift * level / (1 + (self.shift - 1) * level) * GRID).clamp(low, high)


def add_noise(x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """The sample at noise level `sigma` between x0 (0) and noise (1)."""
    return (1 - sigma) * x0 + sigma * noise


def flow_to_x0(flow: Tensor, x: Tensor, sigma: float) -> Tensor:
    """x0 of the sample x whose predicted flow (noise - x0) is given; in float64 within."""
    return (x.double() - sigma * flow.double()).to(x.dtype)


def x0_to_flow(x0: Tensor, x: Tensor, sigma: float) -> Tensor:
    """The inverse of `flow_to_x0`."""
    return ((x.double() - x0.double()) / sigma).to(x.dtype)


class Sampler:
    """A block's denoising steps: timesteps and noise levels as numbers, so that no step asks the device for one."""

    def __init__(self, config: SamplerConfig) -> None:
        schedule = Schedule(config.shift)
        self.gives_flow = config.prediction == "flow"
        self.timesteps = schedule.warp(config.steps) if config.warp else [float(step) for step in config.steps]
        self.sigmas = [schedule.sigma(timestep) for timestep in self.timesteps]

    def run(self, predict: Callable[[Tensor, float], Tensor], noise: Callable[[int], Tensor]) -> Iterator[Tensor]:
        """x0 after each model pass; the last one is the block.

        predict(x, timestep): the model; noise(step): float32 of the block's shape, for the start (0) and before each
        later step.
        """
        x = noise(0)
        for step, timestep in enumerate(self.timesteps):
            made = predict(x, timestep).float()
            x0 = flow_to_x0(made, x, self.sigmas[step]) if self.gives_flow else made
            yield x0
            if step + 1 < len(self.sigmas):
                x = add_noise(x0, noise(step + 1), self.sigmas[step + 1])
