"""Captions and looks: random captions from a seed, and the look that a text asks for.

A caption need not name every attribute. What it leaves out stays as it was on screen before, or else takes a default (a
text without a scene means plasma). So every prompt has exactly one right answer, and the model never learns an average.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from world.compact.small import SMALL

LINEAR = ("left", "right", "up", "down")
SCENES: dict[str, tuple[str, ...]] = {  # the directions in which each scene can move, its default first
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
DEFAULT_COLOURS = {
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
SPEEDS = {"slow": 0.26, "normal": 0.5, "fast": 0.95}  # in half picture heights a second
ATTRIBUTES = ("scene", "colour", "background", "direction", "speed")
FILLER_WORDS = ("a", "the", "my", "world", "of", "with", "and", "very", "some", "scene", "place", "full")
UNKNOWN_WORDS = ("zebra", "quietly", "dreams", "castle", "winter", "jazz", "old", "robot", "seven", "under")
TEMPLATES = (
    "{speed} {colour} {scene} {background} {direction}",
    "{colour} {scene} {direction} {speed} {background}",
    "{scene} {direction} in {colour} {background} {speed}",
    "a {speed} {colour} {scene} {background} moving {direction}",
    "{colour} {scene} {speed} {direction} {background}",
    "{direction} {scene} {speed} {colour} {background}",
)

EXAM_TEMPLATES = (  # orders of words that no training prompt has
    "show me {scene} {colour} {speed} {direction}",
    "{direction} {speed} {scene} {colour} please",
    "{colour} then {direction} {speed} {scene}",
    "{speed} {direction} {colour} {scene}",
    "{scene} {speed} {direction} {colour}",
)


@dataclass(frozen=True)
class Look:
    """What is on screen, exactly: one value for each attribute.

    background: the colour behind; None is a dark shade of `colour`.
    """

    scene: str
    colour: str
    direction: str
    speed: str = "normal"
    background: str | None = None


def look_of(text: str, before: Look | None = None) -> Look:
    """The look that `text` asks for while `before` is on screen (None: at the start of a stream)."""
    words = SMALL.language.concepts(text)
    named = {attribute: [w for w in words if w in values] for attribute, values in _VALUES.items()}
    scene = named["scene"][0] if named["scene"] else before.scene if before else "plasma"
    colours = named["colour"]
    unnamed = (before.colour, before.background) if before else (DEFAULT_COLOURS[scene], None)
    colour, background = (colours[0], _second(colours)) if colours else unnamed
    old_direction = before.direction if before else SCENES[scene][0]
    directions = [*named["direction"], old_direction]
    direction = next((w for w in directions if w in SCENES[scene]), SCENES[scene][0])
    speed = named["speed"][0] if named["speed"] else before.speed if before and not named["scene"] else "normal"
    return Look(scene, colour, direction, speed, background)


def _second(colours: list[str]) -> str | None:
    return next((c for c in colours[1:] if c != colours[0]), None)


_VALUES = {
    "scene": tuple(SCENES),
    "colour": tuple(COLOURS),
    "direction": tuple(sorted({w for directions in SCENES.values() for w in directions})),
    "speed": ("slow", "fast"),
}
_SYNONYMS = SMALL.language.synonyms


def random_caption(
    rng: random.Random, attributes: tuple[str, ...] | None = None, scenes: tuple[str, ...] = tuple(SCENES)
) -> str:
    """A prompt as people type it: some attributes of a random look, in many forms.

    attributes: which of ATTRIBUTES are named (None: a random subset). scenes: one of these is drawn; a scene that is in
    the tuple twice is drawn twice as often.
    """
    scene = rng.choice(scenes)
    colour, background = rng.sample(list(COLOURS), 2)
    look = Look(scene, colour, rng.choice(SCENES[scene]), rng.choice(("slow", "fast")), background)
    return describe_look(look, rng, random_attributes(rng) if attributes is None else attributes)


def exam_prompts(rng: random.Random, count: int, speeds: tuple[str, ...] = ("slow", "fast")) -> list[tuple[str, Look]]:
    """Prompts for the evaluation with the looks that they ask for; every scene is equally frequent.

    Their templates are never used in training.
    """
    prompts = []
    for number in range(count):
        scene = list(SCENES)[number % len(SCENES)]
        look = Look(scene, rng.choice(list(COLOURS)), rng.choice(SCENES[scene]), rng.choice(speeds))
        words = {attribute: _word(look, attribute, rng) for attribute in ATTRIBUTES}
        prompts.append((" ".join(rng.choice(EXAM_TEMPLATES).format(**words).split()), look))
    return prompts


def describe_look(look: Look, rng: random.Random, attributes: tuple[str, ...] = ATTRIBUTES) -> str:
    """A text for `look` that names only `attributes`; a normal speed and a missing background have no word."""
    words = {attribute: _word(look, attribute, rng) if attribute in attributes else "" for attribute in ATTRIBUTES}
    return _add_noise_words(rng, rng.choice(TEMPLATES).format(**words).split())


def random_attributes(rng: random.Random) -> tuple[str, ...]:
    """The attributes that a person might name in one prompt."""
    chances = {"scene": 0.9, "colour": 0.88, "background": 0.12, "direction": 0.5, "speed": 0.45}
    named = tuple(attribute for attribute, chance in chances.items() if rng.random() < chance)
    # a background that is named alone would be read as the colour
    return named if "colour" in named else tuple(a for a in named if a != "background")


def _word(look: Look, attribute: str, rng: random.Random) -> str:
    value = getattr(look, attribute)
    if value not in _SYNONYMS:
        return ""
    word = rng.choice(_SYNONYMS[value])
    return f"{rng.choice(('on', 'and'))} {word}" if attribute == "background" else word


def _add_noise_words(rng: random.Random, words: list[str]) -> str:
    """Insert words without a meaning among `words`, as people do."""
    for pool, chance in ((FILLER_WORDS, 0.5), (UNKNOWN_WORDS, 0.12)):
        while rng.random() < chance and len(words) < 10:
            words.insert(rng.randrange(len(words) + 1), rng.choice(pool))
    return " ".join(words) or rng.choice(UNKNOWN_WORDS)
