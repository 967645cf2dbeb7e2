"""Sizes and rules of a diffusion world, as frozen values; what cannot work raises ValueError at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from world.cache_rules import CacheRules

POSITIONS = ("relative", "absolute")
PREDICTIONS = ("flow", "x0")
STORED = ("float16", "float32")


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of the transformer; the defaults are Wan2.1-T2V-1.3B.

    text_len: rows of text that every layer attends to; shorter embeddings are padded with zero rows, which are not
        masked. 0: as many rows as the embedding has.
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
        """Width of one attention head."""
        return self.dim // self.num_heads


@dataclass(frozen=True)
class CacheConfig:
    """What a block attends to, counted in latent frames.

    window: all that a block sees, sink and block included; -1 for everything since the beginning.
    sink: the first frames of the stream, which are never evicted. block: frames made at a time.
    slots: size of the buffer; 0 for the size of the window.
    positions: "relative" counts from the start of the window, so that a stream never ends; "absolute" counts from the
        start of the stream.
    keep_sink: whether a prompt switch leaves the sink as it was first written, once the window is full.
    published: repeat what the published code does when the sink is larger than a block: sink slots are attended to
        before they are filled, and later passes over the same frames do not write them. For golden vectors only.
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
        """Latent frames that the buffer holds."""
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

    steps: nominal timesteps, descending from 1000. warp: look them up in the schedule shifted by `shift`.
    prediction: what the model predicts, "flow" (noise - x0) or "x0".
    clean: the timestep of the clean pass, which writes the finished block into the cache.
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
    """The size of a latent frame.

    grid: rows and columns of tokens that the model makes of it. stored: the dtype a block is rounded to before it is
    cached, decoded and logged. batch: streams made at once; a live world has one.
    """

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
        """[B, F, C, h, w] for that many latent frames."""
        return self.batch, frames, self.channels, self.height, self.width


@dataclass(frozen=True)
class DiffusionConfig:
    """All sizes and rules of a world's model, nested like its parts."""

    dit: DiTConfig = field(default_factory=DiTConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    latents: LatentConfig = field(default_factory=LatentConfig)
