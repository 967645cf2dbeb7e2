"""What a folder is played as, for people to read: each choice, and what it follows from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from world.dit.config import CacheConfig, SamplerConfig
from world.wan.family.picture import PICTURE
from world.wan.family.recognise import Recognised


class Fact(NamedTuple):
    """One line about a folder; why: what the value follows from, or nothing."""

    what: str
    value: str
    why: str = ""


def facts(folder: Path, plan: Recognised) -> list[Fact]:
    """The lines about `folder`, which is to be played by `plan`."""
    family, why = plan.family, plan.reasons
    width, height = plan.picture or PICTURE
    told = [
        Fact("family", f"{family.title} ({family.name})", why["family"]),
        Fact("weights", plan.weights.relative_to(folder).as_posix()),
        Fact("entry", plan.entry, why["entry"]),
        Fact("LoRA", plan.lora.relative_to(folder).as_posix() if plan.lora else "none", why["lora"]),
        Fact("sizes", plan.config.relative_to(folder).as_posix()),
        Fact("steps", told_steps(plan.sampler), why["steps"]),
        Fact("memory", told_memory(plan.cache), why["memory"]),
        Fact("picture", f"{width}x{height}, {plan.fps:g} frames a second"),
        Fact("licence", plan.licence, why["licence"]),
    ]
    return [*told, Fact("not made", family.missing, "of what was published")] if family.missing else told


def told_steps(sampler: SamplerConfig) -> str:
    """The nominal steps of a block."""
    shift = f"shifted by {sampler.shift:g}" if sampler.warp else "taken as they are"
    first = f"; the first block {_listed(sampler.first_steps)}" if sampler.first_steps else ""
    return f"{_listed(sampler.steps)}, {shift}{first}"


def told_memory(cache: CacheConfig) -> str:
    """What a block sees, and what becomes of it."""
    frames = f"{cache.block} latent frame{'s' if cache.block > 1 else ''}"
    told = f"window {cache.window}, sink {cache.sink}, blocks of {frames}, {cache.positions} positions"
    told += f" within {cache.span}" if cache.span else ""
    told += f", the sink averaged by {cache.sink_average:g}" if cache.sink_average else ""
    told += "" if cache.clean_pass else ", no clean pass"
    return told + (", new words flush it" if cache.flush else "")


def _listed(steps: tuple[int, ...]) -> str:
    return " ".join(map(str, steps))
