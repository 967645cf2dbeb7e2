"""The loops of the published families, said slowly: one list of frames to a layer, cut, moved and averaged as told.

A second implementation, to hold the engine against. Only the transformer itself and the source of noise are shared with
it; everything that the families differ by (steps, positions, window, sink, passes, what a switch does) is here anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from world.dit.denoise import normal
from world.dit.dit import CausalDiT, TextKV
from world.dit.rope import rotate, rotation


@dataclass(frozen=True)
class Loop:
    """The numbers of a family, as they stand in its configuration.

    average: of the sink, 0 for none. clean: whether the finished block is written once more. flush: whether new words
    keep the sink and two frames, instead of encoding the window again.
    """

    steps: list[float]
    window: int
    sink: int
    block: int
    shift: float = 5.0
    warp: bool = True
    first_steps: list[float] | None = None
    positions: str = "relative"
    average: float = 0.0
    clean: bool = True
    flush: bool = False


@cache
def turn(place: int, grid: tuple[int, int], head_dim: int) -> Tensor:
    """The rotation of a frame at a position in time."""
    return rotation(torch.tensor([place]), grid, head_dim)


class Layer:
    """What one layer remembers: (frame, key, value) in order of time, keys not rotated, [B, N, heads, d] each."""

    def __init__(self, loop: Loop, grid: tuple[int, int]) -> None:
        self.loop, self.grid = loop, grid
        self.held: list[tuple[int, Tensor, Tensor]] = []

    def call(self, start: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of frames q, k, v [B, F, N, heads, d] from frame `start` on, which take their places."""
        frames = q.shape[1]
        if start not in [frame for frame, _, _ in self.held]:
            self.make_room(frames)
        self.held = [one for one in self.held if one[0] < start]
        self.held += [(start + i, k[:, i], v[:, i]) for i in range(frames)]
        places = self.places()
        keys = torch.cat([self.turned(k, place) for (_, k, _), place in zip(self.held, places, strict=True)], 1)
        queries = torch.cat([self.turned(q[:, i], place) for i, place in enumerate(places[-frames:])], 1)
        values = torch.cat([v for _, _, v in self.held], 1)
        queries, keys, values = (x.double().transpose(1, 2) for x in (queries, keys, values))
        weights = torch.softmax(queries @ keys.transpose(2, 3) / q.shape[-1] ** 0.5, -1)
        return (weights @ values).transpose(1, 2).float()

    def make_room(self, frames: int) -> None:
        sink, average = self.loop.sink, self.loop.average
        gone = max(0, len(self.held) + frames - self.loop.window)
        leaving = self.held[sink : sink + gone]
        if average and leaving:
            kept = zip(self.held[:sink], leaving, strict=True)
            mixed = [
                (s[0], average * s[1] + (1 - average) * g[1], average * s[2] + (1 - average) * g[2]) for s, g in kept
            ]
            self.held[:sink] = mixed
        del self.held[sink : sink + gone]

    def places(self) -> list[int]:
        """The position in time of each frame that is held."""
        newest = self.held[-1][0]
        if self.loop.positions == "absolute":
            return [frame for frame, _, _ in self.held]
        if self.loop.positions == "relative":
            return list(range(len(self.held)))
        span, sink = int(self.loop.positions), self.loop.sink  # clamped: the newest is at most at span - 1
        last = min(newest, span - 1)
        return [i if i < sink else last - (newest - frame) for i, (frame, _, _) in enumerate(self.held)]

    def turned(self, x: Tensor, place: int) -> Tensor:
        """x [B, N, heads, d] rotated to a position in time."""
        return rotate(x, turn(place, self.grid, x.shape[-1]))


class Film:
    """A family's loop over `blocks` blocks, new words at the blocks of `switches`."""

    def __init__(self, dit: CausalDiT, loop: Loop, latent: tuple[int, int, int]) -> None:
        self.dit, self.loop, self.latent = dit, loop, latent
        self.grid = (latent[1] // 2, latent[2] // 2)
        self.layers = [Layer(loop, self.grid) for _ in range(dit.config.num_layers)]

    @torch.no_grad()
    def make(self, words: dict[int, Tensor], blocks: int, seed: int) -> Tensor:
        """All latents [1, F, C, h, w]; words: the prompt's embedding by the block from which it is in force."""
        made, text = torch.zeros(1, 0, *self.latent), self.dit.words(words[0])
        for number in range(blocks):
            if number and number in words:
                text = self.dit.words(words[number])
                self.switch(made, text)
            x0 = self.denoise(number, made.shape[1], text, seed)
            if self.loop.clean:
                self.run(x0, 0.0, text, made.shape[1])
            made = torch.cat([made, x0], 1)
        return made

    def denoise(self, number: int, start: int, text: TextKV, seed: int) -> Tensor:
        steps = self.loop.first_steps if number == 0 and self.loop.first_steps else self.loop.steps
        shape = (1, self.loop.block, *self.latent)
        x = normal(seed, number, 0, shape)
        for i, nominal in enumerate(steps):
            timestep, sigma = self.level(nominal)
            flow = self.run(x, timestep, text, start)
            x0 = (x.double() - sigma * flow.double()).float()
            if i + 1 < len(steps):
                sigma = self.level(steps[i + 1])[1]
                x = (1 - sigma) * x0 + sigma * normal(seed, number, i + 1, shape)
        return x0

    def level(self, nominal: float) -> tuple[float, float]:
        """Timestep and noise level of a nominal step: on the schedule of 1000 levels, shifted."""
        level = torch.linspace(1, 0, 1001)[:-1]
        sigmas = self.loop.shift * level / (1 + (self.loop.shift - 1) * level)
        timestep = float(sigmas[1000 - int(nominal)] * 1000) if self.loop.warp else float(nominal)
        nearest = int((sigmas * 1000 - timestep).abs().argmin())
        return timestep, float(sigmas[nearest])

    def switch(self, made: Tensor, text: TextKV) -> None:
        """New words: flush, or encode the window again at once, over all of it while it is not full."""
        sink, end = self.loop.sink, made.shape[1]
        if self.loop.flush:
            for layer in self.layers:
                layer.held = layer.held[:sink] + layer.held[sink:][-2:]
            return
        is_full = end > self.loop.window
        kept = sink if is_full else 0
        again = min(end, self.loop.window) - kept
        for layer in self.layers:
            layer.held = layer.held[:kept]
        self.run(made[:, end - again :], 0.0, text, end - again)

    def run(self, x: Tensor, timestep: float, text: TextKV, start: int) -> Tensor:
        """One call of the model on latents x [1, F, C, h, w]."""
        tokens = self.grid[0] * self.grid[1]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            parts = (part.unflatten(1, (-1, tokens)) for part in (q, k, v))
            return self.layers[layer].call(start, *parts)

        return self.dit(x, torch.full(x.shape[:2], timestep), text, attend)
