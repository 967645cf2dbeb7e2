"""One pass of the model over a batch of sequences, by teacher forcing, in parts that a compiler can take one by one.

It gives what `CompactModel.forward` gives. Each layer is one call of one function with tensors alone, so that
compiling it once serves all layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from world.compact.model import HEAD_DIM, CompactModel
from world.dit.attend import attention, expand_to_tokens, teacher_forcing
from world.dit.dit import TransformerBlock
from world.dit.rope import rotate_pairs, rotation
from world.train.story.form import TALE

GRID = TALE.geometry.grid


def run_layer(
    block: TransformerBlock, x: Tensor, modulation: Tensor, words: tuple[Tensor, Tensor], turn: Tensor, mask: Tensor
) -> Tensor:
    """One layer over tokens x [B, F, N, dim] with self-attention under a mask between tokens [F * N, F * N]."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(rotate_pairs(q, turn), rotate_pairs(k, turn), v, mask)

    return block(x, modulation, words, attend)


LayerCall = Callable[[TransformerBlock, Tensor, Tensor, tuple[Tensor, Tensor], Tensor, Tensor], Tensor]


class TeacherForcing:
    """Predicts blocks of sequences from their histories. Owns tables of positions and masks; `layer` runs a layer."""

    def __init__(self, device: torch.device, layer: LayerCall = run_layer) -> None:
        self.device, self.layer = device, layer
        self.turns: dict[tuple[int, ...], Tensor] = {}
        self.masks: dict[tuple[int, ...], Tensor] = {}

    def __call__(
        self,
        model: CompactModel,
        noisy: Tensor,
        sigma: Tensor,
        history: Tensor | None,
        words: tuple[Tensor, Tensor],
        dials: Tensor,
        spans: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """x0 [B, k, C, h, w] of the last k blocks of sequences of n, noisy at levels sigma [B, k], after clean ones.

        history: the first blocks of the sequences, clean. words: old and new tokens [B, L] each; dials: [B, n, 3].
        spans: the cut, up to which blocks of the history were encoded together, and the number of stale blocks, which
        were encoded under the old words.
        """
        n, k, (cut, stale) = dials.shape[1], noisy.shape[1], spans
        known = 0 if history is None else history.shape[1]
        latents = noisy if history is None else torch.cat([history, noisy], 1)
        times = F.pad(sigma, (known, 0))
        dials = torch.cat([dials[:, :known], dials[:, n - k :]], 1)
        is_stale = torch.arange(known + k, device=self.device) < stale
        keys, pooled = self._spoken(model, *words, is_stale)
        dit = model.dit
        e = dit.time(1000 * times)
        e = e + model.condition(pooled, dials).type_as(e)
        modulation = dit.time_projection(e).unflatten(-1, (6, -1))
        x = dit.patch_embedding(latents).unflatten(1, (known + k, -1))
        turn, mask = self._turn(n, known, k), self._mask(n, cut, stale, known, k)
        for block, spoken in zip(dit.layers, keys, strict=True):
            x = self.layer(block, x, modulation, spoken, turn, mask)
        return dit.head(x.flatten(1, 2)[:, -k * x.shape[2] :], e[:, -k:], noisy)

    def _spoken(
        self, model: CompactModel, old: Tensor, new: Tensor, is_stale: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """Each layer's keys and values of each frame's words, [B * F, L, heads, d]; the pooled words [B, F, 128]."""
        embedding, pooled = model.text(torch.cat([old, new]))

        def chosen(of_both: Tensor) -> Tensor:
            before, after = of_both.unsqueeze(1).chunk(2)
            return torch.where(is_stale.view(1, -1, *[1] * (of_both.ndim - 1)), before, after)

        keys = [(chosen(k).flatten(0, 1), chosen(v).flatten(0, 1)) for k, v in model.dit.words(embedding)]
        return keys, chosen(pooled)

    def _turn(self, n: int, known: int, k: int) -> Tensor:
        key = n, known, k
        if key not in self.turns:
            positions = torch.cat([torch.arange(known), torch.arange(n - k, n)]).to(self.device)
            self.turns[key] = torch.view_as_real(rotation(positions, GRID, HEAD_DIM))
        return self.turns[key]

    def _mask(self, n: int, cut: int, stale: int, known: int, k: int) -> Tensor:
        """Who sees whom, between tokens: bool [F * N, F * N]."""
        key = n, cut, stale, known, k
        if key not in self.masks:
            mask = teacher_forcing(n, 1)
            mask[stale:cut, :cut] = True
            here = torch.cat([torch.arange(known), torch.arange(2 * n - k, 2 * n)])
            self.masks[key] = expand_to_tokens(mask[here][:, here], GRID[0] * GRID[1]).to(self.device)
        return self.masks[key]
