"""The bundled world: the shared transformer with few, rich tokens that know their place, and a head that sees x_t."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.diffusion.world import DiffusionWorld, Text
from world.dit.attend import Dense, teacher_forcing
from world.dit.config import CacheConfig, DiffusionConfig, DiTConfig, LatentConfig, SamplerConfig
from world.dit.device import resolve
from world.dit.dit import Attend, CausalDiT
from world.info import DialRange, WorldError, WorldInfo
from world.options import WorldOptions
from world.small.decoder import Geometry, PictureDecoder
from world.small.packed import read
from world.small.text import SILENT, TEXT_LENGTH, THESAURUS, TextEncoder, tokenize

PATCH = (4, 2)  # rows and columns of latents in a token
TEXT_DIM = 128
HEAD_DIM = 64
WIDTH, LAYERS = 192, 6  # of the one in the package
GRID = (Geometry.rows // PATCH[0], Geometry.columns // PATCH[1])  # rows and columns of tokens
DIALS = ("pan_x", "pan_y", "zoom", "energy")
RANGES = {"zoom": DialRange(low=-0.5)}  # farther out, rings are finer than the latents hold
WINDOW, SINK = 8, 1  # latent frames, the block among them
STEPS, SHIFT = (1000, 750, 500, 250), 5.0
WEIGHTS = Path(__file__).parent.parent / "assets" / "small.safetensors"
SHOWPIECE = "slow purple ripples"


def shape(width: int = WIDTH, layers: int = LAYERS) -> DiTConfig:
    """The transformer of a small world; raises WorldError for a width that heads of 64 do not fill."""
    if width < HEAD_DIM or width % HEAD_DIM or layers < 1:
        wanted = f"a width of {HEAD_DIM}, {2 * HEAD_DIM}, {3 * HEAD_DIM} and so on, and a layer or more"
        raise WorldError(f"width {width}, {layers} layers: expected {wanted}")
    sizes = {"text_dim": TEXT_DIM, "text_len": TEXT_LENGTH, "in_dim": Geometry.channels, "out_dim": Geometry.channels}
    return DiTConfig(dim=width, ffn_dim=4 * width, num_heads=width // HEAD_DIM, num_layers=layers, **sizes)


def shape_of(weights: Mapping[str, Tensor]) -> DiTConfig:
    """The transformer that a SmallModel's `weights` are of; raises WorldError if they are of something else."""
    layers = {name.split(".")[2] for name in weights if name.startswith("dit.blocks.")}
    if "dit.patch_embedding.position" not in weights:
        raise WorldError("these weights are of no small world: they have no dit.patch_embedding.position")
    return shape(weights["dit.patch_embedding.position"].shape[1], len(layers))


class PlacedEmbed(nn.Module):
    """Patches of latents, each told where in the picture it lies.

    Relative positions alone give a tunnel no centre to find.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("features", place_features(*GRID), persistent=False)
        self.patch = nn.Linear(channels * PATCH[0] * PATCH[1], dim)
        self.place = nn.Linear(self.features.shape[1], dim)
        self.position = nn.Parameter(torch.randn(len(self.features), dim) * 0.02)

    def forward(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> tokens [B, F N, D], frame by frame, row by row."""
        patches = latents.unflatten(-1, (-1, PATCH[1])).unflatten(-3, (-1, PATCH[0]))  # [B, F, C, rows, p, columns, q]
        patches = patches.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)
        return (self.patch(patches) + self.place(self.features) + self.position).flatten(1, 2)


def place_features(rows: int, columns: int) -> Tensor:
    """Waves of x, y, radius and angle at the middle of each token: [rows columns, 37]."""
    y = ((torch.arange(rows) + 0.5) / rows * 2 - 1).view(-1, 1).expand(rows, columns)
    x = (((torch.arange(columns) + 0.5) / columns * 2 - 1) * 1.75).expand(rows, columns)
    radius, angle = torch.sqrt(x**2 + y**2), torch.atan2(y, x)
    features = [x, y, radius]
    for k in (1, 2, 4, 8):
        features += [wave(k * math.pi / 2 * place) for place in (x, y, radius) for wave in (torch.sin, torch.cos)]
    for k in (1, 2, 3, 4, 6):
        features += [torch.cos(k * angle), torch.sin(k * angle)]
    return torch.stack(features, -1).flatten(0, 1)


class ConvHead(nn.Module):
    """Tokens to a prediction of x0, with three convolutions across patch seams that see the noisy latents too."""

    def __init__(self, channels: int, dim: int, width: int = 96) -> None:
        super().__init__()
        self.channels = channels
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)
        self.out = nn.Linear(dim, channels * PATCH[0] * PATCH[1])
        self.first = nn.Conv2d(2 * channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, channels, 3, padding=1)
        self.film = nn.Linear(dim, 4 * width)
        for layer in (self.out, self.third, self.film):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens [B, F N, D], e [B, F, D], latents [B, F, C, h, w] -> x0 [B, F, C, h, w]."""
        rough = self._unpatch(tokens, e).flatten(0, 1)
        scale_1, shift_1, scale_2, shift_2 = self.film(F.silu(e)).flatten(0, 1)[..., None, None].chunk(4, 1)
        fine = self.first(torch.cat([rough, latents.flatten(0, 1).to(rough.dtype)], 1))
        fine = self.second(F.gelu(fine * (1 + scale_1) + shift_1, approximate="tanh"))
        fine = self.third(F.gelu(fine * (1 + scale_2) + shift_2, approximate="tanh"))
        return (rough + fine).view(latents.shape)

    def _unpatch(self, tokens: Tensor, e: Tensor) -> Tensor:
        b, f, dim = e.shape
        shift, scale = (self.modulation + e.unsqueeze(2)).unsqueeze(3).unbind(2)
        normed = F.layer_norm(tokens, (dim,), eps=1e-6).view(b, f, -1, dim)
        patches = self.out(normed * (1 + scale) + shift).view(b, f, *GRID, self.channels, *PATCH)
        return patches.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4)


class Conditioner(nn.Module):
    """What is added to the time embedding: the pooled words and the dials."""

    def __init__(self, text_dim: int, dials: int, dim: int) -> None:
        super().__init__()
        self.words = nn.Sequential(nn.Linear(text_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        # without bias: dials at rest change nothing
        self.dials = nn.Linear(dials, dim, bias=False)
        nn.init.normal_(self.dials.weight, std=0.1)

    def forward(self, pooled: Tensor, dials: Tensor) -> Tensor:
        """pooled [B, text_dim] or one for each frame [B, F, text_dim], dials [B, F, n] -> [B, F, D]."""
        words = self.words(pooled)
        return (words if pooled.ndim == 3 else words.unsqueeze(1)) + self.dials(dials.to(pooled))


class SmallModel(nn.Module):
    """Everything that is trained but the picture decoder: words, dials and the transformer."""

    def __init__(self, config: DiTConfig | None = None) -> None:
        super().__init__()
        config = config or shape()
        sizes = (config.in_dim, config.dim)
        self.text = TextEncoder(TEXT_DIM)
        self.condition = Conditioner(TEXT_DIM, len(DIALS), config.dim)
        self.dit = CausalDiT(config, embed=PlacedEmbed(*sizes), head=ConvHead(*sizes))
        for block in self.dit.blocks:
            # every branch begins as nothing, so that depth costs no early progress
            for layer in (block.self_attn.o, block.cross_attn.o, block.ffn[2]):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> SmallModel:
        """The model, of whatever size, that these are the weights of."""
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

        row [B, F]: which of the tokens' rows, then of any number, each frame is under.
        """
        embedding, pooled = self.text(tokens)
        words = self.dit.words(embedding)
        if row is not None:
            words, pooled = [(k[row.flatten()], v[row.flatten()]) for k, v in words], pooled[row]
        return self.dit(latents, timesteps, words, attend, self.condition(pooled, dials))


def clip(blocks: int) -> Dense:
    """Attention of a whole clip, every block seeing every other."""
    return Dense(GRID, [*range(blocks)], HEAD_DIM, device=torch.get_default_device())


def single() -> Dense:
    """Attention of a single block."""
    return Dense(GRID, [0], HEAD_DIM, device=torch.get_default_device())


@lru_cache(maxsize=16)
def forced(blocks: int, cut: int = 0, stale: int = 0) -> Dense:
    """Teacher forcing over [clean | noisy] blocks.

    The clean ones from `stale` to `cut` all see one another and those before, as a rebuild under new words leaves them.
    """
    mask = teacher_forcing(blocks, 1)
    mask[stale:cut, :cut] = True
    return Dense(GRID, [*range(blocks)] * 2, HEAD_DIM, mask, torch.get_default_device())


class SmallWorld(nn.Module):
    """All weights of a small world, as they lie in its file."""

    def __init__(self, config: DiTConfig | None = None) -> None:
        super().__init__()
        self.model, self.decoder = SmallModel(config), PictureDecoder(Geometry())

    @classmethod
    def load(cls, path: Path) -> SmallWorld:
        """The world in a file; raises WorldError if it cannot be read or holds something else."""
        try:
            weights = read(path)
            world = cls(shape_of({name.removeprefix("model."): tensor for name, tensor in weights.items()}))
            world.load_state_dict(weights)
        except (WorldError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            remedy = "install neverblink again" if path == WEIGHTS else "`neverblink train package` writes such files"
            raise WorldError(f"{path}: {why}; {remedy}") from None
        return world.eval().requires_grad_(False)

    def encode(self, text: str) -> Text:
        """A prompt as the transformer reads it."""
        return Text(*self.model.text(tokenize([text]).to(self.decoder.enter.weight.device)))


def open_small(options: WorldOptions) -> DiffusionWorld:
    """The bundled world, or one trained like it; raises WorldError for what it has not, or weights it cannot read."""
    path = WEIGHTS if options.name == "small" else Path(options.name)
    info = describe(options.name)
    if options.picture not in (None, info.picture):
        asked = "x".join(map(str, options.picture))
        raise WorldError(f"picture {asked}: this world draws {info.picture[0]}x{info.picture[1]} only")
    device = resolve(options.device)
    world = SmallWorld.load(path).to(device)
    world.decoder.to(memory_format=torch.channels_last)
    model = world.model
    config = sizes(options.positions, model.dit.config)
    return DiffusionWorld(config, model.dit, world.encode, world.decoder, info, model.condition, device)


def describe(name: str = "small") -> WorldInfo:
    """What everybody may know of the bundled world, or of one trained like it."""
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
    )


def sizes(positions: str = "relative", dit: DiTConfig | None = None) -> DiffusionConfig:
    """What a session must know of a small world."""
    g = Geometry()
    return DiffusionConfig(
        dit=dit or shape(),
        cache=CacheConfig(window=WINDOW, sink=SINK, block=1, positions=positions),
        sampler=SamplerConfig(steps=STEPS, shift=SHIFT, prediction="x0"),
        latents=LatentConfig(channels=g.channels, height=g.rows, width=g.columns, grid=GRID),
    )
