"""Sizes and rules of a diffusion world, as frozen values; what cannot work raises ValueError at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from world.block import AVERAGES_BYTES
from world.cache_rules import CacheRules
from world.options import SinkAverages

POSITIONS = ("relative", "absolute")
PREDICTIONS = ("flow", "x0")
STORED = ("float16", "float32")
AVERAGES = 2  # a long one and a short one
FLUSH_KEEPS = 2  # latent frames besides the sink that a flush leaves, as in the code of Infinity-RoPE


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
    span: relative positions reach back so many frames at most, and the sink stands at their beginning; 0 for as many as
        the window holds.
    sink_average: each frame that leaves the window changes its place in the sink to sink_average * sink +
        (1 - sink_average) * frame, keys and values alike; 0 leaves the sink as it is.
    averages: what a long and a short running average of all that leaves the window keep of themselves each time; empty
        for none. They take two slots more, between the sink and the rest (world.dit.averages).
    flush: a prompt switch makes no recache, it forgets all but the sink and the FLUSH_KEEPS newest frames.
    clean_pass: whether a finished block is written once more, without noise, or stays as its last step wrote it.
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
    span: int = 0
    sink_average: float = 0.0
    averages: tuple[float, ...] = ()
    flush: bool = False
    clean_pass: bool = True

    def __post_init__(self) -> None:
        self._check_sizes()
        seen = self.size + len(self.averages)
        if self.span and (self.span < seen or self.positions == "absolute"):
            raise ValueError(f"span {self.span}: need at least the window of {seen}, and relative positions")
        self._check_averages()
        if not 0 <= self.sink_average < 1:
            raise ValueError(f"sink_average {self.sink_average}: need at least 0 and less than 1")
        is_even = self.sink == self.block and self.size == self.window and not self.window % self.block
        if self.sink_average and not is_even:
            got = f"sink {self.sink}, block {self.block}, window {self.window}"
            raise ValueError(f"sink_average needs a sink as long as a block and a window of whole blocks, got {got}")
        if self.flush and self.window - self.sink - self.block < FLUSH_KEEPS:
            told = f"sink {self.sink} + block {self.block} + {FLUSH_KEEPS} frames that are kept"
            raise ValueError(f"flush with a window of {self.window}: need at least {told}")

    def _check_averages(self) -> None:
        if not self.averages:
            return
        if len(self.averages) != AVERAGES or not 0 <= self.averages[1] <= self.averages[0] < 1:
            told = "need a long and a short one, such as 0.99,0.9: from 0 to below 1, and the long one not the smaller"
            raise ValueError(f"averages {','.join(f'{kept:g}' for kept in self.averages)}: {told}")
        if self.sink_average:
            raise ValueError("the sink is an average already, or two averages stand beside it: choose one")
        if self.published or self.size != self.window or not (self.sink and self.keep_sink):
            raise ValueError("two averages need a window that moves, and a sink that a switch keeps, like --sink 3")

    def _check_sizes(self) -> None:
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

    def with_sink(self, sink: int | None, average: SinkAverages) -> CacheConfig:
        """The same cache with a sink of so many latent frames, which is kept, and another average in it or beside it.

        Two averages take two of the window's slots, so that a block attends to no more than before. None: as it is.
        Raises ValueError for what a cache cannot be.
        """
        changed = self if sink is None else replace(self, sink=sink, keep_sink=sink > 0)
        if isinstance(average, tuple):
            window = changed.window if changed.window == -1 else changed.window - AVERAGES
            if window != -1 and window < changed.sink + changed.block:
                taken = f"sink {changed.sink}, two averages and a block of {changed.block}"
                raise ValueError(f"{taken} do not fit into a window of {changed.window}")
            return replace(changed, window=window, sink_average=0.0, averages=average)
        return changed if average is None else replace(changed, sink_average=average)

    @property
    def size(self) -> int:
        """Latent frames that the buffer holds."""
        return self.slots or self.window

    @property
    def rules(self) -> CacheRules:
        """What a recache follows from."""
        return CacheRules(
            self.window,
            self.sink,
            self.size,
            keep_sink=self.keep_sink and self.sink > 0,
            clean_pass=self.clean_pass,
            averages_sink=self.sink_average > 0,
            flush=self.flush,
            carried=self.sink if self.sink_average else 1,
            averages_window=bool(self.averages),
        )

    @property
    def blocks(self) -> int:
        """Blocks of latents that a rebuild may need."""
        return -(-(self.size if self.window == -1 else self.window) // self.block)


@dataclass(frozen=True)
class SamplerConfig:
    """The few denoising steps of a block.

    steps: nominal timesteps, descending. warp: look them up in the schedule shifted by `shift`.
    first_steps: those of the first block of a scene, where they are others.
    prediction: what the model predicts, "flow" (noise - x0) or "x0".
    clean: the timestep of the clean pass, which writes the finished block into the cache, and of a recache.
    """

    steps: tuple[int, ...] = (1000, 750, 500, 250)
    shift: float = 5.0
    warp: bool = True
    prediction: str = "flow"
    clean: float = 0.0
    first_steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for steps in (self.steps, self.first_steps or self.steps):
            if not steps or list(steps) != sorted(set(steps), reverse=True):
                raise ValueError(f"steps {steps}: need descending timesteps, like 1000, 750, 500, 250")
            if not all(0 < step <= 1000 for step in steps):
                raise ValueError(f"steps {steps}: each must be above 0 and at most 1000")
        if self.prediction not in PREDICTIONS:
            raise ValueError(f"prediction {self.prediction!r}: expected {' or '.join(PREDICTIONS)}")

    def counted(self, count: int) -> tuple[int, ...]:
        """`count` nominal timesteps: those of the model where it has as many, or else evenly spaced from 1000 on."""
        own = next((steps for steps in (self.steps, self.first_steps) if len(steps) == count), None)
        return own or tuple(round(1000 * (count - i) / count) for i in range(count))

    def beginning(self, count: int | None) -> SamplerConfig:
        """The same sampler with `count` steps for the first block of a scene; None: as it is."""
        return replace(self, first_steps=self.counted(count)) if count else self

    def of_block(self, is_first: bool, count: int) -> tuple[int, ...]:
        """The nominal timesteps of a block that is to be made in `count` steps. is_first: of its scene."""
        return self.first_steps if is_first and self.first_steps else self.counted(count)


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

    @property
    def stored_averages(self) -> tuple[int, ...] | None:
        """The shape of the averages that travel with a block; None where there are none, or they are too large."""
        shape = (2, self.dit.num_layers, self.latents.batch, AVERAGES, self.dit.num_heads, self.dit.head_dim)
        return shape if self.cache.averages and 4 * math.prod(shape) <= AVERAGES_BYTES else None
