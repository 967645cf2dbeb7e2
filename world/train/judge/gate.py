"""The gate before a long run: what twenty minutes of the base stage must have reached, in eight denoising steps.

Scenes and directions are learnt first, so a recipe that falls short here is not worth an hour. The goals are the
figures of the best earlier run of this size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.small import SMALL
from world.train.data.captions import LINEAR, Look
from world.train.judge.recognise import Recogniser
from world.train.judge.report import Figure, markdown_table, share_of_hits
from world.train.judge.scores import ClipMark, Marker
from world.train.learn.rollout import SamplingRecipe

STEPS = 8
# even steps before the shift, without fresh noise: a base has not been tuned to few steps yet
GATE_SIGMAS = tuple(SMALL.shift * t / (1 + (SMALL.shift - 1) * t) for t in (1 - n / STEPS for n in range(STEPS)))
GATE_RECIPE = SamplingRecipe(GATE_SIGMAS, renoise=False)


@dataclass(frozen=True)
class Criterion:
    """A share of right answers, and the goal that it must reach."""

    reached: Figure
    goal: float

    @property
    def is_met(self) -> bool:
        """Whether the share itself reaches the goal; its interval is only printed."""
        return self.reached.value >= self.goal


def criteria(marked: Sequence[tuple[Look, ClipMark]]) -> dict[str, Criterion]:
    """The gate's criteria for the asked looks and the marks of what was made: scenes and directions."""
    centred = [mark for look, mark in marked if look.direction not in LINEAR]
    linear = [mark for look, mark in marked if look.direction in LINEAR]
    return {
        "scene": Criterion(share_of_hits([mark.scene for _, mark in marked]), 0.94),
        "scene of ripples, tunnel, spiral": Criterion(share_of_hits([mark.scene for mark in centred]), 0.91),
        "direction of ripples, tunnel, spiral": Criterion(share_of_hits([mark.direction for mark in centred]), 0.5),
        "direction left, right, up, down": Criterion(share_of_hits([mark.direction for mark in linear]), 0.88),
    }


def linear_marker(latents: LinearLatents, recogniser: Recogniser) -> Marker:
    """A marker that decodes latents linearly, because at the gate there may be no trained decoder yet."""
    decoder = PictureDecoder(latents.geometry)  # adds nothing to the linear picture before it is trained
    decoder.linear.load_state_dict(latents.state_dict())
    return Marker(decoder.eval(), recogniser)


def print_criteria(found: Mapping[str, Criterion]) -> list[str]:
    """Print the criteria as a table; gives the names of those that are not met."""
    rows = {name: {"reached": criterion.reached, "goal": criterion.goal} for name, criterion in found.items()}
    print(markdown_table("", rows))
    return [name for name, criterion in found.items() if not criterion.is_met]
