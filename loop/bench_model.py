"""`neverblink bench model`: what each pass of a block costs, beside what the same machine does with a plain product."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import defaultdict
from typing import Any

from loop.bench import Spread, print_environment, print_spreads, write_json
from loop.options import world_options
from world.zoo import default_threads

PRODUCT = 2048  # side of the matrices of the yardstick


def run(options: Namespace) -> int:
    """Measure, print, and write the JSON if one is asked for."""
    import torch

    from world.device import describe, resolve, use_threads

    device = resolve(options.device)
    use_threads(options.threads or default_threads())
    world = _world(options, device)
    config = {
        "world": world.info.name,
        "picture": world.info.picture,
        "blocks": options.blocks,
        "dtype": str(world.dit.dtype),
    }
    head = print_environment(config, describe(device))
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
    from world.device import working_dtype
    from world.random import random_wan
    from world.zoo import open_world

    if options.world != "wan-1.3b":
        return open_world(world_options(options))
    import torch

    dtype = getattr(torch, options.dtype) if options.dtype else working_dtype(device)
    return random_wan(options.latent, device, dtype)


def _time_blocks(world: Any, blocks: int) -> dict[str, list[float]]:
    """Milliseconds of every kind of pass, once the window is full; every fourth block switches the prompt."""
    from world.event import Prompt

    session, state = world.session(0, world.info.showpiece), world.decoder.start()
    fill = -(-world.config.cache.window // world.config.cache.block) + 1
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(fill + blocks):
        events = [Prompt(f"prompt {number}")] if number % 4 == 0 else []
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
    from world.device import wait

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
    from world.device import wait

    begun = time.perf_counter()
    _, state = world.decoder.decode(state, latents)
    wait(world.device)
    return (time.perf_counter() - begun) * 1e3, state


def _product_flops(torch: Any, device: Any, dtype: Any) -> float:
    """FLOP/s of a plain matrix product on this device and in this dtype, the median of nine."""
    from world.device import wait

    a = torch.randn(PRODUCT, PRODUCT, device=device).to(dtype)
    times = []
    for _ in range(12):
        begun = time.perf_counter()
        _ = a @ a
        wait(device)
        times.append(time.perf_counter() - begun)
    return 2 * PRODUCT**3 / sorted(times[3:])[4]


def _figures(world: Any, spreads: dict[str, Spread], peak: float) -> dict[str, float]:
    """Rates that follow from the medians."""
    from world.flops import pass_flops

    cache, grid = world.config.cache, world.config.latents.grid
    tokens = grid[0] * grid[1]
    one = pass_flops(world.config.dit, cache.block * tokens, cache.window * tokens)
    steps = len(world.config.sampler.steps)
    achieved = one * steps / (spreads["denoise"].p50 / 1e3)
    whole_ms = spreads["block without recache"].p50 + spreads["decode"].p50
    return {
        "TFLOP a pass (transformer)": one / 1e12,
        "TFLOP/s achieved in the denoising steps": achieved / 1e12,
        f"TFLOP/s of a {PRODUCT}x{PRODUCT} product": peak / 1e12,
        "share of the product's rate": achieved / peak,
        "frames a second, decode included": world.info.block_frames / (whole_ms / 1e3),
        "times real time": world.info.block_s * 1e3 / whole_ms,
    }
