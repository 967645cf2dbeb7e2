"""What the base training sees: single blocks, running streams and prompt switches, in latents.

A sequence has one text, as at play time, where history is re-encoded under the new words before the next block. Blocks
that the text does not describe are context only and take no part in the loss.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import torch
from torch import Tensor

from world.small.decoder import LinearLatents
from world.train.captions import COLOURS, KINDS, Look, caption, describe, imagine, some_kinds
from world.train.library import Library, Wardrobe, kind_of
from world.train.place import chance
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
class Part:
    """Blocks of a clip from the library, in the colours of a look."""

    look: Look
    clip: int
    at: list[int]


@dataclass(frozen=True)
class Line:
    """One sequence of a batch: a part, perhaps with another sink, perhaps fading into a second part."""

    part: Part
    text: str
    counted: list[bool]
    before: str = ""
    sink: Part | None = None
    after: Part | None = None


class Source:
    """Draws sequences from a library. Owns its chance: the same seed draws the same batches."""

    def __init__(self, library: Library, latents: LinearLatents, seed: int) -> None:
        self.library, self.wardrobe, self.seam = library, Wardrobe(latents), Seam(latents)
        self.rng = random.Random(seed)
        self.generator = chance(seed)

    def singles(self, count: int) -> Batch:
        """First blocks of streams: a scene from nothing."""
        return self._batch([self._single() for _ in range(count)])

    def streams(self, count: int, length: int) -> Batch:
        """Sequences of `length` blocks; half of the batches are of full windows, whose sink keeps its own words."""
        is_full = self.rng.random() < 0.5
        return self._batch([self._stream(length, is_full) for _ in range(count)], stale=int(is_full))

    def switches(self, count: int, length: int) -> Batch:
        """Sequences that change under new words, all after the same number of blocks.

        Half of the batches are of full windows, whose sink a rebuild leaves under the old words.
        """
        cut, is_full = self.rng.randrange(1, length), self.rng.random() < 0.5
        lines = [self._switch(cut, self._places(length, is_full)) for _ in range(count)]
        return self._batch(lines, cut, int(is_full))

    def stale(self, count: int, length: int) -> Batch:
        """Sequences whose words change while the cache still holds the old ones: the old scene goes on.

        Without these, words act the same whether or not the history was re-encoded under them.
        """
        cut, is_full = self.rng.randrange(2, length), self.rng.random() < 0.5
        return self._batch([self._keep_on(length, cut, is_full) for _ in range(count)], stale=cut)

    def clips(self, count: int, length: int) -> Batch:
        """Clips for a judge of whole clips: half of them change under new words after their first block."""
        return self._batch(
            [self._running(length) if n % 2 else self._switch(1, self._stretch(length)) for n in range(count)], cut=1
        )

    def pairs(self, count: int) -> tuple[Tensor, list[Look]]:
        """Two blocks in a row of any clips, [B, 2, C, h, w], and what they show."""
        parts = []
        for _ in range(count):
            scene, way, speed = self.rng.choice(list(self.library.shelves))
            look = Look(scene, self.rng.choice(list(COLOURS)), way, speed)
            parts.append(self._part(look, self._stretch(2)))
        return self._wear(parts)[0], [part.look for part in parts]

    def _single(self) -> Line:
        text = self._drop(caption(self.rng))
        part = self._part(imagine(text or caption(self.rng)), self._stretch(1))
        return Line(part, text, [True])

    def _stream(self, length: int, is_full: bool) -> Line:
        look = imagine(caption(self.rng))
        part, sink = self._part(look, self._places(length, is_full)), None
        if is_full and self.rng.random() < 0.4:
            sink = self._part(imagine(caption(self.rng)), [0])
        text = self._drop(self._said_of(look))
        # the first block is made from the words alone, and the second of a full window does not follow the sink
        first = sink is None and (not text or imagine(text) == look)
        counted = [first, not is_full, *[True] * (length - 2)]
        return Line(part, text, counted, self._said_of((sink or part).look), sink)

    def _running(self, length: int) -> Line:
        look = imagine(caption(self.rng))
        return Line(self._part(look, self._stretch(length)), self._drop(self._said_of(look)), [True] * length)

    def _switch(self, cut: int, at: list[int]) -> Line:
        before, text = imagine(caption(self.rng)), self._new_words()
        after, part = imagine(text, before), self._part(before, at)
        # what moves as before goes on as the same clip
        same = kind_of(after) == kind_of(before)
        turned = Part(after, part.clip, at) if same else self._part(after, at)
        return Line(part, text, [n >= cut for n in range(len(at))], self._said_of(before), after=turned)

    def _keep_on(self, length: int, cut: int, is_full: bool) -> Line:
        look = imagine(caption(self.rng))
        part, counted = self._part(look, self._places(length, is_full)), [n >= cut for n in range(length)]
        return Line(part, self._new_words(), counted, self._said_of(look))

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

    def _part(self, look: Look, at: list[int]) -> Part:
        return Part(look, self.library.pick(look, self.rng), at)

    def _wear(self, parts: list[Part]) -> tuple[Tensor, Tensor]:
        """Latents [B, n, C, h, w] and dials [B, n, 4] of parts of one length."""
        projected, dials = self.library.read([part.clip for part in parts], [part.at for part in parts])
        return self.wardrobe.wear(projected, colours_of([part.look for part in parts], self.generator)), dials

    def _batch(self, lines: list[Line], cut: int = 0, stale: int = 0) -> Batch:
        latents, dials = self._wear([line.part for line in lines])
        sinks = [n for n, line in enumerate(lines) if line.sink]
        if sinks:
            first, first_dials = self._wear([lines[n].sink for n in sinks])
            latents[sinks, :1], dials[sinks, :1] = first, first_dials
        fading = [n for n, line in enumerate(lines) if line.after]
        if fading:
            new, new_dials = self._wear([lines[n].after for n in fading])
            latents[fading] = self.seam.fade(latents[fading], new, cut)
            dials[fading, cut:] = new_dials[:, cut:]
        counted = torch.tensor([line.counted for line in lines])
        texts, before = [line.text for line in lines], [line.before for line in lines]
        return Batch(latents, dials, texts, counted, cut, stale, before)


class Seam:
    """Cross-fades over two blocks, in latents: a ramp in time is a matrix there."""

    def __init__(self, latents: LinearLatents) -> None:
        g = latents.geometry
        basis = latents.basis.view(g.channels, g.frames, -1)
        share = (torch.arange(2 * g.frames) + 0.5) / (2 * g.frames)
        self.ramps = [torch.einsum("ktp,t,jtp->kj", basis, part, basis) for part in share.view(2, -1)]

    def fade(self, old: Tensor, new: Tensor, cut: int) -> Tensor:
        """Latents [..., n, C, h, w] that are `old` before block `cut` and `new` from the block after next."""
        out = torch.cat([old[..., :cut, :, :, :], new[..., cut:, :, :, :]], -4)
        for ramp, at in zip(self.ramps, range(cut, min(cut + 2, out.shape[-4])), strict=False):
            was, is_now = old[..., at, :, :, :], new[..., at, :, :, :]
            out[..., at, :, :, :] = was + torch.einsum("kj,...jhw->...khw", ramp, is_now - was)
        return out
