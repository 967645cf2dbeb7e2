"""State from latents: a block appended by its clean pass, or a whole window re-encoded under new words in one pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from world.dit.averages import MeanTokens
from world.dit.cache import BankPair, CacheBank
from world.dit.dit import TextKV, TimeEmbeddings, Transformer


@dataclass(frozen=True)
class Stretch:
    """Consecutive latent frames [B, F, C, h, w], the first one's number, and their condition [B, F, dim] or None."""

    latents: Tensor
    start: int
    condition: Tensor | None = None

    @property
    def frames(self) -> int:
        return self.latents.shape[1]

    def under(self, condition: Tensor | None) -> Stretch:
        """The same latents under `condition`."""
        return replace(self, condition=condition)

    def led_by(self, latents: Tensor) -> Stretch:
        """The same stretch with these latents [B, f, C, h, w] in place of its first f frames."""
        return replace(self, latents=torch.cat([latents, self.latents[:, latents.shape[1] :]], 1))

    def last(self, frames: int) -> Stretch:
        """The newest `frames` of it."""
        skipped = self.frames - frames
        if skipped < 0:
            raise ValueError(f"a rebuild needs {frames} latent frames, got the last {self.frames}")
        condition = None if self.condition is None else self.condition[:, skipped:]
        return Stretch(self.latents[:, skipped:], self.start + skipped, condition)


@dataclass(frozen=True)
class Encoder:
    """What writes a cache: the model under a prompt's words, at the timestep of clean latents."""

    model: Transformer
    times: TimeEmbeddings
    words: TextKV
    timestep: float = 0.0

    def write(self, bank: CacheBank, stretch: Stretch, renew: bool = False) -> None:
        """One pass over `stretch`, all its frames seeing one another."""
        modulation = self.times.modulation(self.timestep, stretch.condition)
        attend = bank.attend(stretch.start, stretch.frames, renew)
        self.model.remember(stretch.latents, modulation, self.words, attend)


def append(encoder: Encoder, bank: CacheBank, block: Stretch) -> None:
    """The clean pass: the finished block's keys and values take the place of its noisy ones."""
    encoder.write(bank, block)


def rebuild(
    encoder: Encoder,
    banks: BankPair,
    past: Stretch,
    renew: bool,
    is_short: bool = False,
    averages: MeanTokens | None = None,
) -> None:
    """Fill the back bank with the stream up to the end of `past`, under the encoder's words; the caller swaps.

    renew: make the sink anew from the window's first frames; else the front bank's is kept once the window is full.
    is_short: encode all of `past` and keep no room before it, as if the stream had begun there; with `renew` only.
    averages: of what has left the window, to go on from; None: they begin anew.
    Memory comes out in the order of time, whatever the front bank's was: a rebuild follows from latents and words.
    """
    made = past.start + past.frames
    if is_short:
        banks.back.reset(made, filled=past.frames)
        encoder.write(banks.back, past, renew)
        return
    encoded = past.last(banks.front.config.rules.frames_needed(made, renew))
    kept = min(made, banks.back.config.size) - encoded.frames
    banks.back.reset(made, None if renew else banks.front, 0 if renew else kept)
    if averages:
        banks.back.hold_averages(averages)
    if encoded.frames:
        encoder.write(banks.back, encoded, renew)
