"""The law of state, said slowly: for each block a cache made from nothing, by every rebuild and append there was."""

from __future__ import annotations

import torch
from torch import Tensor

from world.diffusion.recache import Encoder, Stretch, append, rebuild
from world.diffusion.world import DiffusionWorld
from world.dit.cache import BankPair, CacheBank
from world.dit.denoise import Sampler, normal
from world.dit.dit import TextKV, TimeEmbeddings

Crossings = dict[int, tuple[int, str]]  # of the block `seen`: its `cut` and its words


class LiteralLaw:
    """Blocks of a tiny world under `crossings`; dials are those of each block; latents are [1, F, C, h, w]."""

    def __init__(self, world: DiffusionWorld, seed: int, dials: list[dict[str, float]], crossings: Crossings) -> None:
        self.world, self.seed, self.dials, self.crossings = world, seed, dials, crossings
        self.frames, self.film = world.config.cache.block, []
        self.sampler = Sampler(world.config.sampler)
        self.times = TimeEmbeddings(world.dit)

    def run(self) -> list[Tensor]:
        """Every block, rounded as it is stored."""
        with torch.no_grad():
            while len(self.film) < len(self.dials):
                self.film.append(self.make(len(self.film)).half().float())
        return self.film

    def make(self, block: int) -> Tensor:
        """x0 of the next block."""
        banks, words = self.state(block)
        spoken, condition = self.speak(words, block, block + 1)

        def predict(x: Tensor, timestep: float) -> Tensor:
            attend = banks.front.attend(block * self.frames, self.frames)
            return self.world.dit.predict(x, self.times.modulation(timestep, condition), spoken, attend)

        shape = self.world.config.latents.shape(self.frames)
        *_, x0 = self.sampler.run(predict, lambda step: normal(self.seed, block, step, shape))
        return x0

    def state(self, block: int) -> tuple[BankPair, str]:
        """The banks before `block`, and the words in force: at each cut a rebuild, then what follows is appended."""
        config = self.world.config
        banks = BankPair(*(CacheBank(config.cache, config.dit, config.latents.grid) for _ in range(2)))
        words = self.crossings[0][1]
        for number in range(block + 1):
            for seen, (cut, new) in sorted(self.crossings.items()):
                if cut == number and 0 < seen <= block:
                    words = new
                    self.rebuild(banks, number, words)
            if number < block:
                spoken, condition = self.speak(words, number, number + 1)
                append(
                    Encoder(self.world.dit, self.times, spoken),
                    banks.front,
                    self.stretch(number, number + 1, condition),
                )
        return banks, words

    def rebuild(self, banks: BankPair, upto: int, words: str) -> None:
        """Everything before block `upto` anew."""
        if upto:
            spoken, condition = self.speak(words, 0, upto)
            encoder, renew = Encoder(self.world.dit, self.times, spoken), not self.world.config.cache.keep_sink
            rebuild(encoder, banks, self.stretch(0, upto, condition), renew)
        else:
            banks.back.clear()
        banks.swap()

    def stretch(self, first: int, end: int, condition: Tensor) -> Stretch:
        return Stretch(torch.cat(self.film[first:end], 1), first * self.frames, condition)

    def speak(self, words: str, first: int, end: int) -> tuple[TextKV, Tensor]:
        """Words as the model reads them, and the condition of every latent frame of blocks `first` to `end`."""
        text, rest = self.world.encode(words), {name: limits.rest for name, limits in self.world.info.dials.items()}
        values = [list((rest | dials).values()) for dials in self.dials[first:end] for _ in range(self.frames)]
        return self.world.dit.words(text.embedding), self.world.condition(text.pooled, torch.tensor([values]))
