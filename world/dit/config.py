"""Sizes and rules of a diffusion world, as frozen values that refuse nonsense."""

from __future__ import annotations

from dataclasses import dataclass, field

from world.cache_rules import CacheRules

POSITIONS = ("relative", "absolute")
PREDICTIONS = ("flow", "x0")
STORED = ("float16", "float32")


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of the transformer; the defaults are Wan2.1-T2V-1.3B.

    text_len: rows of text that every layer attends to; shorter embeddings get zero rows, which take part. 0: as many as
        given.
    """

    dim: int = 1536
    ffn_dim: int = 8960
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    in_dim: int = 16
    out_dim: int = 16
    num_heads: int = 12
    num_layers: int = 30

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or self.head_dim % 2 or self.head_dim < 6:
            raise ValueError(f"width {self.dim} in {self.num_heads} heads: need an even head width of at least 6")
        if self.freq_dim % 2:
            raise ValueError(f"freq_dim is {self.freq_dim}: need an even number (cosines and sines)")

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads


@dataclass(frozen=True)
class CacheConfig:
    """What a block remembers, in latent frames.

    window: all it sees, the sink and itself included; -1 for everything since the beginning.
    sink: the first frames, which are never evicted; block: frames made at a time; slots: room in the buffer, 0 for the
        window.
    positions: "relative" numbers the window's slots, so a stream never ends; "absolute" counts latent frames.
    keep_sink: a prompt switch leaves the sink as it was first written (once the window is full).
    published: where the sink exceeds a block, do as the published code does: its slots are attended before they are
        filled, and later passes over the same frames do not write them. Golden vectors need it; a world does not want
        it.
    """

    window: int = 12
    sink: int = 3
    block: int = 3
    slots: int = 0
    positions: str = "relative"
    keep_sink: bool = True
    published: bool = False

    def __post_init__(self) -> None:
        if self.block < 1 or self.sink < 0:
            raise ValueError(f"block {self.block}, sink {self.sink} frames: need at least 1 and 0")
        if self.window == -1 and not self.slots:
            raise ValueError("a window of -1 remembers everything: say in `slots` how many frames there will be")
        if self.window != -1 and self.window < self.sink + self.block:
            raise ValueError(f"window {self.window}: need at least sink {self.sink} + block {self.block} frames")
        if self.size < self.sink + self.block:
            raise ValueError(f"{self.size} slots: need at least sink {self.sink} + block {self.block} frames")
        if self.positions not in POSITIONS:
            raise ValueError(f"positions {self.positions!r}: expected {' or '.join(POSITIONS)}")

    @property
    def size(self) -> int:
        """Frames that the buffer holds."""
        return self.slots or self.window

    @property
    def rules(self) -> CacheRules:
        """What a recache follows from."""
        return CacheRules(self.window, self.sink, self.size, self.keep_sink)

    @property
    def blocks(self) -> int:
        """Blocks of latents that a rebuild may need."""
        return -(-(self.size if self.window == -1 else self.window) // self.block)


@dataclass(frozen=True)
class SamplerConfig:
    """The few denoising steps of a block.

    steps: nominal timesteps, descending from 1000; with `warp` they are moved along the grid of `shift`.
    prediction: what the model gives, "flow" (noise - x0) or "x0". clean: the timestep of the pass that writes the
        cache.
    """

    steps: tuple[int, ...] = (1000, 750, 500, 250)
    shift: float = 5.0
    warp: bool = True
    prediction: str = "flow"
    clean: float = 0.0

    def __post_init__(self) -> None:
        if not self.steps or list(self.steps) != sorted(set(self.steps), reverse=True):
            raise ValueError(f"steps {self.steps}: need descending timesteps, like 1000, 750, 500, 250")
        if not all(0 < step <= 1000 for step in self.steps):
            raise ValueError(f"steps {self.steps}: each must be above 0 and at most 1000")
        if self.prediction not in PREDICTIONS:
            raise ValueError(f"prediction {self.prediction!r}: expected {' or '.join(PREDICTIONS)}")


@dataclass(frozen=True)
class LatentConfig:
    """One latent frame: its size, the grid of tokens the model makes of it, and how it is stored."""

    channels: int = 16
    height: int = 60
    width: int = 104
    grid: tuple[int, int] = (30, 52)
    stored: str = "float16"
    batch: int = 1

    def __post_init__(self) -> None:
        if self.stored not in STORED:
            raise ValueError(f"latents stored as {self.stored!r}: expected {' or '.join(STORED)}")

    def shape(self, frames: int) -> tuple[int, int, int, int, int]:
        """[B, F, C, h, w] of that many latent frames."""
        return self.batch, frames, self.channels, self.height, self.width


@dataclass(frozen=True)
class DiffusionConfig:
    """Everything a session must know of a world's model."""

    dit: DiTConfig = field(default_factory=DiTConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    latents: LatentConfig = field(default_factory=LatentConfig)
