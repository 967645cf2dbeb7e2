"""What one compact world has of its own beside its weights: sizes, words, steps, dials. No torch.

It lies in the file of the weights, as JSON in the metadata of the safetensors format, so that a world which somebody
trained is opened like a bundled one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from world.compact.geometry import Geometry
from world.compact.language import Language
from world.compact.word_slots import WordSlots
from world.info import MOST_PRESS, DialRange, WorldError, WorldInfo

FORMAT = 2  # grows when a program of today could not read the new file
READABLE = (1, 2)  # 1: without `pictures`, which are then drawn as they were, and without slots
KEY = "neverblink"  # the entry of the metadata that holds the description
MOST_HEADER = 16_000_000  # bytes
FPS = 24.0


@dataclass(frozen=True)
class PictureForm:
    """What a world's picture decoder has beside its trunk.

    refiner_width, refiner_depth: channels and residual layers of the correction of latents; a depth of 0 is none.
    sharpenings: how often contours are sharpened.
    """

    refiner_width: int = 0
    refiner_depth: int = 0
    sharpenings: int = 0

    def __post_init__(self) -> None:
        for name, most in (("refiner_width", 4096), ("refiner_depth", 64), ("sharpenings", 8)):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= most:
                raise ValueError(f"{name} {value!r}: expected a whole number from 0 to {most}")
        if (self.refiner_width > 0) != (self.refiner_depth > 0):
            raise ValueError(f"refiner {self.refiner_width} x {self.refiner_depth}: expected both sizes, or neither")


@dataclass(frozen=True)
class WorldForm:
    """Everything by which one compact world differs from another, but for weights and the transformer's size.

    dials: by name, in the order of the conditioner's inputs. steps, shift: of the sampler. window, sink: in blocks.
    text_width: of the text encoder. head_width: channels of the head's convolutions. has_scales: whether each component
    of the latents has a scale of its own. press: how strongly new words are pressed on. pictures: of the decoder.
    """

    geometry: Geometry
    language: Language
    dials: Mapping[str, DialRange]
    steps: tuple[int, ...]
    shift: float
    window: int
    sink: int
    text_width: int = 128
    head_width: int = 96
    has_scales: bool = False
    press: float = 0.0
    pictures: PictureForm = PictureForm()

    def __post_init__(self) -> None:
        g = self.geometry
        if g.rows % g.patch_rows or g.columns % g.patch_columns:
            raise ValueError(f"{g.rows}x{g.columns} cells: expected whole patches of {g.patch}")
        if not self.steps or list(self.steps) != sorted(self.steps, reverse=True) or not 0 < self.steps[-1] <= 1000:
            raise ValueError(f"steps {self.steps}: expected some from 1000 down to 1")
        if not 0 <= self.sink < self.window <= 64:
            raise ValueError(f"window {self.window}, sink {self.sink}: expected a window of up to 64 with room in it")
        if not 0 <= self.press <= MOST_PRESS:
            raise ValueError(f"press {self.press}: expected 0 to {MOST_PRESS:g}")
        if not 0 < self.shift <= 100:
            raise ValueError(f"shift {self.shift}: expected more than 0")
        if not all(type(width) is int and 4 <= width <= 4096 for width in (self.text_width, self.head_width)):
            raise ValueError(f"widths {self.text_width}, {self.head_width}: expected whole numbers from 4 to 4096")

    def check_picture(self, picture: tuple[int, int] | None) -> None:
        """Raise WorldError if a picture size is asked for that this world cannot draw; None is what it draws."""
        width, height = self.geometry.picture
        if picture not in (None, (width, height)):
            asked = "x".join(map(str, picture))
            raise WorldError(f"picture {asked}: this world draws {width}x{height} only")

    def with_sink(self, sink: int | None) -> WorldForm:
        """The same form with a sink of so many latent frames; raises WorldError if no block has room beside it."""
        if sink is not None and sink >= self.window:
            most = self.window - 1
            raise WorldError(f"sink {sink}: this world's window of {self.window} holds a sink of at most {most}")
        return self if sink is None else replace(self, sink=sink)

    def info(self, name: str) -> WorldInfo:
        """The WorldInfo of the world that has this form."""
        language = self.language
        return WorldInfo(
            name=name,
            fps=FPS,
            block_frames=self.geometry.frames,
            picture=self.geometry.picture,
            showpiece=language.showpiece,
            memory_blocks=self.window,
            sink_blocks=max(1, self.sink),
            dials=dict(self.dials),
            late_steps=len(self.steps) // 2,  # the third of four still gives 82 to 99 % of the effect
            vocabulary=tuple(sorted(language.thesaurus)),
            silent=tuple(sorted(language.silent)),
            word_groups=language.groups,
            examples=language.examples,
            most_words=None if language.slots else language.most_words,
            fallback="" if language.slots else language.showpiece,
        )


def describe_form(form: WorldForm) -> dict[str, str]:
    """The metadata that `form_in` reads."""
    plain = asdict(form)
    plain["language"]["silent"] = sorted(form.language.silent)
    return {KEY: json.dumps({"format": FORMAT} | plain)}


def form_in(text: str) -> WorldForm:
    """The form that a file's description tells; raises WorldError, one line, if it is damaged or of a later format."""
    try:
        told = json.loads(text)
        found = told.pop("format")
        if found not in READABLE:
            raise WorldError(f"it is in format {found}, and this version reads up to {FORMAT}; upgrade neverblink")
        parts: dict[str, Any] = {
            "geometry": Geometry(**told.pop("geometry")),
            "language": _language(**told.pop("language")),
            "dials": {name: DialRange(**limits) for name, limits in told.pop("dials").items()},
            "steps": tuple(told.pop("steps")),
            "pictures": PictureForm(**told.pop("pictures", {})),
        }
        return WorldForm(**parts, **told)
    except WorldError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorldError(f"its description is damaged ({' '.join(str(error).split())[:120]})") from None


def _language(**told: Any) -> Language:
    told["synonyms"] = {concept: tuple(words) for concept, words in told["synonyms"].items()}
    told["slots"] = told.get("slots") and WordSlots(**told["slots"])
    told["groups"] = tuple((heading, tuple(words)) for heading, words in told["groups"])
    told["silent"], told["examples"] = frozenset(told["silent"]), tuple(told["examples"])
    return Language(**told)


def read_form(path: Path) -> WorldForm | None:
    """The form in the header of a safetensors file, None if it has none; raises WorldError if there is no such file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size <= MOST_HEADER:
                raise WorldError("weights cannot be read (no safetensors file)")
            header = json.loads(file.read(size))
        text = header.get("__metadata__", {}).get(KEY)
    except WorldError:
        raise
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "no safetensors file"
        raise WorldError(f"weights cannot be read ({why})") from None
    return None if text is None else form_in(text)
