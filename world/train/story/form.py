"""The form of `tale`: its sizes, steps and words."""

from __future__ import annotations

from world.compact.form import PictureForm, WorldForm
from world.compact.geometry import Geometry
from world.compact.language import Language
from world.info import DialRange
from world.train.tale.stage import DIALS
from world.train.tale.words import EXAMPLES, SHOWPIECE, SILENT, SLOTS, SYNONYMS, TEXT_LENGTH, WORD_GROUPS

TALE = WorldForm(
    # as many numbers in a token as the transformer is wide: in wider tokens the fine and the moving is lost
    geometry=Geometry(frames=6, cell=8, channels=64, rows=8, columns=14, enlarge=4, patch_rows=2, patch_columns=2),
    language=Language(
        synonyms={concept: tuple(words.split()) for concept, words in SYNONYMS.items()},
        silent=SILENT,
        groups=WORD_GROUPS,
        examples=EXAMPLES,
        showpiece=SHOWPIECE,
        most_words=TEXT_LENGTH,
        slots=SLOTS,
    ),
    dials=dict.fromkeys(DIALS, DialRange()),
    steps=(1000, 750, 500, 250),
    shift=3.0,  # the steps are at noise 1, 0.9, 0.75 and 0.5
    window=8,
    sink=1,
    has_scales=True,
    pictures=PictureForm(refiner_width=128, refiner_depth=3, sharpenings=3),
)
PICTURE = (TALE.geometry.columns * TALE.geometry.cell, TALE.geometry.rows * TALE.geometry.cell)  # of latents
SIGMAS = tuple(TALE.shift * step / (1000 + (TALE.shift - 1) * step) for step in TALE.steps)
