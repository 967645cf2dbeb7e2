"""How much GPU memory a folder of checkpoints needs, computed from the sizes before anything is loaded. No torch.

Tensors are counted exactly where they stay (weights, caches, decoder states), and by the most that lives at any one
time where they come and go (`tests/wan/test_fit.py` holds both against the real modules).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from world.dit.config import CacheConfig, DiTConfig
from world.info import WorldError

GIB = 2**30
EIGHT_BIT = ("fp8", "int8")
PROMPTS = 8  # whose keys and values a session keeps
SPARE_STATES = 2  # blocks whose decoder states are kept besides the reserve: the one on the screen, and the next one
WORKING_STATES = 2  # the one that is read and the one that is written while a latent frame is decoded
LASTING = ("weights", "caches", "prompts")  # the other parts come and go
MARGIN = 1.1  # on what comes and goes: the gaps that the allocator leaves between; a guess
LIBRARIES = 0.5 * GIB  # kernels and workspaces of cuBLAS and cuDNN; a guess
PIXELS = 16  # of a token's side


@dataclass(frozen=True)
class DecoderSize:
    """Sizes of a decoder as it was released.

    parameters: numbers that it loads, the encoder's included. state, work: numbers for each latent pixel that stay from
    frame to frame, and that live at most while a frame is decoded.
    """

    parameters: int
    state: int
    work: int


DECODERS: Mapping[str, DecoderSize] = {
    "vae": DecoderSize(parameters=126_892_531, state=151_328, work=122_944),
    "taehv": DecoderSize(parameters=11_315_539, state=5_376, work=33_808),
}
TEXT_WEIGHTS = 5_680_910_336 * 2  # bytes of UMT5-XXL in bfloat16
TEXT_WORK = 0.45 * GIB  # its largest weight twice, and what 512 tokens take beside it
SMALLER: Mapping[str, Mapping[str, Any]] = {  # options that need less, the one that costs the least quality first
    "--text-device offload": {"text": "offload"},
    "--speed fp8": {"speed": "fp8"},
    "--decoder taehv": {"decoder": "taehv"},
    "--picture 640x368": {"picture": (640, 368)},
    "--picture 480x272": {"picture": (480, 272)},
    "--text-device cpu": {"text": "cpu"},
}


@dataclass(frozen=True)
class Setting:
    """What the need depends on besides the transformer's sizes; the defaults are those of the command line.

    picture: width and height in pixels. number_bytes: of weights and activations, 2 or 4. text: where prompts are
    encoded (world.options.TEXT_DEVICES), or "auto" for what fits. speed: one of world.options.SPEEDS. reserve:
    blocks held ready. ranks: processes that make each block together.
    """

    picture: tuple[int, int] = (832, 480)
    decoder: str = "vae"
    number_bytes: int = 2
    text: str = "cuda"
    speed: str = "exact"
    reserve: int = 0
    ranks: int = 1

    @property
    def tokens(self) -> int:
        """Tokens of a latent frame."""
        width, height = self.picture
        return (width // PIXELS) * (height // PIXELS)


@dataclass(frozen=True)
class Need:
    """Bytes of GPU memory, by what needs them."""

    parts: Mapping[str, float]

    @property
    def gib(self) -> float:
        """All of it, with a margin, in GiB."""
        with_margin = sum(size if name in LASTING else MARGIN * size for name, size in self.parts.items())
        return (with_margin + LIBRARIES) / GIB

    def __str__(self) -> str:
        told = ", ".join(f"{name} {size / GIB:.1f}" for name, size in self.parts.items() if size >= 0.05 * GIB)
        return f"{self.gib:.1f} GiB ({told}, and a margin)"


def memory_need(dit: DiTConfig, cache: CacheConfig, setting: Setting) -> Need:
    """What the world of these sizes needs on a GPU."""
    decoder, each = DECODERS[setting.decoder], setting.number_bytes
    pixels = 4 * setting.tokens  # of a latent frame
    each_block = cache.block if can_cut(cache, setting.decoder) else 1
    states = (SPARE_STATES + setting.reserve) * each_block + WORKING_STATES
    graphs = 0 if setting.speed == "exact" else 2  # one for each bank, with words and activations of its own
    saved = (each - 1) * eight_bit_numbers(dit) if setting.speed in EIGHT_BIT else 0
    passes = pass_bytes(dit, cache.block, setting) + pass_bytes(dit, cache.size, setting)
    passes += graphs * pass_bytes(dit, cache.block, replace(setting, speed="fast"))  # quantised on the way
    text = {"cuda": TEXT_WEIGHTS + TEXT_WORK, "offload": TEXT_WORK, "cpu": 0.0}
    return Need(
        {
            "weights": each * parameters(dit) - saved,
            "caches": 2 * each * cache_numbers(dit, cache, setting.tokens) / setting.ranks,
            "prompts": (PROMPTS + graphs) * each * prompt_numbers(dit),
            "passes": passes,
            "decoder": each * (decoder.parameters + pixels * decoder.work),
            "decoder states": each * pixels * decoder.state * states,
            "text encoder": text[setting.text],
        }
    )


def can_cut(cache: CacheConfig, decoder: str) -> bool:
    """Whether blocks can be cut between their latent frames, for which the decoder's state after each is kept.

    Those of Wan's own decoder are too large: 1.8 GiB each.
    """
    return decoder == "taehv" and cache.rules.cut_from is not None and not cache.published


def parameters(dit: DiTConfig) -> int:
    """Numbers in the transformer's weights."""
    dim = dit.dim
    text = (dit.text_dim + 1) * dim + (dim + 1) * dim
    time = (dit.freq_dim + 1) * dim + (dim + 1) * dim + (dim + 1) * 6 * dim
    ends = (4 * dit.in_dim + 1) * dim + (dim + 1) * 4 * dit.out_dim + 2 * dim
    attention = 4 * (dim + 1) * dim + 2 * dim
    feed_forward = (dim + 1) * dit.ffn_dim + (dit.ffn_dim + 1) * dim
    return ends + text + time + dit.num_layers * (2 * attention + feed_forward + 6 * dim + 2 * dim)


def eight_bit_numbers(dit: DiTConfig) -> int:
    """Numbers in those weights that are kept in eight bits at the speeds fp8 and int8 (world.dit.fast)."""
    return dit.num_layers * (3 * dit.dim**2 + 2 * dit.dim * dit.ffn_dim)


def prompt_numbers(dit: DiTConfig) -> int:
    """Numbers in the keys and values of one prompt."""
    return dit.num_layers * 2 * dit.text_len * dit.dim


def cache_numbers(dit: DiTConfig, cache: CacheConfig, tokens: int) -> int:
    """Numbers in one bank: keys and values of its slots, and the sink's keys once more. tokens: of a latent frame.

    A sink that is an average is held as it was before the newest block, too.
    """
    copies = 3 if cache.sink_average else 1
    return dit.num_layers * tokens * dit.dim * (2 * cache.size + copies * cache.sink)


def pass_bytes(dit: DiTConfig, frames: int, setting: Setting) -> float:
    """What lives at most at any one time in a pass over so many latent frames: what is around the feed-forward.

    In eight bits, inputs are quantised from float32, and products come as 32-bit numbers, unless layers are compiled,
    which they are not in the first window of a scene.
    """
    token = setting.number_bytes * (2 * dit.ffn_dim + 5 * dit.dim)
    if setting.speed in EIGHT_BIT:
        token += 7 * dit.ffn_dim
    return frames * setting.tokens * token / setting.ranks


def smaller_options(setting: Setting) -> list[str]:
    """The options of the command line that make this setting smaller, the one that costs the least quality first."""
    return _smaller(DiTConfig(), CacheConfig(), setting)


def fitted(dit: DiTConfig, cache: CacheConfig, setting: Setting, free_gib: float) -> Setting:
    """`setting`, for a GPU with so much free memory; with text "auto", the first place for the text encoder that fits.

    Raises WorldError, with the options that make it fit, if it does not.
    """
    places = ("cuda", "offload") if setting.text == "auto" else (setting.text,)
    tried = [replace(setting, text=place) for place in places]
    for chosen in tried:
        if memory_need(dit, cache, chosen).gib <= free_gib:
            return chosen
    needed = memory_need(dit, cache, tried[-1]).gib
    options = options_that_fit(dit, cache, tried[-1], free_gib)
    remedy = f"try {options}" if options else "no setting fits, use --device cpu"
    raise WorldError(f"this world needs {needed:.1f} GiB of GPU memory, and {free_gib:.1f} GiB are free: {remedy}")


def what_fits(setting: Setting, free_gib: float) -> str:
    """With which options the released sizes fit into so much memory, and what they need, for people to read."""
    dit, cache = DiTConfig(), CacheConfig()
    options = options_that_fit(dit, cache, setting, free_gib)
    if options is None:
        return "too little at any setting"
    need = memory_need(dit, cache, _changed(setting, re.findall(r"--\S+ \S+", options)))
    return f"{options or 'no option is needed'}, takes about {need}"


def options_that_fit(dit: DiTConfig, cache: CacheConfig, setting: Setting, free_gib: float) -> str | None:
    """The options to add to `setting` so that it fits, "" if it does already; None if nothing makes it fit."""

    def fits(asked: Mapping[str, str]) -> bool:
        return memory_need(dit, cache, _changed(setting, asked.values())).gib <= free_gib

    asked: dict[str, str] = {}  # by the name of the option, of which the last value counts
    while not fits(asked):
        smaller = _smaller(dit, cache, _changed(setting, asked.values()))
        if not smaller:
            return None
        asked[smaller[0].split()[0]] = smaller[0]
    for name in list(asked):
        without = {other: option for other, option in asked.items() if other != name}
        asked = without if fits(without) else asked
    return " ".join(asked.values())


def _smaller(dit: DiTConfig, cache: CacheConfig, setting: Setting) -> list[str]:
    """Each option that makes `setting` smaller."""
    need = memory_need(dit, cache, setting).gib
    return [option for option in SMALLER if memory_need(dit, cache, _changed(setting, [option])).gib < need]


def _changed(setting: Setting, options: Iterable[str]) -> Setting:
    """`setting` with these options of SMALLER in force."""
    for option in options:
        setting = replace(setting, **SMALLER[option])
    return setting
