"""As which family a folder is played and with which numbers, and what each choice follows from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from world.dit.config import CacheConfig, SamplerConfig
from world.info import WorldError
from world.wan.family.description import NAME, Description, read_description
from world.wan.family.places import LONGLIVE, WAN, WAN_14B, find, is_there, need
from world.wan.family.presets import Family
from world.wan.family.search import family_and_weights

FPS = 16.0


@dataclass(frozen=True)
class Recognised:
    """What a folder is played as.

    entry: of the file of weights, for the loader; is_said: whether world.toml demands that one. picture: None for
    the usual size. reasons: what each of the choices follows from, by its name.
    """

    family: Family
    config: Path
    weights: Path
    entry: str
    is_said: bool
    lora: Path | None
    cache: CacheConfig
    sampler: SamplerConfig
    picture: tuple[int, int] | None
    fps: float
    licence: str
    reasons: Mapping[str, str]


def recognise(folder: Path) -> Recognised:
    """What to play `folder` as. Reads its world.toml and the names of its files, and no weights.

    Raises WorldError, one line that names the file and what would resolve it, for a folder that is unknown, ambiguous,
    or of a family whose loop is not made here.
    """
    if find(folder, (*WAN, *WAN_14B), "config.json") is None:
        raise WorldError(f"{folder} is not a folder of Wan checkpoints: looked for {WAN[0]}/config.json, config.json")
    said = read_description(folder)
    family, weights, why = family_and_weights(folder, said)
    lora = _lora(folder, family, said)
    cache, sampler = _numbers(folder, family, said)
    return Recognised(
        family=family,
        config=need(folder, (*WAN_14B, *WAN) if family.is_14b else (*WAN, *WAN_14B), "config.json"),
        weights=weights,
        entry=said.entry or family.entry,
        is_said=said.entry is not None,
        lora=lora,
        cache=cache,
        sampler=sampler,
        picture=said.picture,
        fps=said.fps or FPS,
        licence=said.licence or family.licence,
        reasons={"family": why, **_reasons(family, said, lora)},
    )


def _lora(folder: Path, family: Family, said: Description) -> Path | None:
    if said.lora:
        path = folder / said.lora
        if not is_there(path):
            raise WorldError(f"{folder / NAME} names lora = {said.lora!r}, and there is no such file")
        return path
    return find(folder, LONGLIVE, *family.loras) if family.loras else None


def _numbers(folder: Path, family: Family, said: Description) -> tuple[CacheConfig, SamplerConfig]:
    """The memory and the steps: those of the family, but for what world.toml says."""
    sink = said.cache.get("sink", family.cache.sink)
    try:
        cache = replace(family.cache, **said.cache, keep_sink=sink > 0)
        return cache, replace(family.sampler, **said.sampler)
    except ValueError as error:
        raise WorldError(f"{folder / NAME} cannot be used: {error}") from None


def _reasons(family: Family, said: Description, lora: Path | None) -> dict[str, str]:
    """What each choice besides the family follows from."""
    return {
        "entry": NAME if said.entry else f"what the published code of {family.title} reads, where a file has entries",
        "lora": NAME if said.lora else "its published name" if lora else "the family has none, or none is there",
        "steps": NAME if said.sampler else "as published",
        "memory": NAME if said.cache else "as published",
        "licence": NAME if said.licence else "as stated where it was published",
    }
