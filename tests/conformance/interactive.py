"""Kind `interactive`: sessions that switch prompts, by recache and by the ways it is compared with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.conformance import difference, differences, grid
from tests.conformance.causal import cache_config, compare_cache, compare_pointers
from tests.conformance.uncached import build
from world.block import Made, Recached
from world.cache_work import Recache, Swap, Work
from world.diffusion.model import TextEncoding
from world.diffusion.session import DiffusionSession
from world.diffusion.world import DiffusionWorld
from world.dit.config import DiffusionConfig, LatentConfig, SamplerConfig
from world.dit.denoise import Sampler
from world.event import Prompt
from world.info import WorldInfo


class Keep(DiffusionSession):
    """At a switch the keys and values stay as they are."""

    def _do(self, work: Iterable[Work]) -> None:
        super()._do(piece for piece in work if not isinstance(piece, Recache | Swap))


class Zero(Keep):
    """At a switch keys and values become zero and stay attended."""

    def _do(self, work: Iterable[Work]) -> None:
        pieces = list(work)
        if any(isinstance(piece, Recache) for piece in pieces):
            bank = self.banks.front
            for buffer in (*bank.keys, *bank.values, *bank.sink_keys):
                buffer.zero_()
        super()._do(pieces)


FORMS: dict[str, type[DiffusionSession]] = {
    "recache_gs1": DiffusionSession,
    "recache_gs0": DiffusionSession,
    "keep": Keep,
    "zero": Zero,
}


class Film:
    """One case: its world, its noise, and which segment each block belongs to."""

    def __init__(self, tensors: dict[str, Tensor], case: dict[str, Any]) -> None:
        self.tensors, self.case, sizes = tensors, case, case["config"]
        self.grid, self.block = grid(tensors["noise"]), sizes["frames_per_block"]
        self.blocks = tensors["noise"].shape[1] // self.block
        self.dit = build(tensors, case)
        self.switches = self._switches(sizes["switch_frame_indices"])

    def _switches(self, indices: list[int]) -> dict[int, int]:
        """The segment that begins at a block, by block: at most one switch each."""
        found: dict[int, int] = {}
        for block in range(self.blocks):
            if len(found) < len(indices) and block * self.block >= indices[len(found)]:
                found[block] = len(found) + 1
        return found

    def world(self, keep_sink: bool) -> DiffusionWorld:
        """The case as a world whose prompts are the numbers of its segments."""
        batch, frames, channels, height, width = self.tensors["noise"].shape
        config = DiffusionConfig(
            self.dit.config,
            cache_config(self.case, self.tensors["noise"], frames, keep_sink),
            self.sampler(),
            LatentConfig(channels, height, width, self.grid, "float32", batch),
        )
        info = WorldInfo("case", 16, 4 * self.block, (8 * width, 8 * height), "0", memory_blocks=self.blocks)
        prompts = self.tensors["prompts"]
        return DiffusionWorld(
            config, self.dit, lambda text: TextEncoding(prompts[int(text)]), None, info, device=prompts.device
        )

    def sampler(self) -> SamplerConfig:
        """The case's steps: nominal ones, which are warped unless the timesteps it states are these very ones."""
        sizes = self.case["config"]
        steps = tuple(sizes["denoising_step_list"])
        warp = list(steps) != self.case.get("denoising_timesteps")
        return SamplerConfig(steps, sizes.get("shift", 5.0), warp, clean=sizes.get("context_noise", 0))

    def plan(self) -> dict[str, float]:
        """How far timesteps and the frames of the switches are off."""
        ours = {
            "denoising_timesteps": Sampler(self.sampler()).timesteps,
            "actual_switch_frames": [block * self.block for block in self.switches],
        }
        stated = {name: self.case[name] for name in ours if name in self.case}
        pairs = {name: (torch.tensor(ours[name]), torch.tensor(golden)) for name, golden in stated.items()}
        return {name: difference(*pair) for name, pair in pairs.items()}

    def noise(self, first: int) -> Callable[..., Tensor]:
        """The case's noise for a session that begins at block `first`."""

        def given(seed: int, block: int, step: int, shape: tuple[int, ...]) -> Tensor:
            at = first + block
            whole = self.tensors["noise"][:, at * self.block : (at + 1) * self.block]
            return (self.tensors["renoise"][at, step - 1] if step else whole).cpu()

        return given

    def run(self, variant: str) -> dict[str, float]:
        """The errors of one variant: latents, caches and pointers after each switch, cache at the end."""
        session = FORMS[variant](self.world(variant != "recache_gs0"), 0, "0", noise=self.noise(0))
        made, errors = [], {}
        for block in range(self.blocks):
            segment = self.switches.get(block)
            if segment and not block:  # there is nothing to recache yet
                errors |= self._after_switch(session, variant, segment - 1)
            for done in session.begin([Prompt(str(segment))] if segment else []):
                if isinstance(done, Recached):
                    errors |= self._after_switch(session, variant, segment - 1)
                elif isinstance(done, Made):
                    made.append(done.block.latents)
        errors |= self._latents(variant, made)
        return errors | self._cache(session, f"{variant}.final.")

    def fresh(self) -> dict[str, float]:
        """The error of a new session that begins at the last switch, under the last prompt."""
        first, segment = max(self.switches.items(), default=(0, 0))
        session = DiffusionSession(self.world(True), 0, str(segment), noise=self.noise(first))
        errors = self._latents("fresh", [session.step().latents for _ in range(first, self.blocks)])
        return errors | self._cache(session, "fresh.final.")

    def _latents(self, variant: str, made: list[np.ndarray]) -> dict[str, float]:
        ours = {f"{variant}.latents": torch.from_numpy(np.concatenate(made, 1))}
        return differences(ours, self.tensors)

    def _cache(self, session: DiffusionSession, prefix: str) -> dict[str, float]:
        return compare_cache(session.banks.front, self.tensors, prefix, self.grid)

    def _after_switch(self, session: DiffusionSession, variant: str, switch: int) -> dict[str, float]:
        golden = self.case.get("pointers_after_switch", {}).get(f"{variant}.{switch}", {})
        off = compare_pointers(session.banks.front, golden, self.grid[0] * self.grid[1])
        errors = self._cache(session, f"{variant}.cache_after_switch{switch}.")
        return {**errors, f"{variant}.pointers{switch}": off}


def variants(tensors: dict[str, Tensor]) -> list[str]:
    """The ways to switch that the case has outputs of."""
    outputs = (re.fullmatch(r"(.+)\.(latents|(final|cache_after_switch\d+)\.[kv]\.\d+)", name) for name in tensors)
    found = sorted({output[1] for output in outputs if output})
    strangers = [name for name in found if name not in (*FORMS, "fresh")]
    if strangers or not found:
        raise ValueError(f"variants {', '.join(strangers) or 'none'}: expected some of {', '.join(FORMS)}, fresh")
    return found


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest error of every variant's latents and caches, and of its pointers in tokens (0 if right)."""
    film = Film(tensors, case)
    errors = film.plan()
    for variant in variants(tensors):
        errors |= film.fresh() if variant == "fresh" else film.run(variant)
    return errors
