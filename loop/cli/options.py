"""The command line: its commands and options, and one clear line on stderr for a mistake in them."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import Any, NoReturn

from loop.cli import accept
from loop.cli.files import file_mistakes
from loop.cli.gpu import check_device
from loop.cli.session_options import (
    add_replay_options,
    add_session_options,
    add_sessions_options,
    add_story_options,
    session_mistake,
)
from loop.cli.signals import tell
from loop.cli.together import add_peer_options, add_stage_options, peer_mistakes
from loop.screen.display import FITS
from loop.supervise.memory_choice import MEMORIES
from loop.timing.switch import MODES, PLAIN, WHOLE
from world.options import SPEEDS, TEXT_DEVICES, ProbeOptions, WorldOptions, default_threads
from world.zoo import check_name, check_options, is_wan, licence_of

COMMANDS = (
    "play", "render", "replay", "sessions", "story", "bench", "latency", "train", "doctor", "worlds", "words", "osc",
)  # fmt: skip
PROBE_COSTS = (150.0, 120.0)  # default ms of a block and of a recache in measurements; a block plays for 250 ms


class UsageError(ValueError):
    """The user asked for something impossible. The message is one line for the user; the exit status is 2."""


class _Parser(argparse.ArgumentParser):
    """An argparse parser that raises UsageError instead of printing the usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parse_command_line(argv: list[str]) -> argparse.Namespace:
    """The command and its options; without a command it is `play`. Raises UsageError."""
    first = argv[0] if argv else ""
    if first not in COMMANDS and first not in ("-h", "--help"):
        if first and not first.startswith("-"):
            raise UsageError(f"unknown command {first!r}: expected one of {', '.join(COMMANDS)}")
        argv = ["play", *argv]
    if first == "train":  # its options are defined in world.train, beside what they are for
        return argparse.Namespace(command="train", rest=argv[1:])
    options = _build_parser().parse_args(argv)
    if options.command == "play" and (mistake := session_mistake(options)):
        raise UsageError(mistake)
    for mistake in (*file_mistakes(options), *peer_mistakes(options)):
        raise UsageError(mistake)
    if getattr(options, "patch", None) and options.programme is not None:
        raise UsageError("--patch marks the window that it is drawn in: measure without --programme")
    if getattr(options, "projector", None) and options.headless:
        raise UsageError("--projector is for a window: leave out --headless")
    return options


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="neverblink",
        description="A live engine for worlds that are generated while you watch.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the lines of the epilog stay as they are
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")
    play = commands.add_parser("play", help="open the window and play (the default)")
    _add_world_options(play)
    _add_script_option(play)
    _add_play_options(play)
    render = commands.add_parser("render", help="make a file without a clock, the same bytes every time")
    _add_world_options(render)
    _add_script_option(render)
    render.add_argument("--seconds", type=accept.seconds, required=True, metavar="S", help="length of the video")
    render.add_argument("--out", type=accept.video_file, required=True, metavar="FILE", help="a .mp4 or .npy file")
    _add_overwrite_option(render)
    replay = commands.add_parser("replay", help="make a saved session again and compare, or write its film")
    add_replay_options(replay)
    _add_overwrite_option(replay)
    story = commands.add_parser("story", help="one page with a picture for each prompt, and the film")
    add_story_options(story)
    _add_overwrite_option(story)
    add_sessions_options(commands.add_parser("sessions", help="the saved sessions, or what is in one of them"))
    _add_bench_parsers(commands.add_parser("bench", help="measure, and say on what"))
    _add_latency_options(commands.add_parser("latency", help="from input to pixel, stage by stage"))
    commands.add_parser("train", help="train the bundled world, stage by stage")
    commands.add_parser("doctor", help="what is installed, what is missing, and the command that gives it")
    worlds = commands.add_parser("worlds", help="the worlds there are, or what a folder of checkpoints is")
    worlds.add_argument("folder", nargs="?", metavar="FOLDER", help="what it is recognised as, and how it is played")
    commands.add_parser("osc", help="the OSC addresses that a show with --osc answers to")
    words = commands.add_parser("words", help="the words that a world knows, with three prompts to try")
    _add_world_option(words)
    play.usage = "neverblink [play] [options]"
    parser.epilog = "What `play` takes, and so `neverblink` without a command:\n\n" + play.format_help()
    return parser


def _add_world_options(parser: argparse.ArgumentParser, probe_costs: tuple[float, float] = (0.0, 0.0)) -> None:
    _add_world_option(parser)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs (auto)")
    parser.add_argument("--speed", choices=SPEEDS, help="of the model: as written, compiled, in 8 bits (fast on a GPU)")
    parser.add_argument(
        "--seed", type=accept.seed_number, metavar="N", help="the same seed, the same world; drawn if not given"
    )
    parser.add_argument("--prompt", type=accept.prompt, metavar="TEXT", help="what it begins with")
    parser.add_argument(
        "--picture", type=accept.width_x_height, metavar="WxH", help="the model's picture, where the world can choose"
    )
    told = "latent frames that stay in the window for good, and that recalls fill (Deep Forcing's rule, untrained)"
    parser.add_argument("--sink", type=accept.natural, metavar="N", help=told)
    parser.add_argument(
        "--steps",
        type=accept.steps,
        metavar="N|first:N,then:N",
        help="denoising steps of a block, 1 to 8: fewer are faster and coarser (as many as the model was made for)",
    )
    parser.add_argument("--threads", type=accept.count, metavar="N", help="threads of the model (cores - 1)")
    _add_folder_options(parser)
    probe = parser.add_argument_group("the test card (--world probe)")
    probe.add_argument("--probe-fps", type=float, default=16.0, metavar="F", help="frames a second (16)")
    probe.add_argument("--probe-frames", type=int, default=4, metavar="N", help="frames a block (4)")
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


def _add_world_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--world", default="small", metavar="NAME|FILE|FOLDER", help="see `neverblink worlds` (small)")


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


def _add_script_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", type=accept.input_file, metavar="FILE", help="timed events, JSON Lines")


def _add_bench_parsers(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(
        dest="benchmark", required=True, metavar="{gpu,leap,loop,model,pace,recall,save,soak,steer,switch}"
    )
    _add_gpu_options(kinds.add_parser("gpu", help="everything about a GPU, at the true sizes with random weights"))
    model = kinds.add_parser("model", help="each pass of a block")
    _add_world_options(model)
    _add_model_options(model)
    steer = kinds.add_parser("steer", help="what new words do to the picture, by what becomes of the cache")
    _add_world_options(steer)
    _add_steer_options(steer)
    recall = kinds.add_parser("recall", help="how close a recalled place comes to what it was")
    _add_world_options(recall)
    _add_recall_options(recall)
    for name, add_options, told in (
        ("leap", _add_leap_options, "how a leap looks beside an ordinary switch"),
        ("loop", _add_loop_options, "from flip to flip, with the model and without"),
        ("pace", _add_pace_options, "slower than real time, and at a speed that jumps"),
        ("save", _add_loop_options, "what the saving of a session costs"),
        ("soak", _add_soak_options, "a long show: what grows, what fails"),
        ("switch", _add_switch_options, "the ways to switch a prompt, side by side"),
    ):
        kind = kinds.add_parser(name, help=told)
        _add_measure_options(kind)
        add_options(kind)


def _add_gpu_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tiny", action="store_true", help="a tiny world, also on a CPU, to try the command itself")
    parser.add_argument(
        "--speed", type=accept.speeds, metavar="S[,S...]", help=f"of {','.join(SPEEDS)} (what runs here; tiny: exact)"
    )
    parser.add_argument("--seconds", type=accept.segment_seconds, metavar="S", help="length of the show (60; tiny: 6)")
    parser.add_argument(
        "--only", type=accept.gpu_sections, default=accept.GPU_SECTIONS, metavar="S[,S...]", help="some sections only"
    )
    parser.add_argument(
        "--budget-s", type=accept.seconds, default=450.0, metavar="S", help="skip what would end later than this (450)"
    )
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    parser.add_argument("--table", type=accept.new_file, metavar="FILE.md", help="the table that is printed")
    parser.add_argument("--out", dest="folder", type=Path, metavar="DIR", help="both files and the trace of the show")
    _add_overwrite_option(parser)


def _add_measure_options(parser: argparse.ArgumentParser) -> None:
    """The options of every measurement of a running show."""
    _add_world_options(parser, PROBE_COSTS)
    parser.add_argument("--window", action="store_true", help="on a display (headless)")
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    _add_overwrite_option(parser)


def _add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="write over files that are there (not over inputs)")


def _add_reserve_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reserve", type=accept.natural, default=0, metavar="N", help="blocks to hold ready beyond need (0)"
    )


def _add_leap_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=accept.count, default=100, metavar="N", help="switches of each kind (100)")
    parser.add_argument("--out", type=accept.new_file, metavar="FILE.png", help="the pictures around one of each kind")
    told = "instead: what a dial does that enters between the denoising steps of a block"
    parser.add_argument("--between-steps", action="store_true", help=told)


def _add_loop_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--segments", type=accept.count, default=10, metavar="N", help="of each kind, in turn (10)")
    parser.add_argument(
        "--seconds", type=accept.segment_seconds, default=20.0, metavar="S", help="length of a segment (20)"
    )
    told = "options of play, such as '--osc 9000 --midi auto': with them, and without, instead of without a model"
    parser.add_argument("--inputs", type=accept.stage_options, default=(), metavar="'OPTIONS'", help=told)
    _add_reserve_option(parser)


def _add_pace_options(parser: argparse.ArgumentParser) -> None:
    _add_reserve_option(parser)
    parser.set_defaults(world="probe", probe_pace=(2.0, 0.5), probe_pace_every=40.0)


def _add_soak_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=accept.minutes, default=10.0, metavar="M", help="how long (10)")
    parser.add_argument("--every", type=accept.seconds, default=3.0, metavar="S", help="seconds between switches (3)")
    told = "no switches: the dial moves all the time, and nothing else does"
    parser.add_argument("--dial-only", dest="every", action="store_const", const=0.0, help=told)
    _add_reserve_option(parser)


def _add_switch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--switches", type=accept.count, default=100, metavar="N", help="in all, of every mode (100)")
    parser.add_argument(
        "--reserve", type=accept.reserves, default=(0,), metavar="N[,N...]", help="blocks held ready (0)"
    )


def _add_latency_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=accept.count, default=50, metavar="N", help="events of each kind (50)")
    parser.add_argument(
        "--html", type=accept.html_file, metavar="FILE.html", help="one page with the distributions as pictures"
    )
    _add_switch_option(parser)
    told = "take turns with this way to switch (`whole`: auto without leaps), and compare"
    parser.add_argument("--against", choices=(*MODES, PLAIN, WHOLE), metavar="MODE", help=told)
    _add_reserve_option(parser)
    _add_measure_options(parser)


def _add_switch_option(parser: argparse.ArgumentParser) -> None:
    # PLAIN and WHOLE are accepted for comparisons, but the help does not offer them
    told = "how a prompt is switched (auto)"
    offered = "{" + ",".join(MODES) + "}"
    parser.add_argument("--switch", choices=(*MODES, PLAIN, WHOLE), default="auto", metavar=offered, help=told)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--blocks", type=accept.count, default=16, metavar="N", help="blocks to time, once the window is full"
    )
    parser.add_argument(
        "--latent", type=accept.latent_size, default=(60, 104), metavar="HxW", help="latent size of wan-1.3b (60x104)"
    )
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    _add_overwrite_option(parser)


def _add_steer_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompts", type=accept.input_file, metavar="FILE", help="switches, a line each: words before | words after"
    )
    parser.add_argument(
        "--seconds", type=accept.seconds, default=3.0, metavar="S", help="length on each side of a switch (3)"
    )
    parser.add_argument(
        "--reader", type=accept.input_file, metavar="FILE", help="reads a storybook's scenes (one beside the world)"
    )
    parser.add_argument("--out", dest="folder", type=Path, metavar="DIR", help="contact sheet, HTML page and numbers")
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    _add_overwrite_option(parser)


def _add_recall_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompts",
        type=accept.input_file,
        metavar="FILE",
        help="places, a line each: words of the place | words after",
    )
    parser.add_argument("--trials", type=accept.count, default=40, metavar="N", help="returns in every way (40)")
    parser.add_argument(
        "--reader", type=accept.input_file, metavar="FILE", help="reads a storybook's scenes (one beside the world)"
    )
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    _add_overwrite_option(parser)


def _add_play_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", type=accept.width_x_height, default=(1280, 720), metavar="WxH", help="the window's (1280x720)"
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        default="contain",
        help="the picture in the window: whole, cut to fill it, stretched (contain)",
    )
    parser.add_argument("--fullscreen", action="store_true", help="begin in full screen")
    parser.add_argument("--display", type=accept.natural, metavar="N", help="which display, from 0 (0)")
    parser.add_argument("--headless", action="store_true", help="no window")
    parser.add_argument("--seconds", type=accept.seconds, metavar="S", help="end after so long, from the first frame")
    parser.add_argument("--record", type=accept.mp4_file, metavar="FILE.mp4", help="record what is shown (F9: on, off)")
    parser.add_argument(
        "--record-size", type=accept.even_size, metavar="WxH", help="the recording's, black around (the picture's own)"
    )
    parser.add_argument(
        "--trace", type=accept.new_file, metavar="FILE.jsonl", help="write every flip and every event's stages"
    )
    _add_overwrite_option(parser)
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="end when standard input closes, for programs that start shows"
    )
    parser.add_argument(
        "--patch", choices=("corner",), help="a square that turns with an event's first frame, for a photodiode"
    )
    add_stage_options(parser)
    _add_switch_option(parser)
    parser.add_argument(
        "--transition", type=accept.blocks, default=1, metavar="N", help="blocks that new words take (1)"
    )
    told = "what comes back with new words: bookmarks that are named (Ctrl+F5), or by itself the most like blocks "
    told += (
        "(LongLive-RAG's rule), those of like words (MemFlow's), the last switch's (Anchor Forcing's), all untrained"
    )
    parser.add_argument("--memory", choices=MEMORIES, default="named", help=told)
    _add_reserve_option(parser)
    parser.add_argument(
        "--spare", choices=("auto", "on", "off"), default="auto", help="a second model process that stands by (auto)"
    )
    add_session_options(parser)
    add_peer_options(parser)


def world_options(options: argparse.Namespace) -> WorldOptions:
    """How to open the world, from the command line; raises WorldError or UsageError."""
    check_name(options.world)
    check_device(options.device, options.world)
    probe = ProbeOptions(
        fps=options.probe_fps,
        frames=options.probe_frames,
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
        sink=options.sink,
        steps=options.steps,
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
