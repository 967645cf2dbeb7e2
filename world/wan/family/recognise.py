"""Which family a folder holds and with which numbers it is to be played, or why that cannot be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from world.dit.config import CacheConfig, SamplerConfig
from world.info import WorldError
from world.wan.family.description import NAME, Description, read_description
from world.wan.family.places import LONGLIVE, PLAIN, WAN, WAN_14B, find, is_there, need
from world.wan.family.presets import FAMILIES, SUFFIXES, Family, elsewhere, families_of, family_named

FPS = 16.0
DEPTHS = ("*", "*/*", "*/*/*")  # no deeper: somebody may name a folder with a million files
PARTS = ("Wan2.1_VAE", "taew2_1", "models_", "umt5", *(name.partition(".")[0] for name in PLAIN))


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
    family, weights, why = _family_and_weights(folder, said)
    places = (*WAN_14B, *WAN) if family.is_14b else (*WAN, *WAN_14B)
    config = need(folder, places, "config.json")
    lora = _lora(folder, family, said)
    try:
        cache, sampler = replace(family.cache, **_with_sink_rule(family, said)), replace(family.sampler, **said.sampler)
    except ValueError as error:
        raise WorldError(f"{folder / NAME} cannot be used: {error}") from None
    reasons = {
        "family": why,
        "entry": NAME if said.entry else f"what the published code of {family.title} reads",
        "lora": NAME if said.lora else "its published name" if lora else "the family has none, or none is there",
        "steps": NAME if said.sampler else "as published",
        "memory": NAME if said.cache else "as published",
        "licence": NAME if said.licence else "as stated where it was published",
    }
    return Recognised(
        family,
        config,
        weights,
        said.entry or family.entry,
        said.entry is not None,
        lora,
        cache,
        sampler,
        said.picture,
        said.fps or FPS,
        said.licence or family.licence,
        reasons,
    )


def _family_and_weights(folder: Path, said: Description) -> tuple[Family, Path, str]:
    """The family, its file, and how they were recognised."""
    named = _named_family(folder, said)
    if said.weights:
        path = folder / said.weights
        if not is_there(path):
            raise WorldError(f"{folder / NAME} names weights = {said.weights!r}, and there is no such file")
        return named or _family_of(folder, path), path, f"{NAME} names {said.weights}"
    if named:
        return named, _file_of(folder, named), f"{NAME} says family = {named.name!r}"
    return _found(folder)


def _named_family(folder: Path, said: Description) -> Family | None:
    if said.family is None:
        return None
    named = family_named(said.family)
    if named is None:
        known = ", ".join(family.name for family in FAMILIES)
        raise WorldError(f"{folder / NAME} says family = {said.family!r}: expected one of {known}")
    return named


def _family_of(folder: Path, path: Path) -> Family:
    """The one family whose file this is."""
    place = path.relative_to(folder).as_posix()
    _refuse_elsewhere(path, place)
    found = families_of(place)
    if len(found) != 1:
        raise WorldError(f"{path} may be of any family: say which in {folder / NAME}, like {_example(place)}")
    return found[0]


def _file_of(folder: Path, family: Family) -> Path:
    """The one file of `family` in the folder."""
    if family.name == "wan":
        return need(folder, (*WAN, *WAN_14B), *PLAIN)
    found = [path for path, place in _candidates(folder) if family in families_of(place)]
    if not found and len(unknown := list(_unknown(folder))) == 1:
        return unknown[0]
    if len(found) != 1:
        there = _told(folder, found or list(_unknown(folder)))
        raise WorldError(f"{folder} holds {there} for {family.title}: say in {folder / NAME} which, weights = '...'")
    return found[0]


def _found(folder: Path) -> tuple[Family, Path, str]:
    """Without a word in world.toml: the one family whose published file is there."""
    found = {path: family for path, place in _candidates(folder) for family in families_of(place)}
    if len(found) > 1:
        one = next(iter(found))
        hint = f"weights = {one.relative_to(folder).as_posix()!r}"
        raise WorldError(f"{folder} holds {_told(folder, list(found))}: say in {folder / NAME} which to play, {hint}")
    for path, family in found.items():
        return family, path, f"the published name {path.relative_to(folder).as_posix()}"
    for path, place in _candidates(folder):
        _refuse_elsewhere(path, place)
    for path in _unknown(folder):
        example = _example(path.relative_to(folder).as_posix())
        raise WorldError(f"{path} may be of any family: say which in {folder / NAME}, like {example}")
    if find(folder, (*WAN, *WAN_14B), *PLAIN):
        told = f"{folder} holds Wan's own weights only, which were made for many more steps"
        raise WorldError(f"{told}: add a family's file, or say family = 'wan' in {folder / NAME} to see noise")
    return FAMILIES[0], need(folder, LONGLIVE, *(f"longlive_base{suffix}" for suffix in SUFFIXES)), ""


def _candidates(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file that may be weights, with its place below the folder; of one file in several forms only the first."""
    seen = set[str]()
    below = [path for pattern in DEPTHS for path in sorted(folder.glob(pattern))]
    paths = [path for path in below if path.name.endswith(SUFFIXES)]
    for path in sorted(paths, key=lambda path: [path.name.endswith(suffix) for suffix in SUFFIXES], reverse=True):
        place = path.relative_to(folder).as_posix()
        stem = next(place.removesuffix(suffix) for suffix in SUFFIXES if place.endswith(suffix))
        if stem not in seen:
            seen.add(stem)
            yield path, place


def _unknown(folder: Path) -> Iterator[Path]:
    """The files that may be weights of a family, but have no published name that tells which."""
    for path, place in _candidates(folder):
        is_part = path.name.startswith(PARTS) or path.name in _loras() or "-of-0" in path.name
        if not is_part and not families_of(place) and elsewhere(place) is None:
            yield path


def _loras() -> set[str]:
    return {name for family in FAMILIES for name in family.loras}


def _lora(folder: Path, family: Family, said: Description) -> Path | None:
    if said.lora:
        path = folder / said.lora
        if not is_there(path):
            raise WorldError(f"{folder / NAME} names lora = {said.lora!r}, and there is no such file")
        return path
    return find(folder, LONGLIVE, *family.loras) if family.loras else None


def _with_sink_rule(family: Family, said: Description) -> dict[str, Any]:
    """The numbers of the memory that world.toml says; a cache without a sink has none to keep."""
    sink = said.cache.get("sink", family.cache.sink)
    return {**said.cache, "keep_sink": sink > 0}


def _refuse_elsewhere(path: Path, place: str) -> None:
    what = elsewhere(place)
    if what:
        raise WorldError(f"{path} is of {what}: this engine does not play it (docs/worlds.md says why)")


def _example(place: str) -> str:
    return f"family = 'self-forcing' and weights = {place!r}"


def _told(folder: Path, paths: list[Path]) -> str:
    """The files for a message: at most four of them."""
    names = [path.relative_to(folder).as_posix() for path in paths]
    return (", ".join(names[:4]) + (", ..." if len(names) > 4 else "")) or "no file"
