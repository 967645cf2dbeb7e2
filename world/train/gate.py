"""The gate before a long run: what twenty minutes of the base stage must have reached, in eight plain steps.

Scenes and directions are learnt first, so a recipe that falls short here is not worth an hour. The figures to reach are
those of the best earlier run of this size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from world.small.decoder import LinearLatents, PictureDecoder
from world.small.world import SHIFT
from world.train.captions import LINEAR, Look
from world.train.recognise import Recogniser
from world.train.report import Figure, share, table
from world.train.rollout import Recipe
from world.train.scores import Mark, Marker

STEPS = 8
# even steps before the shift, each from where the last one ended: a base has not been taught few steps yet
PLAIN = Recipe(tuple(SHIFT * t / (1 + (SHIFT - 1) * t) for t in (1 - n / STEPS for n in range(STEPS))), renoise=False)


@dataclass(frozen=True)
class Hurdle:
    """A share that is right, and the least it must be."""

    reached: Figure
    goal: float

    @property
    def cleared(self) -> bool:
        """The share itself is compared: its interval is printed beside it."""
        return self.reached.value >= self.goal


def hurdles(seen: Sequence[tuple[Look, Mark]]) -> dict[str, Hurdle]:
    """Of looks that were asked for and marks of what was seen: scenes and directions, round a middle and straight."""
    middle = [mark for look, mark in seen if look.direction not in LINEAR]
    straight = [mark for look, mark in seen if look.direction in LINEAR]
    return {
        "scene": Hurdle(share([mark.scene for _, mark in seen]), 0.94),
        "scene of ripples, tunnel, spiral": Hurdle(share([mark.scene for mark in middle]), 0.91),
        "direction of ripples, tunnel, spiral": Hurdle(share([mark.direction for mark in middle]), 0.5),
        "direction left, right, up, down": Hurdle(share([mark.direction for mark in straight]), 0.88),
    }


def marker_of(latents: LinearLatents, recogniser: Recogniser) -> Marker:
    """One that sees linear pictures, for there need be no decoder yet."""
    decoder = PictureDecoder(latents.geometry)  # adds nothing before it is trained
    decoder.linear.load_state_dict(latents.state_dict())
    return Marker(decoder.eval(), recogniser)


def show(found: dict[str, Hurdle]) -> list[str]:
    """Print the hurdles as a table; gives the names of those that were not cleared."""
    print(table("", {name: {"reached": hurdle.reached, "goal": hurdle.goal} for name, hurdle in found.items()}))
    return [name for name, hurdle in found.items() if not hurdle.cleared]
