"""What a stream remembers: two banks, and the latents they can be made from again."""

from __future__ import annotations

from contextlib import nullcontext

import torch

from world.cache_work import FRONT, Append, Clear, Flush, Recache, Remake, Swap, Work
from world.diffusion.encoded_prompts import EncodedPrompts
from world.diffusion.latent_history import LatentHistory
from world.diffusion.model import DiffusionModel
from world.diffusion.recache import Encoder, append, rebuild
from world.dit.averages import MeanTokens
from world.dit.cache import BankPair, CacheBank
from world.dit.device import SideStream
from world.dit.dit import TimeEmbeddings
from world.dit.fast import FastDiT
from world.prompt_mix import Words


class StreamMemory:
    """Does to the banks what a switch state asks for. Owned by a session.

    side: the stream on which the back bank is written, beside what the front bank is used for; a swap waits for it. It
    reads the front bank's sink, which stays, and latents, which are kept until nobody wants what it makes of them.
    """

    def __init__(self, model: DiffusionModel, prompts: EncodedPrompts, times: TimeEmbeddings) -> None:
        self._model, self._prompts, self._times = model, prompts, times
        self.banks = BankPair(self._new_bank(), self._new_bank())
        self.history, self.side = LatentHistory(model.device), SideStream(model.device)
        if isinstance(model.dit, FastDiT):
            self._prepare(model.dit)

    def _prepare(self, dit: FastDiT) -> None:
        """Let a fast model capture its passes over both banks."""
        config, device = self._model.config, self._model.device
        shape = config.latents.shape(config.cache.block)
        condition = torch.zeros(*shape[:2], config.dit.dim, device=device) if self._model.condition else None
        with torch.inference_mode():
            modulation = self._times.modulation(config.sampler.clean, condition)
            for bank in (self.banks.front, self.banks.back):
                dit.prepare(bank, torch.zeros(shape, device=device), modulation)

    def do(self, work: Work) -> None:
        """One piece of work, in the order in which the switch state asked for it; a Remake is the session's."""
        assert not isinstance(work, Remake), "a block is made by the session"
        with torch.inference_mode():
            if isinstance(work, Clear):
                self.banks.front.clear()
            elif isinstance(work, Recache):
                self._recache(work)
            elif isinstance(work, Append):
                self._append(work)
            elif isinstance(work, Flush):
                self.banks.front.flush(work.end)
            elif isinstance(work, Swap):
                self.side.join()
                self.banks.swap()

    def _recache(self, work: Recache) -> None:
        encoder = self._encoder(work.words)
        with self.side.beside():
            if not work.end:
                self.banks.back.clear()
                return
            stretch, dials = self.history.before(work.end, work.frames)
            if work.recalled:
                most = self._model.config.cache.rules.most_recalled(work.frames)
                recalled, of_recalled = self.history.recalled(work.recalled, most)
                stretch, dials = stretch.led_by(recalled), [*of_recalled, *dials[len(of_recalled) :]]
            stretch, averages = stretch.under(self._prompts.condition(work.words, dials)), self._averages_for(work)
            rebuild(encoder, self.banks, stretch, work.renew, work.is_short, averages)

    def _averages_for(self, work: Recache) -> MeanTokens | None:
        """The averages that a recache goes on from."""
        if work.averages is None:
            return None
        is_front = work.averages == FRONT
        return self.banks.front.averages(work.end) if is_front else self.history.averages(work.averages)

    def _append(self, work: Append) -> None:
        encoder, (block, dials) = self._encoder(work.words), self.history.block(work.block)
        with self.side.beside() if work.to_back else nullcontext():
            bank = self.banks.back if work.to_back else self.banks.front
            append(encoder, bank, block.under(self._prompts.condition(work.words, dials)))

    def _encoder(self, words: Words) -> Encoder:
        """Made before side work begins, since words and time are embedded once, for the front bank as well."""
        clean = self._model.config.sampler.clean
        self._times.modulation(clean, None)
        return Encoder(self._model.dit, self._times, self._prompts[words].words, clean)

    def _new_bank(self) -> CacheBank:
        config = self._model.config
        dtype, device = self._model.dit.dtype, self._model.device
        return CacheBank(config.cache, config.dit, config.latents.grid, config.latents.batch, device, dtype)
