"""The words that the storybook understands, and the scene that a sentence asks for. No torch here."""

from __future__ import annotations

from world.compact.word_slots import WordSlots
from world.info import WordGroups, split_words

PLACES = ("sea", "mountains", "city", "forest", "desert", "space")
TIMES = ("dawn", "day", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog", "storm")
SUBJECTS = ("none", "boat", "bird", "balloon", "whale", "train", "comet")
COLOURS = ("red", "yellow", "green", "blue", "purple", "pink", "white")
WAYS = ("left", "right")
SPEEDS = ("slow", "normal", "fast")
VALUES = {
    "place": PLACES,
    "time": TIMES,
    "weather": WEATHERS,
    "subject": SUBJECTS,
    "colour": COLOURS,
    "way": WAYS,
    "speed": SPEEDS,
}
ATTRIBUTES = tuple(VALUES)
SceneWords = dict[str, str]  # attribute -> value
HABITS = {  # the colour of a subject that appears where none was, unless told otherwise
    "none": "red",
    "boat": "red",
    "bird": "white",
    "balloon": "yellow",
    "whale": "blue",
    "train": "green",
    "comet": "white",
}
START: SceneWords = {  # what a story begins with where its first sentence says nothing
    "place": "sea",
    "time": "day",
    "weather": "clear",
    "subject": "none",
    "colour": "red",
    "way": "right",
    "speed": "normal",
}

GONE = "gone"  # the concept that ends what stands before it, or after it: "the snow stops", "no boat"
# The order is that of the rows of the trained embedding.
SYNONYMS = {
    "sea": "sea seas ocean oceans water waters waves wave seaside surf harbour harbor bay coast shore beach"
    " lagoon river",
    "mountains": "mountains mountain peaks peak alps alpine summit summits hills hill cliffs highlands valley ridge",
    "city": "city cities town towns skyline skyscrapers streets street towers rooftops downtown buildings"
    " houses village"
    " metropolis",
    "forest": "forest forests woods wood woodland trees tree pines pine firs fir jungle grove",
    "desert": "desert deserts dunes dune sand sands sahara pyramids pyramid cactus cacti oasis",
    "space": "space cosmos planet planets galaxy galaxies universe saturn orbit moonscape",
    "dawn": "dawn daybreak sunrise morning mornings sunup",
    "day": "day daylight daytime noon midday afternoon noonday",
    "sunset": "sunset sundown dusk twilight evening evenings eve nightfall setting",
    "night": "night nights midnight moonlight moonlit moon stars starry starlight dark darkness darkens nighttime",
    "clear": "clear clears cleared clearing cloudless dry sunny fair",
    "rain": "rain rains rainy raining raindrops drizzle drizzles drizzly downpour shower showers pours pouring wet",
    "snow": "snow snows snowy snowing snowfall snowflakes snowflake blizzard winter wintry flurries",
    "fog": "fog fogs foggy mist mists misty haze hazy",
    "storm": "storm storms stormy thunder thunders thunderstorm thunderstorms lightning tempest gale gales"
    " hurricane squall",
    "none": "none nothing nobody empty deserted uninhabited unpeopled",
    "boat": "boat boats ship ships sailboat sailboats yacht yachts schooner vessel galleon dinghy",
    "bird": "bird birds gull gulls seagull seagulls dove doves swallow eagle hawk sparrow albatross pigeon",
    "balloon": "balloon balloons balloonist balloonists aeronaut",
    "whale": "whale whales humpback orca leviathan",
    "train": "train trains locomotive locomotives railway express",
    "comet": "comet comets meteor meteors star meteorite",
    "red": "red crimson scarlet ruby cherry vermilion",
    "yellow": "yellow golden gold lemon amber",
    "green": "green emerald lime jade",
    "blue": "blue azure cobalt navy sapphire",
    "purple": "purple violet lilac lavender plum mauve",
    "pink": "pink rose rosy magenta fuchsia",
    "white": "white silver silvery ivory pearly pale",
    "left": "left leftwards leftward west westward westwards",
    "right": "right rightwards rightward east eastward eastwards",
    "slow": "slow slows slowly slower gently gentle lazily lazy softly drifts drift drifting idly leisurely"
    " creeps crawls",
    "normal": "steadily steady normal normally evenly cruises cruising",
    "fast": "fast faster quick quickly rapid rapidly swift swiftly races racing speeds speeding rushes rushing"
    " hurries hurry"
    " hurrying dashes hurtles",
    GONE: "gone stops stop stopped ends end ended away vanishes vanish vanished disappears disappear"
    " disappeared leaves"
    " leave fades fade faded no without",
}
CONCEPTS = tuple(SYNONYMS)
THESAURUS = {word: concept for concept, words in SYNONYMS.items() for word in words.split()}
_SILENT = (  # words that mean nothing here and get no token
    "a an the this that these those its it is are was be been there here i we you they he she his her my our"
    " your me us"
    " and or but so as if while when where then now again soon still yet already once upon time times suddenly"
    " finally"
    " later next meanwhile at in on of to from into onto over under above below across through along by near past"
    " towards toward with behind before after between among around beyond out off up down back far for"
    " falls fall falling comes come coming goes go going gets grows grow turns turn turning becomes become"
    " begins begin"
    " starts start appears appear arrives arrive returns return rises rise rising sails sail sailing flies fly flying"
    " floats float floating swims swim swimming rolls rolling chugs chugging puffs rattles glides glide gliding soars"
    " soaring hovers hangs rocks leaps dives shines shining burns blazes streaks breaks strikes lies lie stands"
    " sits sits"
    " travels travel travelling moves move moving crosses cross passes pass heads head heading rides wanders voyages"
    " blows blowing set sets covers fills follows meets waits sees see look looks behold watch imagine show"
    " tell story tale says said make paint painted let lets has have had keeps keep carries takes wind winds"
    " little small tiny big great huge old young lonely lone brave happy sad proud lovely beautiful dreamy"
    " magic magical"
    " strange mighty wild calm quiet quietly bright pretty whole wide open deep high low outer hot air steam shooting"
    " sky skies sun sunlight weather cloud clouds light world scene picture everything everyone everybody one another"
    " new first early late every all more very quite just only some any last long short full speed way side direction"
    " how anybody anything please colour color coloured broad thick heavy cold warm other same does do not"
)
SILENT = frozenset(_SILENT.split())
TEXT_LENGTH = 16  # tokens; later words of a longer sentence are not read

_HEADINGS = {"place": "places", "time": "times", "weather": "weathers", "subject": "subjects", "colour": "colours"}
_HEADINGS |= {"way": "ways", "speed": "speeds"}
WORD_GROUPS: WordGroups = (
    *(
        (_HEADINGS[name], tuple(word for value in values for word in SYNONYMS[value].split()))
        for name, values in VALUES.items()
    ),
    ("endings", tuple(SYNONYMS[GONE].split())),
)
SHOWPIECE = "a little red boat sails over the sea at sunset"
EXAMPLES = (
    "a little red boat sails into the storm",
    "night falls over the city",
    "the snow stops",
    "now a pink whale in space",
    "a green train goes left through the desert",
)
SLOTS = WordSlots(
    values=VALUES,
    start=START,
    ended={"weather": "clear", "subject": "none"},
    ending=GONE,
    brings={subject: {"colour": colour} for subject, colour in HABITS.items()},
)


def concepts_of(text: str) -> list[str]:
    """The concepts that a text names, in order."""
    return [THESAURUS[word] for word in split_words(text) if word in THESAURUS]


def named_values(text: str) -> SceneWords:
    """The attributes that a sentence names, with their values (WordSlots.named)."""
    return SLOTS.named(concepts_of(text))


def scene_after(text: str, before: SceneWords = START) -> SceneWords:
    """The scene that a sentence asks for while `before` is shown: what it does not name stays (WordSlots.after)."""
    return SLOTS.after(concepts_of(text), before)


def must_name(scene: SceneWords, before: SceneWords = START) -> set[str]:
    """The attributes that a sentence has to name to lead from `before` to `scene`."""
    names = {name for name in ATTRIBUTES if scene[name] != before[name]} - {"colour"}
    unsaid = before["colour"] if "none" not in (before["subject"], scene["subject"]) else HABITS[scene["subject"]]
    return names | ({"colour"} if scene["colour"] != unsaid else set())
