"""`neverblink bench model`: what each pass of a block costs, and how that compares with a plain matrix product."""

from __future__ import annotations

import math
import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from loop.cli.method_options import WORLD_METHODS
from loop.cli.usage import UsageError
from loop.cli.world_options import world_options
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from world.block import Clean, Denoised, Made, Recached, Session
from world.diffusion.world import DiffusionWorld
from world.dit.device import describe, peak_gib, resolve, use_threads, wait, working_dtype
from world.dit.flops import pass_flops
from world.dit.linears import PackedLinear
from world.event import Event, Prompt
from world.info import STEPS_DIAL
from world.options import WorldOptions, default_threads
from world.wan.random import random_wan
from world.zoo import check_options, open_in_own_process

PRODUCT = {"cpu": 2048, "cuda": 8192}  # side of the square matrices: a GPU needs larger ones to be busy
EVERY = 4  # blocks from one prompt to the next


def run_model_bench(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for."""
    device = resolve(options.device)
    use_threads(options.threads or default_threads())
    world = _open_measured(options, device)
    head = print_environment(_configuration(world, options.blocks), describe(device))
    peak_flops = _product_flops(device, world.dit.dtype)
    spreads = {name: Spread.of(times) for name, times in _time_blocks(world, options.blocks).items()}
    print_spreads(spreads, "ms")
    figures = _rates(world, spreads, peak_flops)
    for name, value in figures.items():
        print(f"{name:<44} {value:.4g}")
    write_json(options, head, {"ms": spreads, "figures": figures})
    return 0


def _open_measured(options: Namespace, device: torch.device) -> DiffusionWorld:
    """The world by name; "wan-1.3b" is the published geometry with random weights, at any latent size."""
    if options.world == "probe":
        raise UsageError("the world 'probe' has no model to measure: expected small, wan-1.3b or a folder")
    if options.world != "wan-1.3b":
        world = open_in_own_process(world_options(options))
        assert isinstance(world, DiffusionWorld)  # only the test card is none
        return world
    dtype = working_dtype(device, options.dtype)
    given = {name: getattr(options, name) for name in ("positions", *WORLD_METHODS)}
    chosen = WorldOptions("random-wan", decoder=options.decoder or "vae", speed="exact", **given)
    check_options(chosen)
    return random_wan(options.latent, device, dtype, options=chosen)


def _configuration(world: DiffusionWorld, blocks: int) -> dict[str, Any]:
    """What the numbers depend on."""
    cache, latents = world.config.cache, world.config.latents
    return {
        "world": world.info.name,
        "picture": "{}x{}".format(*world.info.picture),
        "tokens a latent frame": latents.grid[0] * latents.grid[1],
        "window": f"{cache.window} ({cache.sink} of them sink), blocks of {cache.block}, {cache.positions} positions",
        "decoder": type(world.decoder).__name__,
        "dtype": str(world.dit.dtype).removeprefix("torch."),
        "blocks": blocks,
    }


def _time_blocks(world: DiffusionWorld, blocks: int) -> dict[str, list[float]]:
    """Milliseconds of every kind of pass, over `blocks` blocks after the window is full.

    The first of these blocks has a new prompt, and every EVERYth after it.
    """
    session, decoder_state = world.session(0, world.info.showpiece), world.decoder.start()
    fill = -(-world.config.cache.window // world.config.cache.block) + 1
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(fill + blocks):
        events = [Prompt(f"prompt {number}")] if (number - fill) % EVERY == 0 else []
        for event in events:
            session.prepare(event)
        passes_ms, latents = _time_passes(world.device, session, events)
        decode_ms, decoder_state = _time_decode(world, decoder_state, latents)
        if number >= fill:
            for name, ms in {**passes_ms, **decode_ms}.items():
                times[name].append(ms)
            times["block without recache"].append(sum(passes_ms.values()) - passes_ms.get("recache", 0.0))
    return times


def _time_passes(
    device: torch.device, session: Session, events: Sequence[Event]
) -> tuple[dict[str, float], np.ndarray]:
    """Make one block: milliseconds by kind of pass, with the denoising steps summed, and the block's latents."""
    passes_ms: dict[str, float] = {"denoise": 0.0}
    latents = None
    begun = time.perf_counter()
    for done in session.begin(events):
        wait(device)
        ms, begun = (time.perf_counter() - begun) * 1e3, time.perf_counter()
        if isinstance(done, Recached):
            passes_ms["recache"] = ms
        elif isinstance(done, Denoised | Made):
            passes_ms["denoise"] += ms
        elif isinstance(done, Clean):
            passes_ms["clean pass"] = ms
        if isinstance(done, Made):
            latents = done.block.latents
    assert latents is not None  # a session makes a block each time
    return passes_ms, latents


def _time_decode(world: DiffusionWorld, state: Any, latents: np.ndarray) -> tuple[dict[str, float], Any]:
    """Milliseconds to decode a block's latents, and its first picture where each is drawn by itself; the next state."""
    begun, ms = time.perf_counter(), {}
    if hasattr(world.decoder, "pictures"):
        pictures, _ = world.decoder.pictures(state, latents[:, :1])
        next(pictures)
        ms["first picture"] = (time.perf_counter() - begun) * 1e3
        begun = time.perf_counter()
    _, state = world.decoder.decode(state, latents)
    wait(world.device)
    return {"decode": (time.perf_counter() - begun) * 1e3, **ms}, state


def _product_flops(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a plain matrix product on this device and in this dtype, the median of nine after three to warm up.

    On a CPU by the kernels that the layers call too.
    """
    side = PRODUCT[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    multiply = PackedLinear(a, None, side) if device.type == "cpu" else a.matmul
    times = []
    for _ in range(12):
        begun = time.perf_counter()
        multiply(a)
        wait(device)
        times.append(time.perf_counter() - begun)
    return 2 * side**3 / sorted(times[3:])[4]


def _rates(world: DiffusionWorld, spreads: dict[str, Spread], peak_flops: float) -> dict[str, float]:
    """Rates that follow from the median times. peak_flops: FLOP/s of the plain product."""
    cache, grid = world.config.cache, world.config.latents.grid
    tokens = grid[0] * grid[1]
    one_pass = pass_flops(world.config.dit, cache.block * tokens, cache.window * tokens)
    steps = world.info.dials[STEPS_DIAL].rest
    achieved_flops = one_pass * steps / (spreads["denoise"].p50 / 1e3)
    whole_ms = spreads["block without recache"].p50 + spreads["decode"].p50
    return {
        "TFLOP a pass (transformer)": one_pass / 1e12,
        "TFLOP/s achieved in the denoising steps": achieved_flops / 1e12,
        "TFLOP/s of a plain product": peak_flops / 1e12,
        "share of the product's rate": achieved_flops / peak_flops,
        "frames a second, decode included": world.info.block_frames / (whole_ms / 1e3),
        "times real time": world.info.block_s * 1e3 / whole_ms,
        "GiB of memory at most": _peak_memory_gib(world.device),
    }


def _peak_memory_gib(device: torch.device) -> float:
    """The most memory that was in use at once: of the GPU, or of this process where there is none; NaN if unknown."""
    on_gpu = peak_gib(device)
    if on_gpu is not None:
        return on_gpu
    try:
        import resource
    except ImportError:  # not on Windows
        return math.nan
    # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
