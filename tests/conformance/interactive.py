"""Kind `interactive`: sessions that switch prompts, by recache and by the ways it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.conformance import difference
from tests.conformance.causal import cache_config, compare_cache
from tests.conformance.uncached import build, grid
from world.block import Made, Recached
from world.config import DiffusionConfig, LatentConfig, SamplerConfig
from world.diffusion import DiffusionWorld, Text
from world.event import Prompt
from world.info import WorldInfo
from world.session import Session


class Keep(Session):
    """At a switch the cache stays as it is: only the words change."""

    def recache(self, renew: bool) -> None:
        pass


class Zero(Session):
    """At a switch keys and values become zero and stay attended."""

    def recache(self, renew: bool) -> None:
        for buffer in (*self.banks.front.keys, *self.banks.front.values):
            buffer.zero_()


FORMS: dict[str, type[Session]] = {"keep": Keep, "zero": Zero}


class Film:
    """One case: its world, its noise, and which segment each block belongs to."""

    def __init__(self, tensors: dict[str, Tensor], case: dict[str, Any]) -> None:
        self.tensors, self.case, sizes = tensors, case, case["config"]
        self.block = sizes["frames_per_block"]
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
        sizes, times = self.case["config"], self.case["denoising_timesteps"]
        batch, _, channels, height, width = self.tensors["noise"].shape
        steps = tuple(sizes["denoising_step_list"])
        config = DiffusionConfig(
            self.dit.config,
            cache_config(self.case, keep_sink),
            SamplerConfig(steps, sizes["shift"], list(steps) != times, clean=sizes["context_noise"]),
            LatentConfig(channels, height, width, grid(self.case), "float32", batch),
        )
        info = WorldInfo("case", 16, 4 * self.block, (8 * width, 8 * height), "0", memory_blocks=self.blocks)
        return DiffusionWorld(config, self.dit, lambda text: Text(self.tensors["prompts"][int(text)]), None, info)

    def noise(self, first: int) -> Callable[..., Tensor]:
        """The case's noise for a session that begins at block `first`."""

        def given(seed: int, block: int, step: int, shape: tuple[int, ...]) -> Tensor:
            at = first + block
            whole = self.tensors["noise"][:, at * self.block : (at + 1) * self.block]
            return self.tensors["renoise"][at, step - 1] if step else whole

        return given

    def run(self, variant: str) -> dict[str, float]:
        """The errors of one variant: latents, caches and pointers after each switch, cache at the end."""
        session = FORMS.get(variant, Session)(self.world(variant != "recache_gs0"), 0, "0", self.noise(0))
        made, errors = [], {}
        for block in range(self.blocks):
            segment = self.switches.get(block)
            for done in session.begin([Prompt(str(segment))] if segment else []):
                if isinstance(done, Recached):
                    errors |= self._after_switch(session, variant, segment - 1)
                elif isinstance(done, Made):
                    made.append(done.block.latents)
        errors[f"{variant}.latents"] = self._latents(variant, made)
        return errors | self._cache(session, f"{variant}.final.")

    def fresh(self) -> dict[str, float]:
        """The error of a new session that begins at the last switch, under the last prompt."""
        first, segment = max(self.switches.items(), default=(0, 0))
        session = Session(self.world(True), 0, str(segment), self.noise(first))
        made = [session.step().latents for _ in range(first, self.blocks)]
        return {"fresh.latents": self._latents("fresh", made)}

    def _latents(self, variant: str, made: list[np.ndarray]) -> float:
        return difference(torch.from_numpy(np.concatenate(made, 1)), self.tensors[f"{variant}.latents"])

    def _cache(self, session: Session, prefix: str) -> dict[str, float]:
        return compare_cache(session.banks.front, self.tensors, prefix, grid(self.case))

    def _after_switch(self, session: Session, variant: str, switch: int) -> dict[str, float]:
        tokens, slots = self.case["config"]["tokens_per_frame"], session.banks.front.slots
        golden = self.case.get("pointers_after_switch", {}).get(f"{variant}.{switch}")
        errors = self._cache(session, f"{variant}.cache_after_switch{switch}.")
        if golden:
            ours = {"global_end_index": slots.made * tokens, "local_end_index": slots.filled * tokens}
            errors[f"{variant}.pointers{switch}"] = float(max(abs(ours[name] - golden[name]) for name in golden))
        return errors


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest error of every variant's latents and caches, and of its pointers in tokens (0 if right)."""
    film, errors = Film(tensors, case), {}
    for variant in (name.removesuffix(".latents") for name in tensors if name.endswith(".latents")):
        errors |= film.fresh() if variant == "fresh" else film.run(variant)
    return errors
