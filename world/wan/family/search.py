"""Which file of a folder holds the weights, and of which family it is, by what the folder says and by known names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from world.info import WorldError
from world.wan.family.description import NAME, Description
from world.wan.family.places import LONGLIVE, PLAIN, WAN, WAN_14B, find, is_there, need
from world.wan.family.presets import FAMILIES, LORAS, SUFFIXES, Family, elsewhere, families_of, family_named

DEPTHS = ("*", "*/*", "*/*/*")  # no deeper: somebody may name a folder with a million files
PARTS = ("Wan2.1_VAE", "taew2_1", "models_", "umt5", *(name.partition(".")[0] for name in PLAIN))


def family_and_weights(folder: Path, said: Description) -> tuple[Family, Path, str]:
    """The family of `folder`, its file of weights, and how they were recognised.

    Raises WorldError, one line that names the file and what would resolve it, where that is not clear.
    """
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
    # the published file of another family is taken only for a family that has no published names itself
    found = found or [path for path, place in _any_weights(folder) if not family.files or not families_of(place)]
    if len(found) != 1:
        there = _told(folder, found)
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
    for path, _ in _any_weights(folder):
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


def _any_weights(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files that may be weights of any family, with their places: no parts of another kind, and no LoRA."""
    for path, place in _candidates(folder):
        is_part = path.name.startswith(PARTS) or path.name in LORAS or "-of-0" in path.name
        if not is_part and elsewhere(place) is None:
            yield path, place


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
