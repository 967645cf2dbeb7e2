"""Sentences of storytellers: of a whole scene, or of some of its attributes that change.

They are what a world is marked on, and what its slots must understand; the model reads what these make of them. The
phrases behind `//` and the order place, weather, subject are used in held-out sentences only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from random import Random

from world.train.tale.words import SYNONYMS, SceneWords

TELEGRAM = 0.15  # the share of training sentences that are bare words, as hurried people type them

# How each value stands in a sentence about something else: "in the snow".
_BESIDE = {
    "dawn": "at dawn|at daybreak|at sunrise|in the morning|early in the morning|on a new morning//when morning comes",
    "day": "by day|at noon|at midday|in the afternoon|in broad daylight//in the daytime",
    "sunset": "at sunset|at dusk|in the evening|at twilight|at sundown|in the setting sun//when evening comes",
    "night": "at night|by night|at midnight|in the moonlight|under the stars|in the dark//under a starry sky",
    "clear": "under a clear sky|in fair weather|in sunny weather|under a cloudless sky//in the clear air",
    "rain": "in the rain|through the rain|into the rain|in a drizzle|in a downpour//in a shower",
    "snow": "in the snow|through the snow|into the snow|in a blizzard|in winter|among snowflakes//in the falling snow",
    "fog": "in the fog|through the fog|into the mist|in the haze|in misty air|through thick fog//out of the mist",
    "storm": "in the storm|through the storm|into the storm|in a tempest|in a gale|with thunder//in a wild hurricane",
    "left": "to the left|going left|leftwards|towards the west|heading west//westwards",
    "right": "to the right|going right|rightwards|towards the east|heading east//eastwards",
    "slow": "slowly|gently|lazily|softly|drifting|leisurely//idly",
    "normal": "steadily|at a steady speed|evenly|at normal speed//cruising",
    "fast": "fast|quickly|swiftly|rapidly|racing|in a hurry//rushing",
}
# How each value makes a sentence of its own: "it snows".
_ALONE = {
    "dawn": "dawn breaks|the morning comes|it becomes morning|now it is dawn|a new morning begins//at last, sunrise",
    "day": "it is day again|the day comes|broad daylight|now it is noon|it becomes day//the afternoon begins",
    "sunset": "evening comes|dusk falls|the setting sun|now it is sunset|it becomes evening//twilight falls",
    "night": "night falls|it gets dark|the stars come out|the moon rises|now it is night"
    "|darkness falls//midnight strikes",
    "clear": "the sky clears|it clears up|the weather becomes fair|now the sky is clear"
    "|it is dry again//a cloudless sky",
    "rain": "it rains|rain falls|it begins to rain|a shower comes down|now it is raining|it pours//a drizzle begins",
    "snow": "it snows|snow falls|it begins to snow|a blizzard comes|now it is snowing|winter comes//snowflakes fall",
    "fog": "fog comes up|a mist rises|it gets foggy|the fog comes in|now it is misty//haze covers everything",
    "storm": "a storm comes up|thunder and lightning|it gets stormy|a tempest begins|now a storm//a gale blows",
    "left": "turn left|now to the left|go left|head west|everything goes left//the way goes west",
    "right": "turn right|now to the right|go right|head east|everything goes right//the way goes east",
    "slow": "slow down|slower|now slowly|gently now|more slowly please//lazily now",
    "normal": "steady now|at normal speed|steadily|go on steadily//a steady speed",
    "fast": "faster|hurry up|now fast|quickly now|quick//speeding now",
    "none": "nobody is here|an empty scene|now nothing|it is empty|nobody is there any more//it lies deserted",
}
_NOUNS = {
    "sea": "sea ocean water waves",
    "mountains": "mountains alps peaks hills",
    "city": "city town streets rooftops",
    "forest": "forest woods trees pines",
    "desert": "desert dunes sand pyramids",
    "space": "cosmos universe galaxy planets",
    "boat": "boat ship sailboat yacht schooner",
    "bird": "bird gull dove seagull swallow",
    "balloon": "balloon",
    "whale": "whale humpback",
    "train": "train locomotive express",
    "comet": "comet meteor star",
}
_PLACE_BESIDE = (
    "over the {}|by the {}|across the {}|at the {}|through the {}|near the {}|to the {}|in the {}//past the {}"
)
_SPACE_BESIDE = "in space|through space|into space|in the cosmos|across the galaxy|among the planets//in outer space"
_PLACE_ALONE = "the {}|now the {}|the {} appears|we come to the {}|here is the {}|back to the {}//let us see the {}"
_SPACE_ALONE = "now space|we rise into space|outer space|up to the planets|now the cosmos//let us see the universe"
_VERBS = {
    "boat": "sails|glides|rocks|floats|comes sailing//voyages",
    "bird": "flies|soars|glides|comes flying//wanders",
    "balloon": "floats|flies|rises|hovers|hangs//travels",
    "whale": "swims|glides|leaps|rises|dives//wanders",
    "train": "rolls|chugs|puffs|rattles|comes rolling//travels",
    "comet": "flies|shines|burns|blazes|streaks//comes down",
}
_FAST_VERBS, _SLOW_VERBS = "races|rushes|hurries|speeds//dashes", "drifts|creeps|slows down//crawls"
_SIZES = "| | |little|small|big|great|old|lonely|brave|beautiful|huge"
_LEADS = "| | | |now|and|then|look|suddenly|once upon a time|here|see how|at last"
_COLOURED = "it turns {}|now {}|make it {}|painted {}|it becomes {}//all in {}"
_NONE_BESIDE = "nobody is here|an empty scene|empty|deserted//uninhabited"
_LEAVES = "the {} leaves|the {} goes away|the {} disappears|the {} is gone|now the {} vanishes//the {} fades away"
_STOPS = "the {} stops|the {} ends|the {} is gone|the {} fades|now the {} stops//the {} vanishes"
_NO_MORE = "no more {}|no {}|gone is the {}|away with the {}//without the {}"  # good at the beginning only


def sentence(
    scene: SceneWords,
    attributes: Iterable[str],
    random: Random,
    before: SceneWords | None = None,
    held_out: bool = False,
) -> str:
    """A sentence that names these attributes of `scene` and no other, read back by `named_values`.

    before: the scene that it changes, so that it can say what ends. A scene without a subject has no colour to name; of
    nothing the sentence is empty. held_out: in words, and an order of them, that no other sentence has.
    """
    return _Teller(random, held_out).tell(scene, set(attributes), before)


class _Teller:
    """Makes one sentence; `random` decides, `held_out` says which phrases are allowed."""

    def __init__(self, random: Random, held_out: bool) -> None:
        self.random, self.held_out = random, held_out

    def tell(self, scene: SceneWords, named: set[str], before: SceneWords | None) -> str:
        if scene["subject"] == "none":
            named = named - {"colour"}
        if not named:
            return ""
        if not self.held_out and self.random.random() < TELEGRAM:
            return " ".join(self._word(scene[name]) for name in self._order(sorted(named)))
        endings = self._endings(scene, named, before)
        parts = self._parts(scene, named - set(endings)) | endings
        order = self._order(sorted(parts))
        if before and len(endings) == 1 and self.random.random() < 0.3:
            (name,) = endings
            parts[name] = self._pick(_NO_MORE).format(self._noun(before[name]))
            order = [name, *(other for other in order if other != name)]
        return self._joined([parts[name] for name in order])

    def _endings(self, scene: SceneWords, named: set[str], before: SceneWords | None) -> dict[str, str]:
        """What ends: the weather that clears up, the subject that leaves."""
        banks = {"weather": ("clear", _STOPS), "subject": ("none", _LEAVES)}
        found = {}
        for name, (nothing, bank) in banks.items():
            if before and name in named and scene[name] == nothing != before[name] and self.random.random() < 0.7:
                found[name] = self._pick(bank).format(self._noun(before[name]))
        return found

    def _parts(self, scene: SceneWords, named: set[str]) -> dict[str, str]:
        """A phrase for each attribute but those that another phrase holds."""
        parts = {}
        if "subject" in named and scene["subject"] != "none":
            parts["subject"], named = self._subject(scene, named)
        elif "subject" in named and len(named) > 1:
            parts["subject"], named = self._pick(_NONE_BESIDE), named - {"subject"}
        elif "colour" in named:
            parts["colour"], named = self._coloured(scene["colour"]), named - {"colour"}
        if not parts or "colour" in parts:
            head = self.random.choice([n for n in _HEADS if n in named] or [""])
            parts |= {head: self._alone(head, scene[head])} if head else {}
            named = named - {head}
        return parts | {name: self._beside(name, scene[name]) for name in sorted(named)}

    def _subject(self, scene: SceneWords, named: set[str]) -> tuple[str, set[str]]:
        """The clause of the subject, and what it leaves to be told."""
        subject, told = scene["subject"], {"subject", "colour"}
        words = [self._pick(_SIZES), self._word(scene["colour"]) if "colour" in named else "", self._noun(subject)]
        thing = " ".join(" ".join(words).split())
        article = self.random.choice(("the", "a", "a"))
        article = "an" if article == "a" and thing[0] in "aeiou" else article
        verbs = {"fast": _FAST_VERBS, "slow": _SLOW_VERBS}.get(scene["speed"], "")
        verb = self._pick(_VERBS[subject]) if self.held_out or self.random.random() < 0.85 else ""
        if "speed" in named and verbs and self.random.random() < 0.4:
            verb, told = self._pick(verbs), told | {"speed"}
        return f"{article} {thing} {verb}".strip(), named - told

    def _coloured(self, colour: str) -> str:
        return self._pick(_COLOURED).format(self._word(colour))

    def _alone(self, name: str, value: str) -> str:
        if name != "place":
            return self._pick(_ALONE[value])
        return self._pick(_SPACE_ALONE if value == "space" else _PLACE_ALONE).format(self._noun(value))

    def _beside(self, name: str, value: str) -> str:
        if name != "place":
            return self._pick(_BESIDE[value])
        return self._pick(_SPACE_BESIDE if value == "space" else _PLACE_BESIDE).format(self._noun(value))

    def _order(self, names: Sequence[str]) -> list[str]:
        """A random order; place before weather before subject is kept for held-out sentences."""
        order = self.random.sample(list(names), len(names))
        if not self.held_out and self.random.random() < 0.5:
            order.sort(key=_NATURAL.index)
        at = [order.index(name) for name in _KEPT if name in order]
        if len(at) == len(_KEPT) and (at == sorted(at)) != self.held_out:
            kept = iter(_KEPT if self.held_out else self.random.choice(_OTHER_ORDERS))
            order = [next(kept) if name in _KEPT else name for name in order]
        return order

    def _joined(self, said: list[str]) -> str:
        text = said[0]
        for part in said[1:]:
            text += (", " if self.random.random() < 0.35 else " ") + part
        lead = self._pick(_LEADS).strip()
        return text if not lead or text.startswith("now") else f"{lead} {text}"

    def _pick(self, bank: str) -> str:
        usual, _, kept = bank.partition("//")
        return self.random.choice((kept if self.held_out and kept else usual).split("|"))

    def _noun(self, value: str) -> str:
        return self.random.choice(_NOUNS.get(value, value).split())

    def _word(self, value: str) -> str:
        return self.random.choice(SYNONYMS[value].split())


_HEADS = ("place", "time", "weather", "way", "speed", "subject")  # attributes that make a sentence of their own
_NATURAL = ("subject", "colour", "way", "speed", "weather", "place", "time")
_KEPT = ("place", "weather", "subject")
_OTHER_ORDERS = tuple(order for order in permutations(_KEPT) if order != _KEPT)
