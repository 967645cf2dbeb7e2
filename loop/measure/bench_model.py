"""`neverblink bench model`: what each pass of a block costs, beside what the same machine does with a plain product."""

from __future__ import annotations

import math
import sys
import time
from argparse import Namespace
from collections import defaultdict
from typing import Any

from loop.cli.options import UsageError, world_options
from loop.measure.bench import Spread, print_environment, print_spreads, write_json
from world.options import default_threads

PRODUCT = {"cpu": 2048, "cuda": 8192}  # side of the yardstick's matrices: a GPU needs larger ones to be busy
EVERY = 4  # blocks from one switch of the prompt to the next


def run(options: Namespace) -> int:
    """Measure, print, and write the JSON if one is asked for."""
    import torch

    from world.dit.device import describe, resolve, use_threads

    device = resolve(options.device)
    use_threads(options.threads or default_threads())
    world = _world(options, device)
    head = print_environment(_config(world, options.blocks), describe(device))
    peak = _product_flops(torch, device, world.dit.dtype)
    spreads = {name: Spread.of(times) for name, times in _time_blocks(world, options.blocks).items()}
    print_spreads(spreads, "ms")
    figures = _figures(world, spreads, peak)
    for name, value in figures.items():
        print(f"{name:<44} {value:.4g}")
    write_json(options.json, head, {"ms": spreads, "figures": figures})
    return 0


def _world(options: Namespace, device: Any) -> Any:
    """The world by name, or the published geometry with random weights at any latent size."""
    from world.dit.device import working_dtype
    from world.wan.random import random_wan
    from world.zoo import open_in_own_process

    if options.world == "probe":
        raise UsageError("the world 'probe' has no model to measure: expected small, wan-1.3b or a folder")
    if options.world != "wan-1.3b":
        return open_in_own_process(world_options(options))
    told = {"decoder": options.decoder, "positions": options.positions}
    dtype = working_dtype(device, options.dtype)
    return random_wan(options.latent, device, dtype, **{name: value for name, value in told.items() if value})


def _config(world: Any, blocks: int) -> dict[str, Any]:
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


def _time_blocks(world: Any, blocks: int) -> dict[str, list[float]]:
    """Milliseconds of every kind of pass, once the window is full; every EVERYth block switches the prompt."""
    from world.event import Prompt

    session, state = world.session(0, world.info.showpiece), world.decoder.start()
    fill = -(-world.config.cache.window // world.config.cache.block) + 1
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(fill + blocks):
        # the first block that counts is one of them
        events = [Prompt(f"prompt {number}")] if (number - fill) % EVERY == 0 else []
        for event in events:
            session.prepare(event)
        made = _time_passes(world, session, events)
        took, state = _time_decode(world, state, made.pop("made"))
        if number >= fill:
            for name, value in {**made, "decode": took}.items():
                times[name].append(value)
            times["block without recache"].append(sum(made.values()) - made.get("recache", 0.0))
    return times


def _time_passes(world: Any, session: Any, events: list[Any]) -> dict[str, Any]:
    """One block: milliseconds by kind of pass (denoising steps summed), and its latents as "made"."""
    from world.block import Clean, Denoised, Made, Recached
    from world.dit.device import wait

    took: dict[str, Any] = {"denoise": 0.0}
    begun = time.perf_counter()
    for done in session.begin(events):
        wait(world.device)
        spent, begun = (time.perf_counter() - begun) * 1e3, time.perf_counter()
        if isinstance(done, Recached):
            took["recache"] = spent
        elif isinstance(done, Denoised):
            took["denoise"] += spent
        elif isinstance(done, Made):
            took["denoise"] += spent
            took["made"] = done.block.latents
        elif isinstance(done, Clean):
            took["clean pass"] = spent
    return took


def _time_decode(world: Any, state: Any, latents: Any) -> tuple[float, Any]:
    from world.dit.device import wait

    begun = time.perf_counter()
    _, state = world.decoder.decode(state, latents)
    wait(world.device)
    return (time.perf_counter() - begun) * 1e3, state


def _product_flops(torch: Any, device: Any, dtype: Any) -> float:
    """FLOP/s of a plain matrix product on this device and in this dtype, the median of nine."""
    from world.dit.device import wait

    side = PRODUCT[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    times = []
    for _ in range(12):
        begun = time.perf_counter()
        _ = a @ a
        wait(device)
        times.append(time.perf_counter() - begun)
    return 2 * side**3 / sorted(times[3:])[4]


def _figures(world: Any, spreads: dict[str, Spread], peak: float) -> dict[str, float]:
    """Rates that follow from the medians."""
    from world.dit.flops import pass_flops

    cache, grid = world.config.cache, world.config.latents.grid
    tokens = grid[0] * grid[1]
    one = pass_flops(world.config.dit, cache.block * tokens, cache.window * tokens)
    steps = len(world.config.sampler.steps)
    achieved = one * steps / (spreads["denoise"].p50 / 1e3)
    whole_ms = spreads["block without recache"].p50 + spreads["decode"].p50
    return {
        "TFLOP a pass (transformer)": one / 1e12,
        "TFLOP/s achieved in the denoising steps": achieved / 1e12,
        "TFLOP/s of a plain product": peak / 1e12,
        "share of the product's rate": achieved / peak,
        "frames a second, decode included": world.info.block_frames / (whole_ms / 1e3),
        "times real time": world.info.block_s * 1e3 / whole_ms,
        "GiB of memory at most": _peak_gib(world.device),
    }


def _peak_gib(device: Any) -> float:
    """The most memory that this process held: on its GPU, or all of it where there is none."""
    from world.dit.device import peak_gib

    on_gpu = peak_gib(device)
    if on_gpu is not None:
        return on_gpu
    try:
        import resource
    except ImportError:  # not on Windows
        return math.nan
    # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
