"""The words that the bundled world understands, by what they mean. No torch, so that any process can list them."""

from __future__ import annotations

# The order is that of the rows of the trained embedding.
SYNONYMS = {
    "red": "red crimson scarlet ruby fire flame flames blood",
    "orange": "orange amber tangerine sunset autumn",
    "yellow": "yellow golden gold lemon sun sunny desert sand",
    "green": "green emerald lime jade forest grass jungle leaves",
    "cyan": "cyan turquoise teal aqua lagoon",
    "blue": "blue azure sapphire cobalt navy sky",
    "purple": "purple violet lilac indigo night dusk",
    "pink": "pink rose magenta fuchsia blossom candy",
    "white": "white silver grey gray monochrome snow ice",
    "plasma": "plasma cloud clouds liquid fluid smoke fog nebula lava",
    "stripes": "stripes stripe bars bands lines",
    "grid": "grid lattice mesh wireframe net maze city",
    "orbs": "orbs orb balls ball spheres bubbles dots planets moons",
    "waves": "waves wave sea ocean water",
    "rain": "rain raindrops drizzle rainy storm",
    "ripples": "ripples ripple rings ring circles pond",
    "tunnel": "tunnel corridor hallway wormhole cave road",
    "spiral": "spiral swirl pinwheel vortex whirl galaxy",
    "left": "left leftwards leftward",
    "right": "right rightwards rightward",
    "up": "up upwards upward rising",
    "down": "down downwards downward falling sinking",
    "outwards": "outwards outward expanding growing",
    "inwards": "inwards inward contracting shrinking",
    "clockwise": "clockwise",
    "counterclockwise": "counterclockwise anticlockwise",
    "slow": "slow slowly slower calm gentle lazy",
    "fast": "fast faster quick quickly rapid energetic wild",
}
CONCEPTS = tuple(SYNONYMS)
THESAURUS = {word: concept for concept, words in SYNONYMS.items() for word in words.split()}
_SILENT = (  # words that mean nothing here and get no token
    "a an and the my of with in on to then now very some scene place full world moving move turning spinning flying"
    " going is are it from over by drawn made all more into"
)
SILENT = frozenset(_SILENT.split())
TEXT_LENGTH = 12  # tokens; later words of a longer prompt are not read

_GROUPS = {
    "colours": "red orange yellow green cyan blue purple pink white",
    "scenes": "plasma stripes grid orbs waves rain ripples tunnel spiral",
    "directions": "left right up down outwards inwards clockwise counterclockwise",
    "speeds": "slow fast",
}
WORD_GROUPS = tuple(
    (heading, tuple(word for concept in names.split() for word in SYNONYMS[concept].split()))
    for heading, names in _GROUPS.items()
)
EXAMPLES = ("slow purple ripples", "fast golden spiral turning clockwise", "blue rain falling on pink")
