"""Cases nobody has seen before, written from a literal cache that clones and rolls, are read and reproduced."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.conformance import measure
from tests.support.literal import LiteralFilm
from world.dit.config import CacheConfig, DiTConfig
from world.dit.denoise import NoiseSchedule, add_noise, flow_to_x0
from world.dit.dit import CausalDiT

TIMES = (1000.0, 937.5, 625.0)
SIZES = DiTConfig(
    dim=24, ffn_dim=20, freq_dim=8, text_dim=6, text_len=5, in_dim=4, out_dim=4, num_heads=2, num_layers=2
)


class Writer:
    """Draws a configuration and writes cases of it. A sink above a block, batches and flat pictures are all drawn."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        block, sink = chance.randint(1, 4), chance.randint(0, 5)
        self.positions = chance.choice(["absolute", "relative"])
        window = sink + block + chance.randint(0, 4)
        self.batch, self.blocks = chance.randint(1, 3), chance.randint(4, 7)
        self.size = chance.choice([(2, 6), (4, 2), (6, 4)])
        slots = 0 if chance.random() < 0.7 else window + chance.randint(1, 4)
        if chance.random() < 0.2:
            window, slots = -1, self.blocks * block + sink
        self.cache = CacheConfig(window, sink, block, slots, self.positions, published=True)
        self.switches = sorted(chance.sample(range(self.blocks * block - block), chance.randint(1, 3)))
        self.noise = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.dit = CausalDiT(replace(SIZES, num_heads=chance.choice([1, 2]))).requires_grad_(False)

    @property
    def tokens(self) -> int:
        return self.size[0] * self.size[1] // 4

    def draw(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.noise)

    def film(self, keep_sink: bool = True) -> LiteralFilm:
        grid = self.size[0] // 2, self.size[1] // 2
        return LiteralFilm(self.dit, replace(self.cache, keep_sink=keep_sink), grid, self.batch)

    def pointers(self, film: LiteralFilm) -> dict[str, int]:
        cache = film.caches[0]
        return {"global_end_index": cache.made * self.tokens, "local_end_index": cache.filled * self.tokens}

    def kept(self, film: LiteralFilm, prefix: str) -> dict[str, torch.Tensor]:
        """The last layer's keys and values, as a case stores them."""
        last, cache = len(film.caches) - 1, film.caches[-1]
        return {f"{prefix}.{name}.{last}": getattr(cache, name).flatten(1, 2).clone() for name in "kv"}

    def config(self) -> dict:
        cache = self.cache
        sizes = {"window_frames": cache.window, "sink_frames": cache.sink, "frames_per_block": cache.block}
        rope = {"absolute": "absolute", "relative": "cache-relative"}[self.positions]
        return {**asdict(self.dit.config), **sizes, "cache_frames": cache.size, "rope": rope, "batch": self.batch}

    def write(self, folder: Path, case: dict, tensors: dict[str, torch.Tensor]) -> Path:
        weights = {f"sd.{name}": weight for name, weight in self.dit.state_dict().items()}
        save_file({**weights, **tensors}, folder / "any name.safetensors")
        path = folder / "any name.json"
        path.write_text(json.dumps({"config": self.config(), "tolerance": {"abs": 1e-4}, **case}))
        return path

    def cached(self, folder: Path) -> Path:
        """A case of kind `causal_dit_cached`."""
        film, context = self.film(), self.draw(self.batch, 3, 6)
        words, calls, inputs, made, kept = self.dit.words(context), [], [], [], {}
        for number in range(self.blocks * (len(TIMES) + 1)):
            block, step = divmod(number, len(TIMES) + 1)
            start, time = block * self.cache.block, (*TIMES, 0.0)[step]
            inputs.append(self.draw(self.batch, self.cache.block, 4, *self.size))
            made.append(film.run(inputs[-1], time, words, start))
            calls.append({"i": number, "start_frame": start, "t": time, **self.pointers(film)})
            kept |= self.kept(film, f"snap.{number}") if number % 5 == 1 else {}
        times = torch.tensor([call["t"] for call in calls])[:, None, None].repeat(1, self.batch, self.cache.block)
        tensors = {"context": context, "x": torch.stack(inputs), "t": times, "out": torch.stack(made)}
        return self.write(folder, {"kind": "causal_dit_cached", "calls": calls}, tensors | kept)

    def interactive(self, folder: Path) -> Path:
        """A case of kind `interactive`, with every way to switch but the one that starts anew."""
        given = {
            "noise": self.draw(self.batch, self.blocks * self.cache.block, 4, *self.size),
            "renoise": self.draw(self.blocks, len(TIMES) - 1, self.batch, self.cache.block, 4, *self.size),
            "prompts": self.draw(len(self.switches) + 1, self.batch, 5, 6),
        }
        pointers, tensors = {}, dict(given)
        for variant in ("recache_gs1", "recache_gs0", "keep", "zero"):
            tensors |= self.variant(variant, given, pointers)
        steps = {"switch_frame_indices": self.switches, "denoising_step_list": [1000, 750, 250], "shift": 5.0}
        case = {"kind": "interactive", "config": {**self.config(), **steps}, "pointers_after_switch": pointers}
        return self.write(folder, case, tensors)

    def variant(self, variant: str, given: dict, pointers: dict) -> dict[str, torch.Tensor]:
        """What one way to switch makes; `pointers` is added to."""
        film, kept, segment = self.film(variant != "recache_gs0"), {}, 0
        made = torch.zeros(self.batch, 0, 4, *self.size)
        for block in range(self.blocks):
            start = block * self.cache.block
            words = self.dit.words(given["prompts"][segment])
            if segment < len(self.switches) and start >= self.switches[segment]:
                words = self.dit.words(given["prompts"][segment + 1])
                self.switch(film, variant, made, words)
                pointers[f"{variant}.{segment}"] = self.pointers(film)
                kept |= self.kept(film, f"{variant}.cache_after_switch{segment}")
                segment += 1
            noise = [given["noise"][:, start : start + self.cache.block], *given["renoise"][block]]
            made = torch.cat([made, self.block(film, noise, words, start)], 1)
        return {f"{variant}.latents": made, **kept, **self.kept(film, f"{variant}.final")}

    def switch(self, film: LiteralFilm, variant: str, made: torch.Tensor, words: list) -> None:
        if variant.startswith("recache"):
            film.switch(made, words)
        elif variant == "zero":
            for cache in film.caches:
                cache.k.zero_(), cache.v.zero_()

    def block(self, film: LiteralFilm, noise: list, words: list, start: int) -> torch.Tensor:
        """One block, and its clean pass."""
        schedule, x0 = NoiseSchedule(5.0), torch.zeros_like(noise[0])
        for time, fresh in zip(TIMES, noise, strict=True):
            x = add_noise(x0, fresh, schedule.sigma(time))
            x0 = flow_to_x0(film.run(x, time, words, start), x, schedule.sigma(time))
        film.run(x0, 0.0, words, start)
        return x0


@pytest.mark.parametrize("seed", range(2, 14))
@pytest.mark.parametrize("kind", ["cached", "interactive"])
def test_a_case_of_any_configuration_is_reproduced(kind, seed, tmp_path):
    writer = Writer(seed)
    with torch.no_grad():
        path = getattr(writer, kind)(tmp_path)
        verdict = measure(path)
    assert verdict.worst < 2e-5, (writer.cache, writer.batch, writer.size, writer.switches, verdict.complaint)


def test_the_drawn_configurations_are_of_every_sort():
    writers = [Writer(seed) for seed in range(2, 14)]
    caches = [writer.cache for writer in writers]
    assert any(cache.sink > cache.block for cache in caches) and any(cache.sink == 0 for cache in caches)
    assert any(cache.window == -1 for cache in caches) and any(cache.size > cache.window > 0 for cache in caches)
    assert {cache.block for cache in caches} == {1, 2, 3, 4} and {writer.batch for writer in writers} == {1, 2, 3}
    assert {cache.positions for cache in caches} == {"absolute", "relative"}
    assert any(writer.switches[0] == 0 for writer in writers)
