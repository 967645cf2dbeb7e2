"""The options that say which world is opened, and how."""

from __future__ import annotations

import argparse
import secrets
from typing import Any

from loop.cli import accept
from loop.cli.gpu import check_device
from loop.cli.method_options import WORLD_METHODS, add_method_options
from loop.cli.signals import tell
from loop.cli.usage import UsageError
from world.options import DEFAULT_WORLD, SPEEDS, TEXT_DEVICES, ProbeOptions, WorldOptions, default_threads
from world.zoo import check_name, check_options, is_wan, licence_of


def add_world_options(
    parser: argparse.ArgumentParser, probe_costs: tuple[float, float] = (0.0, 0.0), world: str = DEFAULT_WORLD
) -> None:
    """Which world, and how it is opened; `world` if none is named.

    probe_costs: ms of a block and of a recache of the test card.
    """
    add_world_option(parser, world)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs (auto)")
    parser.add_argument("--speed", choices=SPEEDS, help="of the model: as written, compiled, in 8 bits (fast on a GPU)")
    parser.add_argument(
        "--seed", type=accept.seed_number, metavar="N", help="the same seed, the same world; drawn if not given"
    )
    parser.add_argument("--prompt", type=accept.prompt, metavar="TEXT", help="what it begins with")
    parser.add_argument(
        "--picture", type=accept.width_x_height, metavar="WxH", help="the model's picture, where the world can choose"
    )
    add_method_options(parser)
    parser.add_argument("--threads", type=accept.count, metavar="N", help="threads of the model (cores - 1)")
    _add_folder_options(parser)
    probe = parser.add_argument_group("the test card (--world probe)")
    probe.add_argument("--probe-fps", type=float, default=16.0, metavar="F", help="frames a second (16)")
    probe.add_argument("--probe-frames", type=int, default=4, metavar="N", help="frames a block (4)")
    told = "latent frames of a block, between which it can be cut (0: it stays whole)"
    probe.add_argument("--probe-latents", type=int, default=0, metavar="N", help=told)
    for part, cost in zip(("block", "recache"), probe_costs, strict=True):
        told = f"made-up cost of a {part} ({cost:g})"
        probe.add_argument(f"--probe-{part}-ms", type=float, default=cost, metavar="MS", help=told)
    probe.add_argument(
        "--probe-pace", type=accept.paces, default=(), metavar="P[,P...]", help="times real time, in turn, by its costs"
    )
    probe.add_argument(
        "--probe-pace-every", type=accept.seconds, default=10.0, metavar="S", help="seconds of video at each pace (10)"
    )
    probe.add_argument("--probe-busy", action="store_true", help="burn the processor instead of sleeping")


def add_world_option(parser: argparse.ArgumentParser, world: str = DEFAULT_WORLD) -> None:
    """`--world` alone; `world` if none is named."""
    told = f"see `neverblink worlds` ({world})"
    parser.add_argument("--world", default=world, metavar="NAME|FILE|FOLDER", help=told)


def _add_folder_options(parser: argparse.ArgumentParser) -> None:
    folder = parser.add_argument_group("published checkpoints (--world FOLDER)")
    folder.add_argument(
        "--positions",
        choices=("relative", "absolute"),
        help="in the window, so that a stream never ends (relative, the default), or in the stream, as published",
    )
    folder.add_argument("--decoder", choices=("vae", "taehv"), help="Wan's own (vae, the default), or the fast one")
    folder.add_argument(
        "--text-device",
        choices=("auto", *TEXT_DEVICES),
        help="where prompts are encoded; offload: on the GPU, with weights that stay in host memory (auto: what fits)",
    )
    folder.add_argument(
        "--ranks",
        type=accept.count,
        metavar="N",
        help="processes that make each block together, each on a GPU of its own (1)",
    )
    folder.add_argument("--dtype", choices=("float32", "bfloat16"), help="of weights (bfloat16 on a GPU, else float32)")


def world_options(options: argparse.Namespace) -> WorldOptions:
    """How to open the world, from the command line; raises WorldError or UsageError."""
    check_name(options.world)
    check_device(options.device, options.world)
    probe = ProbeOptions(
        fps=options.probe_fps,
        frames=options.probe_frames,
        latents=options.probe_latents,
        block_ms=options.probe_block_ms,
        recache_ms=options.probe_recache_ms,
        busy=options.probe_busy,
        pace=options.probe_pace,
        pace_every_s=options.probe_pace_every,
    )
    chosen = WorldOptions(
        name=options.world,
        device=options.device,
        threads=options.threads or default_threads(),
        picture=options.picture,
        speed=options.speed,
        **{name: getattr(options, name) for name in WORLD_METHODS},
        probe=probe,
        **_given_folder_options(options),
    )
    check_options(chosen)
    if licence := licence_of(chosen.name):
        tell(f"licence of the weights: {licence}")
    return chosen


def _given_folder_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options given that only a folder of checkpoints has; raises UsageError if the world is not a folder."""
    asked = {name: getattr(options, name) for name in ("positions", "decoder", "dtype", "text_device", "ranks")}
    given = {option: value for option, value in asked.items() if value}
    if given and not is_wan(options.world):
        option = next(iter(given)).replace("_", "-")
        raise UsageError(f"--{option} is for a folder of checkpoints: the world {options.world!r} has its own")
    return given


def drawn_seed(options: argparse.Namespace) -> int:
    """The seed given; without one, a random seed, which is printed so that the show can be repeated."""
    if options.seed is not None:
        return options.seed
    seed = secrets.randbelow(2**31)
    tell(f"seed {seed}")
    return seed
