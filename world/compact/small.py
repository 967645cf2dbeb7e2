"""The world `small`: its words, by what they mean, and its form, which a file without a description has. No torch."""

from __future__ import annotations

from world.compact.form import WorldForm
from world.compact.geometry import Geometry
from world.compact.language import Language
from world.info import DialRange

# The order is that of the rows of the trained embedding.
_WORDS = {
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
_SYNONYMS = {concept: tuple(words.split()) for concept, words in _WORDS.items()}
_SILENT = (  # words that mean nothing here and get no token
    "a an and the my of with in on to then now very some scene place full world moving move turning spinning flying"
    " going is are it from over by drawn made all more into"
)

_GROUPS = {
    "colours": "red orange yellow green cyan blue purple pink white",
    "scenes": "plasma stripes grid orbs waves rain ripples tunnel spiral",
    "directions": "left right up down outwards inwards clockwise counterclockwise",
    "speeds": "slow fast",
}
SMALL = WorldForm(
    geometry=Geometry(),
    language=Language(
        synonyms=_SYNONYMS,
        silent=frozenset(_SILENT.split()),
        groups=tuple(
            (heading, tuple(word for concept in names.split() for word in _SYNONYMS[concept]))
            for heading, names in _GROUPS.items()
        ),
        examples=("slow purple ripples", "fast golden spiral turning clockwise", "blue rain falling on pink"),
        showpiece="slow purple ripples",
        most_words=12,
    ),
    # zoomed out farther, rings are too fine for the latents
    dials={"pan_x": DialRange(), "pan_y": DialRange(), "zoom": DialRange(low=-0.5), "energy": DialRange()},
    steps=(1000, 750, 500, 250),
    shift=5.0,
    window=8,
    sink=1,
)
