"""What phones are told of the show besides what every guest hears: its dials, words, cues and switches."""

from __future__ import annotations

from typing import Any, Protocol

from input.keys import Keyboard
from loop.stage.desk import CueDesk
from loop.supervise.model import Model
from world.info import WorldInfo


class ShowState(Protocol):
    """What somebody at the window has set."""

    desk: CueDesk
    keyboard: Keyboard
    frozen: bool
    blackout: bool


def show_facts(show: ShowState, model: Model) -> list[dict[str, Any]]:
    """States for the phones, each of its kind; empty until the world is open."""
    if model.info is None:
        return []
    desk = show.desk
    return [
        _world(model.info),
        {"kind": "words", "text": model.words or ""},
        {"kind": "switches", "freeze": show.frozen, "blackout": show.blackout},
        {"kind": "cues", "names": [cue.name for cue in desk.cues], "next": desk.next_cue},
        {"kind": "dials", "dials": _dials(show.keyboard)},
    ]


def _world(info: WorldInfo) -> dict[str, Any]:
    words = {"vocabulary": list(info.vocabulary), "examples": list(info.examples)}
    return {"kind": "world", "name": info.name, "picture": list(info.picture), **words}


def _dials(keyboard: Keyboard) -> dict[str, dict[str, float]]:
    """Each dial's limits, its value at rest, and where it is."""
    return {
        name: {"low": limits.low, "high": limits.high, "rest": limits.rest, "value": keyboard.values[name]}
        for name, limits in keyboard.dials.items()
    }
