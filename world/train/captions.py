"""Looks and the words for them: captions from a seed, and the look that words ask for.

A caption need not say everything. What it leaves out comes from what was on screen before, or else from a habit (a
world without a scene is plasma), so that every prompt has one exact answer and the model never learns an average.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from world.small.text import THESAURUS, concepts

LINEAR = ("left", "right", "up", "down")
SCENES: dict[str, tuple[str, ...]] = {  # the directions of each, its habit first
    "plasma": ("right", "left", "up", "down"),
    "stripes": ("right", "left", "up", "down"),
    "grid": ("right", "left", "up", "down"),
    "orbs": ("right", "left", "up", "down"),
    "waves": ("right", "left"),
    "rain": ("down", "up"),
    "ripples": ("outwards", "inwards"),
    "tunnel": ("outwards", "inwards"),
    "spiral": ("clockwise", "counterclockwise"),
}
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (255, 30, 25),
    "orange": (255, 130, 15),
    "yellow": (255, 225, 30),
    "green": (40, 225, 50),
    "cyan": (30, 225, 230),
    "blue": (35, 70, 255),
    "purple": (150, 40, 235),
    "pink": (255, 105, 185),
    "white": (235, 235, 235),
}
HABITS = {
    "plasma": "purple",
    "stripes": "orange",
    "grid": "green",
    "orbs": "pink",
    "waves": "blue",
    "rain": "cyan",
    "ripples": "cyan",
    "tunnel": "purple",
    "spiral": "orange",
}
SPEEDS = {"slow": 0.26, "normal": 0.5, "fast": 0.95}  # half picture heights a second
KINDS = ("scene", "colour", "ground", "direction", "speed")
FILLERS = ("a", "the", "my", "world", "of", "with", "and", "very", "some", "scene", "place", "full")
STRANGERS = ("zebra", "quietly", "dreams", "castle", "winter", "jazz", "old", "robot", "seven", "under")
TEMPLATES = (
    "{speed} {colour} {scene} {ground} {direction}",
    "{colour} {scene} {direction} {speed} {ground}",
    "{scene} {direction} in {colour} {ground} {speed}",
    "a {speed} {colour} {scene} {ground} moving {direction}",
    "{colour} {scene} {speed} {direction} {ground}",
    "{direction} {scene} {speed} {colour} {ground}",
)

EXAM = (  # orders of words that no training prompt has
    "show me {scene} {colour} {speed} {direction}",
    "{direction} {speed} {scene} {colour} please",
    "{colour} then {direction} {speed} {scene}",
    "{speed} {direction} {colour} {scene}",
    "{scene} {speed} {direction} {colour}",
)


@dataclass(frozen=True)
class Look:
    """What is on screen, exactly: one value each, `ground` being the colour behind (None: the colour's own dark)."""

    scene: str
    colour: str
    direction: str
    speed: str = "normal"
    ground: str | None = None


def imagine(text: str, before: Look | None = None) -> Look:
    """The look that `text` asks for, given what was on screen `before`."""
    words = concepts(text)
    named = {kind: [w for w in words if w in values] for kind, values in _VALUES.items()}
    scene = named["scene"][0] if named["scene"] else before.scene if before else "plasma"
    colours = named["colour"]
    kept = (before.colour, before.ground) if before else (HABITS[scene], None)
    colour, ground = (colours[0], _second(colours)) if colours else kept
    way = before.direction if before else SCENES[scene][0]
    direction = next((w for w in [*named["direction"], way] if w in SCENES[scene]), SCENES[scene][0])
    speed = named["speed"][0] if named["speed"] else before.speed if before and not named["scene"] else "normal"
    return Look(scene, colour, direction, speed, ground)


def _second(colours: list[str]) -> str | None:
    return next((c for c in colours[1:] if c != colours[0]), None)


_VALUES = {
    "scene": tuple(SCENES),
    "colour": tuple(COLOURS),
    "direction": tuple(sorted({w for ways in SCENES.values() for w in ways})),
    "speed": ("slow", "fast"),
}
_SYNONYMS = {name: [w for w, concept in THESAURUS.items() if concept == name] for name in set(THESAURUS.values())}


def caption(rng: random.Random, kinds: tuple[str, ...] | None = None, scenes: tuple[str, ...] = tuple(SCENES)) -> str:
    """A prompt as people type it, from `rng`: any subset of scene, colours, direction and speed, in many forms.

    `kinds` fixes which of KINDS are named; `scenes` are drawn from, one that stands there twice twice as often.
    """
    scene = rng.choice(scenes)
    colour, ground = rng.sample(list(COLOURS), 2)
    look = Look(scene, colour, rng.choice(SCENES[scene]), rng.choice(("slow", "fast")), ground)
    return describe(look, rng, some_kinds(rng) if kinds is None else kinds)


def exam(rng: random.Random, count: int, speeds: tuple[str, ...] = ("slow", "fast")) -> list[tuple[str, Look]]:
    """Prompts kept out of training, by their order of words, and their looks: every scene equally often."""
    asked = []
    for number in range(count):
        scene = list(SCENES)[number % len(SCENES)]
        look = Look(scene, rng.choice(list(COLOURS)), rng.choice(SCENES[scene]), rng.choice(speeds))
        words = {kind: _word(look, kind, rng) for kind in KINDS}
        asked.append((" ".join(rng.choice(EXAM).format(**words).split()), look))
    return asked


def describe(look: Look, rng: random.Random, kinds: tuple[str, ...] = KINDS) -> str:
    """Words for `look` that name only `kinds`; an unmarked speed or ground has no word."""
    words = {kind: _word(look, kind, rng) if kind in kinds else "" for kind in KINDS}
    return _decorate(rng, rng.choice(TEMPLATES).format(**words).split())


def some_kinds(rng: random.Random) -> tuple[str, ...]:
    """Which attributes a person might name."""
    chances = {"scene": 0.9, "colour": 0.88, "ground": 0.12, "direction": 0.5, "speed": 0.45}
    kinds = tuple(kind for kind, chance in chances.items() if rng.random() < chance)
    # a ground without a colour in front of it would be read as the colour
    return kinds if "colour" in kinds else tuple(k for k in kinds if k != "ground")


def _word(look: Look, kind: str, rng: random.Random) -> str:
    value = getattr(look, kind)
    if value not in _SYNONYMS:
        return ""
    word = rng.choice(_SYNONYMS[value])
    return f"{rng.choice(('on', 'and'))} {word}" if kind == "ground" else word


def _decorate(rng: random.Random, words: list[str]) -> str:
    """Put words that mean nothing among `words`: people do."""
    for pool, chance in ((FILLERS, 0.5), (STRANGERS, 0.12)):
        while rng.random() < chance and len(words) < 10:
            words.insert(rng.randrange(len(words) + 1), rng.choice(pool))
    return " ".join(words) or rng.choice(STRANGERS)
