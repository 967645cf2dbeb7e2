"""The rules of play that `train evaluate` takes: those that need no session, only a stream's window and steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from world.compact.form import WorldForm
from world.dit.config import SamplerConfig
from world.info import grip_dial
from world.options import step_counts
from world.train.learn.rollout import SamplingRecipe

NEED_A_SESSION = ("--sink-ema", "--memory", "--memory-slots", "--brake")


@dataclass(frozen=True)
class PlayedRules:
    """Fields as in world.options.WorldOptions; None: as the world has it."""

    steps: str | None = None
    sink: int | None = None
    carry: int | None = None
    press: float | None = None

    def recipe(self, form: WorldForm) -> SamplingRecipe:
        """How streams of such a world are sampled; raises WorldError for what it cannot be."""
        counts, form = step_counts(self.steps), form.with_sink(self.sink)
        grip_dial(self.carry, form.window)
        return SamplingRecipe(
            _sigmas(form, counts.then),
            window=form.window,
            sink=form.sink,
            press=form.press if self.press is None else self.press,
            first_sigmas=_sigmas(form, counts.first) if counts.first else (),
            carry=self.carry,
        )

    @property
    def given(self) -> dict[str, str]:
        """The options that were given, as they are typed."""
        return {f"--{name}": f"{value}" for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        """What a table's title says of them; nothing where none were given."""
        return "".join(f" {option} {value}" for option, value in self.given.items())


AS_PLAYED = PlayedRules()  # every world as it is


def _sigmas(form: WorldForm, count: int | None) -> tuple[float, ...]:
    """The noise levels of so many steps; None: the world's own."""
    steps = form.steps if count is None else SamplerConfig(form.steps).counted(count)
    return tuple(form.shift * step / (1000 + (form.shift - 1) * step) for step in steps)
