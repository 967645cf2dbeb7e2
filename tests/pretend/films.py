"""`python -m tests.pretend.films FIRST COUNT`: random films on a pretended GPU that a CPU makes too.

Each seed has a cache, exact or captured passes, events of every kind, and an order of the device's work. Prints the
seeds whose films differ, and ends with status 1 if any does.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from tests.model.test_cuda import CACHES, world_on
from tests.pretend.gpu import pretended_gpu
from tests.stream.test_take_back import Film
from world.diffusion.world import DiffusionWorld
from world.event import Dial
from world.info import DialRange, press_dial, steps_dial

BLOCKS = 16
DIALS = {**press_dial(1.0), **steps_dial(2), "grip": DialRange(0.0, 1.0, 1.0)}


class TurnedFilm(Film):
    """A film in which the dials of a session are turned too."""

    def events(self):
        turned = Dial(name := self.chance.choice(list(DIALS)), self.chance.uniform(DIALS[name].low, 3.0))
        return [*super().events(), *([turned] if self.chance.random() < 0.3 else [])]


def film(world: DiffusionWorld, seed: int) -> list[tuple]:
    """What was made, and under which events: a block that comes out with garbage is made again, and they say so."""
    turned = replace(world, info=replace(world.info, dials={**world.info.dials, **DIALS}))
    made = TurnedFilm(turned.session(7, "first words"), seed)
    made.play(BLOCKS)
    return [(block.index, block.events, block.latents) for block in made.blocks.values()]


def differs(seed: int) -> bool:
    """Whether the film of a seed is another one on a pretended GPU."""
    caches = list(CACHES.values())
    cache, is_fast = caches[seed % len(caches)], seed // len(caches) % 2 == 1
    expected = film(world_on("cpu", cache), seed)
    with pretended_gpu(seed):
        made = film(world_on("cuda", cache, is_fast), seed)
    if [one[:2] for one in made] != [one[:2] for one in expected]:
        return True
    return any(abs(ours - theirs).max() > 1e-4 for (*_, ours), (*_, theirs) in zip(made, expected, strict=True))


def main(first: int, count: int) -> int:
    with torch.inference_mode():
        found = [seed for seed in range(first, first + count) if differs(seed)]
    print(f"{count} films, {len(found)} of them otherwise on the pretended GPU: {found}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
