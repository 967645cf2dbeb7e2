"""What a stream remembers: two banks, the latents they were made from, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from world.block import Conditions
from world.boundary import Boundary
from world.diffusion.encoded_prompts import EncodedPrompts
from world.diffusion.fold import is_whole
from world.diffusion.latent_history import Kept, LatentHistory
from world.diffusion.recache import Encoder, append, frames_needed, rebuild
from world.dit.cache import BankPair, CacheBank
from world.dit.device import SideStream

if TYPE_CHECKING:
    from world.diffusion.world import DiffusionWorld


@dataclass(frozen=True)
class BankState:
    """What a bank holds: the stream up to latent frame `end` under `words`; None: no more than a sink that is good.

    sink_since: the first block made with this sink.
    cut: the first block that was not re-encoded, if the bank was rebuilt since the newest block was made.
    """

    words: str | None
    end: int = 0
    sink_since: int = -1
    cut: int | None = None

    def matches(self, boundary: Boundary, seen: int) -> bool:
        """Whether block `seen`, after `boundary`, can be made with this bank once it holds the newest block."""
        return self.words == boundary.conditions.words and (not boundary.renew or self.sink_since == seen)


class Memory:
    """The front bank is generated with; the back one may be ready for the next block. Owned by a session.

    back: None where the back bank holds nothing of use. lane: where the back bank is written, beside what the front one
    is used for; `swap` waits for it. It reads of the front bank the sink, which stays, and of the past the latents,
    which are kept for several blocks more.
    """

    def __init__(self, world: DiffusionWorld, lexicon: EncodedPrompts) -> None:
        self._world, self._config, self._lexicon = world, world.config, lexicon
        self.banks = BankPair(self._new_bank(), self._new_bank())
        self.past, self.lane = LatentHistory(world.config.cache, world.device), SideStream(world.device)
        self.front, self.back = BankState(None), None

    def restart(self, end: int) -> None:
        """Nothing is known before latent frame `end`: what follows has to be added, and the caches rebuilt."""
        self.past.clear(end)
        self.front, self.back = BankState(None), None

    def empty(self, words: str, seen: int) -> None:
        """Nothing is remembered when block `seen` is made."""
        self.banks.front.clear()
        self.past.cut()
        self.front, self.back = BankState(words, 0, seen), None

    def rebuild(self, words: str, renew: bool) -> None:
        """Fill the back bank from the past under `words`; what it then holds is for `rebuilt` to say."""
        renew = renew or not self._config.cache.keep_sink
        with torch.inference_mode(), self.lane.beside():
            if not self.past.end:
                self.banks.back.clear()
                return
            past, dials = self.past.last(frames_needed(self._config.cache, self.past.end, renew))
            past = past.under(self._lexicon.condition(words, dials))
            rebuild(self._encoder(words), self.banks, past, renew)

    def swap(self) -> None:
        """What was rebuilt is generated with from now on, once it is there."""
        self.lane.join()
        self.banks.swap()

    def rebuilt(self, boundary: Boundary, seen: int, cut: int | None = None) -> BankState:
        """What a bank holds after a rebuild for block `seen`."""
        whole = is_whole(self.past.end, boundary.renew, self._config.cache)
        return BankState(boundary.conditions.words, self.past.end, seen if whole else self.front.sink_since, cut)

    def has_sink(self, boundary: Boundary, upto: int) -> bool:
        """Whether a rebuild can do with the front bank's sink: none is kept, or block `upto` was made with it."""
        return is_whole(self.past.end, boundary.renew, self._config.cache) or self.front.sink_since <= upto

    def append(self, words: str) -> None:
        """The clean pass of the newest block in the front bank."""
        self._append(self.banks.front, words)
        self.front = replace(self.front, end=self.past.end)

    def settle(self, boundary: Boundary, seen: int) -> BankState | None:
        """Bring the bank that suits block `seen` up to the newest block, and say which it is, if any."""
        if self.front.matches(boundary, seen):
            if self.front.end != self.past.end:
                self.append(boundary.conditions.words)
            return self.front
        if self.back is None or not self.back.matches(boundary, seen):
            return None
        if self.back.end != self.past.end:
            with self.lane.beside():
                self._append(self.banks.back, boundary.conditions.words)
            self.back = replace(self.back, end=self.past.end)
        return self.back

    def cross(self, boundary: Boundary, seen: int, cut: int) -> None:
        """Make the state that block `seen` was made with: a rebuild from what is older than `cut`, then appends."""
        later = self.past.hold_back(cut)
        self.rebuild(boundary.conditions.words, boundary.renew)
        self.swap()
        self.front, self.back = self.rebuilt(boundary, seen, cut), None
        for block in later:
            self.past.put_back(block)
            self.append(boundary.conditions.words)

    def take_back(self, after: int) -> tuple[Conditions, list[Kept]]:
        """LatentHistory.take_back; what the banks hold besides a sink goes with the blocks."""
        conditions, forgotten = self.past.take_back(after)
        if forgotten:
            self.front, self.back = replace(self.front, words=None, cut=None), None
        return conditions, forgotten

    def require(self) -> None:
        """Raise ValueError unless the latents of a whole window are known."""
        self.past.last(frames_needed(self._config.cache, self.past.end, renew=True))

    def _append(self, bank: CacheBank, words: str) -> None:
        with torch.inference_mode():
            block, dials = self.past.newest()
            append(self._encoder(words), bank, block.under(self._lexicon.condition(words, dials)))

    def _encoder(self, words: str) -> Encoder:
        return Encoder(self._world.dit, self._lexicon[words].words, self._config.sampler.clean)

    def _new_bank(self) -> CacheBank:
        config = self._config
        dtype, device = self._world.dit.dtype, self._world.device
        return CacheBank(config.cache, config.dit, config.latents.grid, config.latents.batch, device, dtype)
