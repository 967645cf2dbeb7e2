"""A compact world's model: the shared transformer at a small size, with few, rich tokens and layers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from world.compact.form import WorldForm
from world.compact.layers import Conditioner, ConvHead, PlacedEmbed, zero
from world.compact.small import SMALL
from world.compact.text import TextEncoder
from world.dit.attend import Dense, teacher_forcing
from world.dit.config import DiTConfig
from world.dit.dit import Attend, CausalDiT
from world.info import WorldError

HEAD_DIM = 64
WIDTH, LAYERS = 192, 6  # of the weights of `small`


def shape(width: int = WIDTH, layers: int = LAYERS, form: WorldForm = SMALL) -> DiTConfig:
    """The sizes of a compact world's transformer; raises WorldError for a width that is no multiple of a head's 64."""
    if width < HEAD_DIM or width % HEAD_DIM or layers < 1:
        wanted = f"a width of {HEAD_DIM}, {2 * HEAD_DIM}, {3 * HEAD_DIM} and so on, and a layer or more"
        raise WorldError(f"width {width}, {layers} layers: expected {wanted}")
    text, channels = form.language.most_words, form.geometry.channels
    sizes = {"text_dim": form.text_width, "text_len": text, "in_dim": channels, "out_dim": channels}
    return DiTConfig(dim=width, ffn_dim=4 * width, num_heads=width // HEAD_DIM, num_layers=layers, **sizes)


def shape_of(weights: Mapping[str, Tensor], form: WorldForm = SMALL) -> DiTConfig:
    """The sizes of the CompactModel that has these weights; raises WorldError if they belong to something else."""
    layers = {name.split(".")[2] for name in weights if name.startswith("dit.blocks.")}
    if "dit.patch_embedding.position" not in weights:
        raise WorldError("these weights are of no compact world: they have no dit.patch_embedding.position")
    return shape(weights["dit.patch_embedding.position"].shape[1], len(layers), form)


class CompactModel(nn.Module):
    """All that is trained together: text encoder, conditioner and transformer, without the picture decoder."""

    def __init__(self, config: DiTConfig | None = None, form: WorldForm = SMALL) -> None:
        super().__init__()
        config = config or shape(form=form)
        self.form, geometry = form, form.geometry
        self.text = TextEncoder(form.text_width, language=form.language)
        self.condition = Conditioner(form.text_width, len(form.dials), config.dim)
        head = ConvHead(geometry, config.dim, form.head_width)
        self.dit = CausalDiT(config, embed=PlacedEmbed(geometry, config.dim), head=head)
        for block in self.dit.layers:
            # every branch starts at zero, so that a deep model learns as fast at first as a shallow one
            zero(block.self_attn.o, block.cross_attn.o, block.ffn[2])

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], form: WorldForm = SMALL) -> CompactModel:
        """The model with these weights, at the size that they have."""
        model = cls(shape_of(weights, form), form)
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
    return Dense(SMALL.geometry.grid, [*range(blocks)], HEAD_DIM, device=torch.get_default_device())


def single() -> Dense:
    """Attention for a single block without a past."""
    return Dense(SMALL.geometry.grid, [0], HEAD_DIM, device=torch.get_default_device())


@lru_cache(maxsize=16)
def forced(blocks: int, cut: int = 0, stale: int = 0) -> Dense:
    """Teacher forcing: attention for `blocks` clean blocks followed by the same blocks with noise.

    stale, cut: the clean blocks from `stale` to `cut` see each other and all before them, as in a rebuilt cache.
    """
    mask = teacher_forcing(blocks, 1)
    mask[stale:cut, :cut] = True
    return Dense(SMALL.geometry.grid, [*range(blocks)] * 2, HEAD_DIM, mask, torch.get_default_device())
