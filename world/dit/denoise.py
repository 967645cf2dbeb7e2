"""Flow matching in a few steps: the noise schedule, conversions, guidance, a sampler that pauses after each pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from world.dit.config import SamplerConfig
from world.seeds import mix

TIMESTEPS = 1000
NEARBY = 0.5  # how much of the guidance in a cell reaches its neighbours
TINY = 1e-12


def normal(seed: int, block: int, step: int, shape: tuple[int, ...]) -> Tensor:
    """Unit normal noise of `shape`, a pure function of seed, block and step whatever was drawn before.

    float32, drawn on the CPU so that every device gets the same numbers.
    """
    return torch.randn(shape, generator=torch.Generator().manual_seed(mix(seed, block, step)))


class NoiseSchedule:
    """The shifted noise schedule: 1000 noise levels (sigmas) descending from 1, and their timesteps.

    Computed in float32 throughout: the model sees how a timestep was rounded, and the released weights were trained
    with this rounding.
    """

    def __init__(self, shift: float = 5.0) -> None:
        level = torch.linspace(1, 0, TIMESTEPS + 1)[:-1]
        self.shift = shift
        self.sigmas = shift * level / (1 + (shift - 1) * level)
        self.timesteps = self.sigmas * TIMESTEPS

    def warp(self, nominal: Sequence[int]) -> list[float]:
        """Timesteps of the schedule for nominal ones: 1000 gives its first, 0 gives 0 (no noise)."""
        grid = [*self.timesteps.tolist(), 0.0]
        return [grid[TIMESTEPS - step] for step in nominal]

    def nearest(self, timesteps: Tensor) -> Tensor:
        """For each of timesteps [n] the index of the nearest one of the schedule: int64 [n]."""
        return (self.timesteps - timesteps[:, None].to(self.timesteps)).abs().argmin(1)

    def sigma(self, timestep: float) -> float:
        """The noise level of the schedule's timestep nearest to `timestep`."""
        return self.sigmas[self.nearest(torch.tensor([timestep]))].item()

    def euler(self, flow: Tensor, timestep: float, x: Tensor) -> Tensor:
        """One Euler step: x moved along `flow` from its timestep to the next one of the schedule."""
        at = int(self.nearest(torch.tensor([timestep])))
        after = self.sigmas[at + 1].item() if at + 1 < TIMESTEPS else 0.0
        return x + flow * (after - self.sigmas[at].item())

    def shifted(self, timesteps: Tensor, low: float = 20, high: float = 980) -> Tensor:
        """Uniform timesteps moved towards noise by `shift` and clamped to `low`..`high`, for training a score model."""
        level = timesteps / TIMESTEPS
        return (self.shift * level / (1 + (self.shift - 1) * level) * TIMESTEPS).clamp(low, high)


def add_noise(x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """The sample at noise level `sigma`, from x0 (0) to pure noise (1)."""
    return (1 - sigma) * x0 + sigma * noise


def flow_to_x0(flow: Tensor, x: Tensor, sigma: float) -> Tensor:
    """x0 from a sample x and its predicted flow (noise - x0), computed in float64."""
    return (x.double() - sigma * flow.double()).to(x.dtype)


def x0_to_flow(x0: Tensor, x: Tensor, sigma: float) -> Tensor:
    """The inverse of `flow_to_x0`."""
    return ((x.double() - x0.double()) / sigma).to(x.dtype)


def pressed_on(made: Tensor, left: Tensor, strength: float) -> Tensor:
    """`made` and `strength` times its difference from `left`, in the cells where that difference is large.

    made, left: a prediction [B, F, C, h, w] under new words, and under those that were left for them. It is classifier
    free guidance (arXiv 2207.12598) with the old words for the empty ones; keeping it to some cells is ours.
    """
    difference = made - left
    return made + strength * where_apart(difference) * difference


def where_apart(difference: Tensor) -> Tensor:
    """Weights [B, F, 1, h, w]: 0 in cells whose squared difference is at most the frame's mean, 1 from twice it on."""
    apart = difference.float().square().mean(2, keepdim=True)
    weight = (apart / apart.mean((-2, -1), keepdim=True).clamp(min=TINY) - 1).clamp(0, 1)
    nearby = F.max_pool2d(weight.flatten(0, 1), 3, stride=1, padding=1).view_as(weight)
    return torch.maximum(weight, NEARBY * nearby).to(difference.dtype)


class Sampler:
    """The denoising steps of a block. Timesteps and sigmas are Python floats, so that no step waits for the device.

    steps: nominal timesteps, if not those of the config.
    """

    def __init__(self, config: SamplerConfig, steps: Sequence[int] | None = None) -> None:
        schedule, steps = NoiseSchedule(config.shift), steps or config.steps
        self._predicts_flow = config.prediction == "flow"
        self.timesteps = schedule.warp(steps) if config.warp else [float(step) for step in steps]
        self.sigmas = [schedule.sigma(timestep) for timestep in self.timesteps]

    def run(self, predict: Callable[[Tensor, float], Tensor], noise: Callable[[int], Tensor]) -> Iterator[Tensor]:
        """Yield x0 after each model pass; the last one is the block.

        predict: the model, called as predict(x, timestep) with x [B, F, C, h, w], float32. noise: called with the
        number of the step, gives noise of that shape, to start from (step 0) and to add before each later step.
        """
        x, last = noise(0), len(self.timesteps) - 1
        for step, timestep in enumerate(self.timesteps):
            prediction = predict(x, timestep).float()
            x0 = flow_to_x0(prediction, x, self.sigmas[step]) if self._predicts_flow else prediction
            # drawn before anyone waits for x0: a GPU is still busy with the pass
            added = noise(step + 1) if step < last else None
            yield x0
            if added is not None:
                x = add_noise(x0, added, self.sigmas[step + 1])


class Samplers:
    """A sampler for each number of steps that a stream takes. Owned by a session."""

    def __init__(self, config: SamplerConfig) -> None:
        self._config = config
        self._samplers: dict[tuple[int, ...], Sampler] = {}

    def of_block(self, is_first: bool, count: int) -> Sampler:
        """For a block that is to be made in `count` steps; is_first: of its scene, which may have steps of its own."""
        steps = self._config.of_block(is_first, count)
        if steps not in self._samplers:
            self._samplers[steps] = Sampler(self._config, steps)
        return self._samplers[steps]
