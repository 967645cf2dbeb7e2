"""What is counted of a storybook's marks: shares and means with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from world.train.judge.report import Figure, mean_of_values, share_of_hits
from world.train.tale.words import ATTRIBUTES, SceneWords

Table = dict[str, dict[str, Figure]]


@dataclass(frozen=True)
class SwitchTrial:
    """One switch: what is read two seconds later, whether it is what was asked, and how the picture went.

    hits: [attributes] of the new scene; named: the attributes that the sentence named. layout: likeness to the stream
    that went on without a switch. jump: the largest mean change between two pictures in the second after, 0 to 255.
    """

    hits: list[bool]
    named: set[str]
    has_subject: bool
    layout: float
    jump: float


def known_hits(hits: Tensor, told: Sequence[SceneWords]) -> list[list[bool]]:
    """Of each scene the hits that mean something: the colour only where there is a subject."""
    skip = ATTRIBUTES.index("colour")
    return [
        [hit for n, hit in enumerate(row) if n != skip or scene["subject"] != "none"]
        for row, scene in zip(hits.tolist(), told, strict=True)
    ]


def shares(hits: Tensor, told: Sequence[SceneWords]) -> dict[str, Figure]:
    """The share of right values of each attribute, of hits bool [B, attributes]."""
    columns = {}
    for n, name in enumerate(ATTRIBUTES):
        is_seen = [name != "colour" or scene["subject"] != "none" for scene in told]
        columns[name] = share_of_hits([bool(hit) for hit, seen in zip(hits[:, n], is_seen, strict=True) if seen])
    return columns


def switch_table(trials: dict[str, list[SwitchTrial]]) -> Table:
    """For each mode: what was named is right, what was not named is as before, layout and jump."""
    rows: Table = {}
    for mode, made in trials.items():
        kept = [t for t in made if not t.named & {"place", "way", "speed"}]
        cells = {
            "named": share_of_hits([t.hits[n] for t in made for n, name in enumerate(ATTRIBUTES) if name in t.named]),
            "others": share_of_hits([hit for t in made for hit in unnamed_hits(t)]),
            "jump": mean_of_values([t.jump for t in made]),
        }
        if kept:
            cells["layout"] = mean_of_values([t.layout for t in kept])
        for n, name in enumerate(ATTRIBUTES):
            cells[f"{name} named"] = share_of_hits([t.hits[n] for t in made if name in t.named])
            stays = [t for t in made if name not in t.named and (name != "colour" or t.has_subject)]
            cells[f"{name} stays"] = share_of_hits([t.hits[n] for t in stays])
        rows[mode] = cells
    return rows


def unnamed_hits(trial: SwitchTrial) -> list[bool]:
    """The hits of the attributes that a switch did not name, as far as they can be seen."""
    return [
        hit
        for name, hit in zip(ATTRIBUTES, trial.hits, strict=True)
        if name not in trial.named and (name != "colour" or trial.has_subject)
    ]
