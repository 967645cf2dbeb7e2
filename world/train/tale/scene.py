"""What a clip of the storybook shows: one value for each attribute, and the seed of its layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from world.train.tale.words import ATTRIBUTES, HABITS, PLACES, SUBJECTS, VALUES, WEATHERS, SceneWords

_HABIT = tuple(VALUES["colour"].index(HABITS[subject]) for subject in VALUES["subject"])
_NONE = VALUES["subject"].index("none")


@dataclass(frozen=True)
class Scenes:
    """B scenes: for each attribute the number of its value in VALUES, int64 [B], and what chance decides.

    phase: where the camera's way begins, 0 to 1, of the one round that every place repeats. beat: where the clock of
    waves, wings and weather begins, in seconds. Both float32 [B]. A scene without a subject has a colour that nobody
    sees: that of HABITS, which the next subject may not follow.
    """

    place: Tensor
    time: Tensor
    weather: Tensor
    subject: Tensor
    colour: Tensor
    way: Tensor
    speed: Tensor
    phase: Tensor
    beat: Tensor

    def __len__(self) -> int:
        return len(self.place)

    def rows(self, index: Tensor | slice) -> Scenes:
        """Some of the scenes, in the order of `index`."""
        return Scenes(*(getattr(self, field.name)[index] for field in fields(self)))

    def numbers(self) -> Tensor:
        """The values of all attributes, int64 [B, attributes], in the order of ATTRIBUTES."""
        return torch.stack([getattr(self, name) for name in ATTRIBUTES], 1)

    def described(self) -> list[SceneWords]:
        """Each scene in words: attribute to value. Copies to the CPU."""
        rows = self.numbers().tolist()
        return [{name: VALUES[name][row[n]] for n, name in enumerate(ATTRIBUTES)} for row in rows]


def scenes_of(
    described: Iterable[SceneWords], generator: torch.Generator, device: torch.device | str = "cpu"
) -> Scenes:
    """Scenes as told in words, with a layout from `generator`, which must be on `device`."""
    rows = [[VALUES[name].index(scene[name]) for name in ATTRIBUTES] for scene in described]
    numbers = torch.tensor(rows, device=device).view(-1, len(ATTRIBUTES))
    return _seeded(dict(zip(ATTRIBUTES, numbers.unbind(1), strict=True)), generator)


def random_scenes(
    count: int, generator: torch.Generator, device: torch.device | str = "cpu", habit: float = 0.35
) -> Scenes:
    """`count` independent scenes; every combination of values can occur, since a performer may ask for any.

    habit: the share of the subjects in the colour that they have unless told otherwise. `generator` is on `device`.
    """
    drawn = {name: _draw(len(VALUES[name]), count, generator, device) for name in ATTRIBUTES}
    usual = torch.rand(count, generator=generator, device=device) < habit
    drawn["colour"] = torch.where(usual | (drawn["subject"] == _NONE), _habit(drawn["subject"]), drawn["colour"])
    return _seeded(drawn, generator)


def changed(scenes: Scenes, attributes: Iterable[str], generator: torch.Generator) -> Scenes:
    """The same scenes, seed and layout kept, in which each of `attributes` has another value than before.

    A new subject keeps the colour of the old one unless `colour` is among the attributes; after no subject it has its
    own (HABITS). A scene without a subject takes no colour, so there `colour` alone changes nothing.
    """
    names = set(attributes)
    if strangers := names - set(ATTRIBUTES):
        raise ValueError(f"unknown attributes {sorted(strangers)}: expected some of {', '.join(ATTRIBUTES)}")
    new = {name: getattr(scenes, name) for name in ATTRIBUTES}
    for name in ATTRIBUTES:
        if name in names:
            step = _draw(len(VALUES[name]) - 1, len(scenes), generator, scenes.place.device)
            new[name] = (new[name] + 1 + step) % len(VALUES[name])
    appears = (scenes.subject == _NONE) & (new["subject"] != _NONE)
    has_habit = (new["subject"] == _NONE) | (appears if "colour" not in names else torch.zeros_like(appears))
    new["colour"] = torch.where(has_habit, _habit(new["subject"]), new["colour"])
    return replace(scenes, **new)


def _seeded(attributes: dict[str, Tensor], generator: torch.Generator) -> Scenes:
    device, count = attributes["place"].device, len(attributes["place"])
    phase = torch.rand(count, generator=generator, device=device)
    beat = 40 * torch.rand(count, generator=generator, device=device)
    return Scenes(**attributes, phase=phase, beat=beat)


def _draw(values: int, count: int, generator: torch.Generator, device: torch.device | str) -> Tensor:
    return torch.randint(values, (count,), generator=generator, device=device)


def _habit(subject: Tensor) -> Tensor:
    return torch.tensor(_HABIT, device=subject.device)[subject]


@dataclass(frozen=True)
class Groups:
    """Which scenes of a batch show what: for each value that occurs the numbers of its scenes, int64.

    near: the place whose near layer is drawn; a boat brings water to any place. snowy and snowy_near: `place` and
    `near` of the scenes with snow. grounded and flying: the subjects that stand behind and before the near layer.
    """

    place: dict[str, Tensor]
    near: dict[str, Tensor]
    snowy: dict[str, Tensor]
    snowy_near: dict[str, Tensor]
    weather: dict[str, Tensor]
    grounded: dict[str, Tensor]
    flying: dict[str, Tensor]


def group(scenes: Scenes) -> Groups:
    """The groups of a batch. Copies three numbers a scene to the CPU: the only time that drawing waits for a GPU."""
    rows = torch.stack([scenes.place, scenes.weather, scenes.subject], 1).tolist()
    shown = [(PLACES[place], WEATHERS[weather], SUBJECTS[subject]) for place, weather, subject in rows]

    def split(kinds: Iterable[str]) -> dict[str, Tensor]:
        found: dict[str, list[int]] = {}
        for number, kind in enumerate(kinds):
            if kind:
                found.setdefault(kind, []).append(number)
        return {kind: torch.tensor(numbers, device=scenes.place.device) for kind, numbers in found.items()}

    near = ["sea" if subject == "boat" else place for place, _, subject in shown]
    is_snowy = [weather == "snow" for _, weather, _ in shown]
    is_grounded = [subject in ("boat", "train") or (place, subject) == ("sea", "whale") for place, _, subject in shown]
    return Groups(
        place=split(place for place, _, _ in shown),
        near=split(near),
        snowy=split(place * snow for (place, _, _), snow in zip(shown, is_snowy, strict=True)),
        snowy_near=split(place * snow for place, snow in zip(near, is_snowy, strict=True)),
        weather=split(weather for _, weather, _ in shown),
        grounded=split(subject * stands for (_, _, subject), stands in zip(shown, is_grounded, strict=True)),
        flying=split(
            subject * (subject != "none" and not stands)
            for (_, _, subject), stands in zip(shown, is_grounded, strict=True)
        ),
    )
