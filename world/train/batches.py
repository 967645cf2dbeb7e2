"""What the base training sees: single blocks, running streams and prompt switches, in latents.

A sequence has one text, as at play time, where history is re-encoded under the new words before the next block. Blocks
that the text does not describe are context only and take no part in the loss.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import torch
from torch import Tensor

from world.decoder import LinearLatents
from world.train.captions import COLOURS, KINDS, Look, caption, describe, imagine, some_kinds
from world.train.library import Library, Wardrobe, kind_of
from world.train.render import colours_of

DROPPED = 0.08  # of the captions: what guidance subtracts
PARTIAL = 0.4  # of the switches name one or two attributes only


@dataclass(frozen=True)
class Batch:
    """latents [B, n, C, h, w], dials [B, n, 4], texts B, counted [B, n]: which blocks the loss counts.

    cut: how many first blocks were re-encoded together under the texts; stale: how many of the first are still encoded
    under the words `before`.
    """

    latents: Tensor
    dials: Tensor
    texts: list[str]
    counted: Tensor
    cut: int = 0
    stale: int = 0
    before: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """One sequence of a batch."""

    latents: Tensor
    dials: Tensor
    text: str
    counted: Tensor
    before: str = ""


def stack(lines: list[Line], cut: int = 0, stale: int = 0) -> Batch:
    """A batch of `lines`."""
    latents, dials, counted = (
        torch.stack([getattr(line, name) for line in lines]) for name in ("latents", "dials", "counted")
    )
    texts, before = [line.text for line in lines], [line.before for line in lines]
    return Batch(latents, dials, texts, counted, cut, stale, before)


class Source:
    """Draws sequences from a library. Owns its chance: the same seed draws the same batches."""

    def __init__(self, library: Library, latents: LinearLatents, seed: int) -> None:
        self.library, self.wardrobe, self.seam = library, Wardrobe(latents), Seam(latents)
        self.rng = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def singles(self, count: int) -> Batch:
        """First blocks of streams: a scene from nothing."""
        return stack([self._single() for _ in range(count)])

    def streams(self, count: int, length: int) -> Batch:
        """Sequences of `length` blocks; half of the batches are of full windows, whose sink keeps its own words."""
        is_full = self.rng.random() < 0.5
        return stack([self._stream(length, is_full) for _ in range(count)], stale=int(is_full))

    def switches(self, count: int, length: int) -> Batch:
        """Sequences that change under new words, all after the same number of blocks.

        Half of the batches are of full windows, whose sink a rebuild leaves under the old words.
        """
        cut, is_full = self.rng.randrange(1, length), self.rng.random() < 0.5
        return stack([self._switch(cut, self._places(length, is_full)) for _ in range(count)], cut, int(is_full))

    def stale(self, count: int, length: int) -> Batch:
        """Sequences whose words change while the cache still holds the old ones: the old scene goes on.

        Without these, words act the same whether or not the history was re-encoded under them.
        """
        cut, is_full = self.rng.randrange(2, length), self.rng.random() < 0.5
        return stack([self._keep_on(length, cut, is_full) for _ in range(count)], 0, cut)

    def clips(self, count: int, length: int) -> Batch:
        """Clips for a judge of whole clips: half of them change under new words after their first block."""
        return stack([self._running(length) if n % 2 else self._switch(1, self._stretch(length)) for n in range(count)])

    def pairs(self, count: int) -> tuple[Tensor, list[Look]]:
        """Two blocks in a row of any clips, [B, 2, C, h, w], and what they show."""
        looks, made = [], []
        for _ in range(count):
            scene, way, speed = self.rng.choice(list(self.library.shelves))
            looks.append(Look(scene, self.rng.choice(list(COLOURS)), way, speed))
            at = self.rng.randrange(self.library.blocks - 1)
            made.append(self._clip(looks[-1], self.library.pick(looks[-1], self.rng), [at, at + 1])[0])
        return torch.stack(made), looks

    def _single(self) -> Line:
        text = self._drop(caption(self.rng))
        look = imagine(text or caption(self.rng))
        latents, dials = self._clip(look, self.library.pick(look, self.rng), [self.rng.randrange(self.library.blocks)])
        return Line(latents, dials, text, torch.ones(1, dtype=torch.bool))

    def _stream(self, length: int, is_full: bool) -> Line:
        look = sunk = imagine(caption(self.rng))
        latents, dials = self._clip(look, self.library.pick(look, self.rng), self._places(length, is_full))
        if is_full and self.rng.random() < 0.4:
            sunk = imagine(caption(self.rng))
            first, first_dials = self._clip(sunk, self.library.pick(sunk, self.rng), [0])
            latents, dials = torch.cat([first, latents[1:]]), torch.cat([first_dials, dials[1:]])
        text = self._drop(self._said_of(look))
        counted = torch.ones(length, dtype=torch.bool)
        # the first block is made from the words alone, and the second of a full window does not follow the sink
        counted[0] = sunk == look and (not text or imagine(text) == look)
        counted[1] = not is_full
        return Line(latents, dials, text, counted, self._said_of(sunk))

    def _running(self, length: int) -> Line:
        look = imagine(caption(self.rng))
        latents, dials = self._clip(look, self.library.pick(look, self.rng), self._stretch(length))
        return Line(latents, dials, self._drop(self._said_of(look)), torch.ones(length, dtype=torch.bool))

    def _switch(self, cut: int, at: list[int]) -> Line:
        before = imagine(caption(self.rng))
        text = self._new_words()
        after = imagine(text, before)
        clip = self.library.pick(before, self.rng)
        old, old_dials = self._clip(before, clip, at)
        same = kind_of(after) == kind_of(before)
        new, new_dials = self._clip(after, clip if same else self.library.pick(after, self.rng), at)
        latents = self.seam.fade(old, new, cut)
        dials = torch.cat([old_dials[:cut], new_dials[cut:]])
        return Line(latents, dials, text, torch.arange(len(at)) >= cut, self._said_of(before))

    def _keep_on(self, length: int, cut: int, is_full: bool) -> Line:
        look = imagine(caption(self.rng))
        latents, dials = self._clip(look, self.library.pick(look, self.rng), self._places(length, is_full))
        return Line(latents, dials, self._new_words(), torch.arange(length) >= cut, self._said_of(look))

    def _new_words(self) -> str:
        return caption(self.rng, self._few_kinds() if self.rng.random() < PARTIAL else None)

    def _few_kinds(self) -> tuple[str, ...]:
        return tuple(self.rng.sample(("scene", "colour", "direction", "speed"), self.rng.randint(1, 2)))

    def _places(self, length: int, is_full: bool) -> list[int]:
        """Block numbers in a clip: from its beginning, or, of a full window, the beginning and then a later stretch."""
        latest = self.library.blocks - length + 1
        start = self.rng.randint(min(2, latest), latest) if is_full else 1
        return [0, *range(start, start + length - 1)]

    def _stretch(self, length: int) -> list[int]:
        start = self.rng.randint(0, self.library.blocks - length)
        return [*range(start, start + length)]

    def _said_of(self, look: Look) -> str:
        """Words under which a stream of `look` goes on as it is; they need not name everything."""
        text = describe(look, self.rng, some_kinds(self.rng) if self.rng.random() < 0.4 else KINDS)
        return text if imagine(text, look) == look else describe(look, self.rng)

    def _drop(self, text: str) -> str:
        return "" if self.rng.random() < DROPPED else text

    def _clip(self, look: Look, clip: int, at: list[int]) -> tuple[Tensor, Tensor]:
        projected, dials = self.library.read(clip, at)
        colours = colours_of([look], self.generator)
        return self.wardrobe.wear(projected.unsqueeze(0), colours)[0], dials


class Seam:
    """Cross-fades over two blocks, in latents: a ramp in time is a matrix there."""

    def __init__(self, latents: LinearLatents) -> None:
        g = latents.geometry
        basis = latents.basis.view(g.channels, g.frames, -1)
        share = (torch.arange(2 * g.frames) + 0.5) / (2 * g.frames)
        self.ramps = [torch.einsum("ktp,t,jtp->kj", basis, part, basis) for part in share.view(2, -1)]

    def fade(self, old: Tensor, new: Tensor, cut: int) -> Tensor:
        """Latents [n, C, h, w] that are `old` before block `cut` and `new` from the block after next."""
        out = torch.cat([old[:cut], new[cut:]])
        for ramp, at in zip(self.ramps, range(cut, min(cut + 2, len(out))), strict=False):
            out[at] = old[at] + torch.einsum("kj,jhw->khw", ramp, new[at] - old[at])
        return out
