"""The bundled world: the shared transformer at a small size, with few, rich tokens and layers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from world.diffusion.model import TextEncoding
from world.diffusion.world import DiffusionWorld
from world.dit.attend import Dense, teacher_forcing
from world.dit.config import CacheConfig, DiffusionConfig, DiTConfig, LatentConfig, SamplerConfig
from world.dit.device import resolve
from world.dit.dit import Attend, CausalDiT
from world.dit.speed import accelerate, speed_for
from world.info import DialRange, WorldError, WorldInfo
from world.options import WorldOptions
from world.small.decoder import PictureDecoder
from world.small.geometry import Geometry, check_picture
from world.small.layers import GRID, Conditioner, ConvHead, PlacedEmbed, zero
from world.small.packed import read_packed
from world.small.text import TextEncoder, known_words, tokenize
from world.small.thesaurus import EXAMPLES, SILENT, TEXT_LENGTH, THESAURUS, WORD_GROUPS

TEXT_DIM = 128
HEAD_DIM = 64
WIDTH, LAYERS = 192, 6  # of the bundled weights
DIALS = ("pan_x", "pan_y", "zoom", "energy")
RANGES = {"zoom": DialRange(low=-0.5)}  # zoomed out farther, rings are too fine for the latents
WINDOW, SINK = 8, 1  # latent frames; a block is one of them
STEPS, SHIFT = (1000, 750, 500, 250), 5.0
WEIGHTS = Path(__file__).parent.parent / "assets" / "small.safetensors"
SHOWPIECE = "slow purple ripples"  # also what plays under a prompt without a known word


def shape(width: int = WIDTH, layers: int = LAYERS) -> DiTConfig:
    """The sizes of a small world's transformer; raises WorldError for a width that is no multiple of a head's 64."""
    if width < HEAD_DIM or width % HEAD_DIM or layers < 1:
        wanted = f"a width of {HEAD_DIM}, {2 * HEAD_DIM}, {3 * HEAD_DIM} and so on, and a layer or more"
        raise WorldError(f"width {width}, {layers} layers: expected {wanted}")
    sizes = {"text_dim": TEXT_DIM, "text_len": TEXT_LENGTH, "in_dim": Geometry.channels, "out_dim": Geometry.channels}
    return DiTConfig(dim=width, ffn_dim=4 * width, num_heads=width // HEAD_DIM, num_layers=layers, **sizes)


def shape_of(weights: Mapping[str, Tensor]) -> DiTConfig:
    """The sizes of the SmallModel that has these weights; raises WorldError if they belong to something else."""
    layers = {name.split(".")[2] for name in weights if name.startswith("dit.blocks.")}
    if "dit.patch_embedding.position" not in weights:
        raise WorldError("these weights are of no small world: they have no dit.patch_embedding.position")
    return shape(weights["dit.patch_embedding.position"].shape[1], len(layers))


class SmallModel(nn.Module):
    """All that is trained together: text encoder, conditioner and transformer, without the picture decoder."""

    def __init__(self, config: DiTConfig | None = None) -> None:
        super().__init__()
        config = config or shape()
        sizes = (config.in_dim, config.dim)
        self.text = TextEncoder(TEXT_DIM)
        self.condition = Conditioner(TEXT_DIM, len(DIALS), config.dim)
        self.dit = CausalDiT(config, embed=PlacedEmbed(*sizes), head=ConvHead(*sizes))
        for block in self.dit.layers:
            # every branch starts at zero, so that a deep model learns as fast at first as a shallow one
            zero(block.self_attn.o, block.cross_attn.o, block.ffn[2])

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> SmallModel:
        """The model with these weights, at the size that they have."""
        model = cls(shape_of(weights))
        model.load_state_dict(weights)
        return model

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        tokens: Tensor,
        dials: Tensor,
        attend: Attend,
        row: Tensor | None = None,
    ) -> Tensor:
        """latents [B, F, C, h, w], timesteps [B, F], tokens [B, L], dials [B, F, 4] -> x0 [B, F, C, h, w].

        row: int64 [B, F], for prompts that change within a clip: the row of `tokens`, then [any number, L], that each
            frame is made under.
        """
        embedding, pooled = self.text(tokens)
        words = self.dit.words(embedding)
        if row is not None:
            words, pooled = [(k[row.flatten()], v[row.flatten()]) for k, v in words], pooled[row]
        return self.dit(latents, timesteps, words, attend, self.condition(pooled, dials))


def clip(blocks: int) -> Dense:
    """Attention for a clip in which every block sees every other. For training, like the two below."""
    return Dense(GRID, [*range(blocks)], HEAD_DIM, device=torch.get_default_device())


def single() -> Dense:
    """Attention for a single block without a past."""
    return Dense(GRID, [0], HEAD_DIM, device=torch.get_default_device())


@lru_cache(maxsize=16)
def forced(blocks: int, cut: int = 0, stale: int = 0) -> Dense:
    """Teacher forcing: attention for `blocks` clean blocks followed by the same blocks with noise.

    stale, cut: the clean blocks from `stale` to `cut` see each other and all before them, as in a rebuilt cache.
    """
    mask = teacher_forcing(blocks, 1)
    mask[stale:cut, :cut] = True
    return Dense(GRID, [*range(blocks)] * 2, HEAD_DIM, mask, torch.get_default_device())


class SmallWorld(nn.Module):
    """A small world's model and decoder, with parameter names as in its file."""

    def __init__(self, config: DiTConfig | None = None) -> None:
        super().__init__()
        self.model, self.decoder = SmallModel(config), PictureDecoder(Geometry())

    @classmethod
    def load(cls, path: Path) -> SmallWorld:
        """Load a world's file; raises WorldError if it cannot be read or holds something else."""
        try:
            weights = read_packed(path)
            world = cls(shape_of({name.removeprefix("model."): tensor for name, tensor in weights.items()}))
            world.load_state_dict(weights)
        except (WorldError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            remedy = "install neverblink again" if path == WEIGHTS else "`neverblink train package` writes such files"
            raise WorldError(f"{path}: {why}; {remedy}") from None
        return world.eval().requires_grad_(False)

    def encode(self, text: str) -> TextEncoding:
        """Encode a prompt's known words, or the showpiece if it has none: embedding [1, L, 128], pooled [1, 128]."""
        words = known_words(text) or SHOWPIECE
        return TextEncoding(*self.model.text(tokenize([words]).to(self.decoder.enter.weight.device)))


def open_small(options: WorldOptions) -> DiffusionWorld:
    """Open the bundled world, or a file like it; raises WorldError for another picture size or unreadable weights."""
    path = WEIGHTS if options.name == "small" else Path(options.name)
    check_picture(options.picture)
    info = small_info(options.name)
    device = resolve(options.device)
    world = SmallWorld.load(path).to(device)
    # torch's stubs leave memory_format out
    world.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = world.model
    config = sizes(options.positions, model.dit.config)
    speed = speed_for(device, options.speed, model.dit.dtype)
    transformer = accelerate(model.dit, config, device, speed)
    return DiffusionWorld(config, transformer, world.encode, world.decoder, info, model.condition, device)


def small_info(name: str = "small") -> WorldInfo:
    """The WorldInfo of the bundled world or of one trained like it."""
    g = Geometry()
    return WorldInfo(
        name=name,
        fps=24.0,
        block_frames=g.frames,
        picture=g.picture,
        showpiece=SHOWPIECE,
        memory_blocks=WINDOW,
        dials={name: RANGES.get(name, DialRange()) for name in DIALS},
        vocabulary=tuple(sorted(THESAURUS)),
        silent=tuple(sorted(SILENT)),
        word_groups=WORD_GROUPS,
        examples=EXAMPLES,
        most_words=TEXT_LENGTH,
        fallback=SHOWPIECE,
    )


def sizes(positions: str = "relative", dit: DiTConfig | None = None) -> DiffusionConfig:
    """The DiffusionConfig of a small world; without `dit`, of the bundled one."""
    g = Geometry()
    return DiffusionConfig(
        dit=dit or shape(),
        cache=CacheConfig(window=WINDOW, sink=SINK, block=1, positions=positions),
        sampler=SamplerConfig(steps=STEPS, shift=SHIFT, prediction="x0"),
        latents=LatentConfig(channels=g.channels, height=g.rows, width=g.columns, grid=GRID),
    )
