"""The families of checkpoints on Wan's transformer: their files, and the numbers that they were published with.

Sources: the repositories named in docs/worlds.md, at the files that hold each loop. Windows of 21 frames are those
of the published clips, which end there; here the window goes on moving, which none of these weights was trained for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from world.dit.config import CacheConfig, SamplerConfig

SUFFIXES = (".pt", ".safetensors", ".pth", ".safetensors.index.json")
LORAS = (
    *("lora.pt", "lora.safetensors", "lora.pth", "adapter_model.safetensors", "adapter_model.bin"),
    *("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"),
)


@dataclass(frozen=True)
class Family:
    """What is known of one family.

    files: the published names of its weights, without suffix, where they tell the family. entry: the part of the file
    that the published code plays; the file often holds weights in training and their running average. loras: names of
    its LoRA, if it has one. missing: what of the published method is not made here. is_14b: whether it has the sizes of
    Wan 14B.
    """

    name: str
    title: str
    files: tuple[str, ...]
    entry: str
    cache: CacheConfig
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    loras: tuple[str, ...] = ()
    licence: str = "not known: ask its authors"
    missing: str = ""
    is_14b: bool = False


_WHOLE = CacheConfig(21, 0, 3, keep_sink=False)  # the published clip of 21 latent frames
_FRAMES = replace(_WHOLE, block=1)
_QUARTERS = (1000, 750, 500, 250)
_SELF_FORCING = "the files' card says CC BY-NC-SA 4.0: no commercial use"
_CAUSAL_FORCING = "Apache-2.0 (the files' card)"
_NO_CARD = "the code is Apache-2.0; the files' card names no licence: ask its authors"

_LONGLIVE = Family(
    "longlive",
    "LongLive 1.0",
    ("longlive_base",),
    "generator",
    CacheConfig(12, 3, 3),
    loras=LORAS,
    licence="Apache-2.0 by its README, CC BY-NC 4.0 by the files' card: ask its authors",
)
_CAUSVID = Family(
    "causvid",
    "CausVid",
    ("autoregressive_checkpoint/model",),
    "generator",
    _WHOLE,
    SamplerConfig((1000, 757, 522), shift=8.0, warp=False),
    licence="CC BY-NC-SA 4.0 as others state it: no commercial use",
)
_FRAMEWISE = Family(
    "causal-forcing-framewise",
    "Causal-Forcing, frame by frame",
    ("framewise/causal_forcing",),
    "generator_ema",
    _FRAMES,
    licence=_CAUSAL_FORCING,
)

FAMILIES: tuple[Family, ...] = (
    _LONGLIVE,
    Family(
        "self-forcing",
        "Self-Forcing",
        ("self_forcing_dmd", "self_forcing_sid"),
        "generator_ema",
        _WHOLE,
        licence=_SELF_FORCING,
    ),
    Family(
        "infinity-rope",
        "Infinity-RoPE on Self-Forcing",
        ("ema_model",),
        "generator_ema",
        CacheConfig(6, 1, 3, flush=True),
        licence=_SELF_FORCING,
        missing="its scene cut, which moves the positions of one block",
    ),
    Family(
        "deep-sink",
        "a deep sink on Self-Forcing",
        (),
        "generator_ema",
        CacheConfig(21, 10, 3),
        licence=_SELF_FORCING,
        missing="the compression of Deep Forcing, of which no code is published",
    ),
    Family(
        "causal-forcing",
        "Causal-Forcing, in blocks",
        ("chunkwise/causal_forcing",),
        "generator",
        _WHOLE,
        licence=_CAUSAL_FORCING,
    ),
    _FRAMEWISE,
    replace(
        _FRAMEWISE,
        name="causal-forcing-2step",
        title="Causal-Forcing++ in 2 steps",
        files=("framewise-2step",),
        sampler=SamplerConfig((1000, 500), first_steps=_QUARTERS),
    ),
    replace(
        _FRAMEWISE,
        name="causal-forcing-1step",
        title="Causal-Forcing++ in 1 step",
        files=("framewise-1step",),
        sampler=SamplerConfig((1000,), first_steps=_QUARTERS),
    ),
    Family(
        "reward-forcing",
        "Reward Forcing",
        ("rewardforcing",),
        "generator",
        CacheConfig(9, 3, 3, sink_average=0.999),
        licence=_NO_CARD,
    ),
    replace(
        _LONGLIVE,
        name="memflow",
        title="MemFlow",
        files=(),
        licence="its code says CC BY-NC-SA 4.0, the files' card names none: no commercial use",
        missing="its bank of three frames",
    ),
    replace(
        _LONGLIVE,
        name="anchor-forcing",
        title="Anchor Forcing",
        files=(),
        cache=CacheConfig(12, 3, 3, span=21),
        licence="CC BY-NC-SA 4.0 by its README: no commercial use",
        missing="the junction that it remembers of each switch",
    ),
    _CAUSVID,
    replace(
        _CAUSVID,
        name="causvid-4step",
        title="CausVid in 4 warped steps",
        files=("autoregressive_checkpoint_warp_4step_cfg2/model",),
        sampler=SamplerConfig(_QUARTERS, shift=8.0),
    ),
    Family(
        "streamdiffusion-v2",
        "StreamDiffusionV2, from text",
        ("wan_causal_dmd_v2v/model",),
        "generator",
        replace(_WHOLE, clean_pass=False),
        SamplerConfig(_QUARTERS, shift=8.0, warp=False),
        licence=_NO_CARD,
        missing="its start from a camera's picture, and the sink that it refreshes there",
    ),
    Family(
        "krea",
        "Krea Realtime 14B",
        ("krea-realtime-video-14b", "14b_400"),
        "model",
        CacheConfig(6, 0, 3, keep_sink=False),
        licence="CC BY-NC-SA 4.0 as others state it: no commercial use",
        missing="a cache that is made anew before every block, with the first frame encoded again",
        is_14b=True,
    ),
    Family(
        "wan",
        "Wan2.1 itself, which was made for many more steps: expect noise",
        (),
        "model",
        CacheConfig(12, 3, 3),
        licence="Apache-2.0 (its README)",
    ),
)

# Files whose loop this engine does not make: how each is known, and what it would take.
ELSEWHERE = {
    "rolling_forcing_dmd": "Rolling Forcing, which has several blocks in flight at once",
    "chunkwise/longvideo": "Causal-Forcing for long clips, which has several blocks in flight at once",
    "base_distill": "Matrix-Game 2, whose transformer has modules for actions",
    "templerun_7dim_onlykey": "Matrix-Game 2, whose transformer has modules for actions",
    "model_bf16": "LongLive 2.0, which is made of Wan2.2 and another decoder",
}


def family_named(name: str) -> Family | None:
    """The family of this name."""
    return next((family for family in FAMILIES if family.name == name), None)


def families_of(path: str) -> list[Family]:
    """The families whose published files end like `path`, which is below the folder and has slashes."""
    return [family for family in FAMILIES if any(_ends(path, file) for file in family.files)]


def elsewhere(path: str) -> str | None:
    """What the file at `path` belongs to, if it is of a family whose loop is not made here."""
    return next((what for file, what in ELSEWHERE.items() if _ends(path, file)), None)


def _ends(path: str, file: str) -> bool:
    return any(f"/{path}".endswith(f"/{file}{suffix}") for suffix in SUFFIXES)
