"""The options of `bench` and `latency`."""

from __future__ import annotations

import argparse
from pathlib import Path

from loop.cli import accept
from loop.cli.common_options import add_overwrite_option, add_reserve_option, add_switch_option
from loop.cli.method_options import add_memory_option
from loop.cli.world_options import add_world_options
from loop.timing.switch import MODES, PLAIN, WHOLE
from world.options import SPEEDS

MEASURED = "small"  # the world that is measured if none is named, so that figures can be compared over the years
PROBE_COSTS = (150.0, 120.0)  # default ms of a block and of a recache in measurements; a block plays for 250 ms


def add_bench_parsers(parser: argparse.ArgumentParser) -> None:
    """One parser for each kind of `bench`."""
    kinds = parser.add_subparsers(
        dest="benchmark", required=True, metavar="{gpu,leap,loop,methods,model,pace,recall,save,soak,steer,switch}"
    )
    _add_gpu_options(kinds.add_parser("gpu", help="everything about a GPU, at the true sizes with random weights"))
    model = kinds.add_parser("model", help="each pass of a block")
    add_world_options(model, world=MEASURED)
    _add_model_options(model)
    methods = kinds.add_parser("methods", help="rules for steps and memory side by side, in one table")
    add_world_options(methods, world=MEASURED)
    _add_methods_options(methods)
    steer = kinds.add_parser("steer", help="what new words do to the picture, by what becomes of the cache")
    add_world_options(steer, world=MEASURED)
    _add_steer_options(steer)
    recall = kinds.add_parser("recall", help="how close a recalled place comes to what it was")
    add_world_options(recall, world=MEASURED)
    _add_recall_options(recall)
    for name, add_options, told in (
        ("leap", _add_leap_options, "how a leap looks beside an ordinary switch"),
        ("loop", _add_loop_options, "from flip to flip, with the model and without"),
        ("pace", _add_pace_options, "slower than real time, and at a speed that jumps"),
        ("save", _add_segment_options, "what the saving of a session costs"),
        ("soak", _add_soak_options, "a long show: what grows, what fails"),
        ("switch", _add_switch_options, "the ways to switch a prompt, side by side"),
    ):
        kind = kinds.add_parser(name, help=told)
        _add_measure_options(kind)
        add_options(kind)


def measure_mistake(options: argparse.Namespace) -> str | None:
    """Options of a measurement that mean nothing together; None if there are none."""
    given = vars(options)
    if given.get("against") and given["against"] == given["switch"]:
        return f"--against {given['against']} compares {given['switch']} with itself: give another --switch"
    if given.get("between_steps"):
        unused = next((name for name in ("out", "window") if given[name]), None)
        if unused:
            return f"--between-steps makes no show: leave out --{unused}"
        if given["prompt"]:
            return "--between-steps has prompts of its own: leave out --prompt"
    return None


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
    add_overwrite_option(parser)


def _add_measure_options(parser: argparse.ArgumentParser) -> None:
    """The options of every measurement of a running show."""
    add_world_options(parser, PROBE_COSTS, MEASURED)
    parser.add_argument("--window", action="store_true", help="on a display (headless)")
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    add_overwrite_option(parser)


def _add_leap_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=accept.count, default=100, metavar="N", help="switches of each kind (100)")
    parser.add_argument("--out", type=accept.new_file, metavar="FILE.png", help="the pictures around one of each kind")
    told = "instead: what a dial does that enters between the denoising steps of a block"
    parser.add_argument("--between-steps", action="store_true", help=told)


def _add_segment_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--segments", type=accept.count, default=10, metavar="N", help="of each kind, in turn (10)")
    parser.add_argument(
        "--seconds", type=accept.segment_seconds, default=20.0, metavar="S", help="length of a segment (20)"
    )
    add_reserve_option(parser)


def _add_loop_options(parser: argparse.ArgumentParser) -> None:
    _add_segment_options(parser)
    told = "options of play, such as '--osc 9000 --midi auto': with them, and without, instead of without a model"
    parser.add_argument("--inputs", type=accept.stage_options, default=(), metavar="'OPTIONS'", help=told)


def _add_pace_options(parser: argparse.ArgumentParser) -> None:
    add_reserve_option(parser)
    parser.set_defaults(world="probe", probe_pace=(2.0, 0.5), probe_pace_every=40.0)


def _add_soak_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=accept.minutes, default=10.0, metavar="M", help="how long (10)")
    parser.add_argument("--every", type=accept.seconds, default=3.0, metavar="S", help="seconds between switches (3)")
    told = "no switches: the dial moves all the time, and nothing else does"
    parser.add_argument("--dial-only", dest="every", action="store_const", const=0.0, help=told)
    add_reserve_option(parser)


def _add_switch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--switches", type=accept.count, default=100, metavar="N", help="in all, of every mode (100)")
    parser.add_argument(
        "--reserve", type=accept.reserves, default=(0,), metavar="N[,N...]", help="blocks held ready (0)"
    )


def add_latency_options(parser: argparse.ArgumentParser) -> None:
    """The options of `latency`."""
    parser.add_argument("--trials", type=accept.count, default=50, metavar="N", help="events of each kind (50)")
    parser.add_argument(
        "--html", type=accept.html_file, metavar="FILE.html", help="one page with the distributions as pictures"
    )
    add_switch_option(parser)
    told = "take turns with this way to switch (`whole`: auto without leaps), and compare"
    parser.add_argument("--against", choices=(*MODES, PLAIN, WHOLE), metavar="MODE", help=told)
    add_reserve_option(parser)
    _add_measure_options(parser)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--blocks", type=accept.count, default=16, metavar="N", help="blocks to time, once the window is full"
    )
    parser.add_argument(
        "--latent", type=accept.latent_size, default=(60, 104), metavar="HxW", help="latent size of wan-1.3b (60x104)"
    )
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    add_overwrite_option(parser)


def _add_steer_options(parser: argparse.ArgumentParser) -> None:
    add_memory_option(parser)
    parser.add_argument(
        "--seconds", type=accept.seconds, default=3.0, metavar="S", help="length on each side of a switch (3)"
    )
    parser.add_argument("--out", dest="folder", type=Path, metavar="DIR", help="contact sheet, HTML page and numbers")
    _add_word_files(parser)


def _add_methods_options(parser: argparse.ArgumentParser) -> None:
    told = "a line of options for each, the first of which the others are held against (those built in)"
    parser.add_argument("--settings", type=accept.input_file, metavar="FILE", help=told)
    told = "words, other words and the first again, so often (12; 0: none)"
    parser.add_argument("--switches", type=accept.natural, default=12, metavar="N", help=told)
    told = "long streams under the same words (3; 0: none)"
    parser.add_argument("--streams", type=accept.natural, default=3, metavar="N", help=told)
    parser.add_argument("--minutes", type=accept.minutes, default=2.0, metavar="M", help="length of each (2)")
    told = "blocks to time, without decoding (0: none): on a quiet machine"
    parser.add_argument("--blocks", type=accept.cost_blocks, default=60, metavar="N", help=told)
    _add_word_files(parser)


def _add_word_files(parser: argparse.ArgumentParser) -> None:
    """Which words change, what reads the pictures, and where the numbers go."""
    parser.add_argument(
        "--prompts", type=accept.input_file, metavar="FILE", help="switches, a line each: words before | words after"
    )
    parser.add_argument(
        "--reader", type=accept.input_file, metavar="FILE", help="reads a storybook's scenes (one beside the world)"
    )
    parser.add_argument("--json", type=accept.new_file, metavar="FILE", help="the same numbers for other programs")
    add_overwrite_option(parser)


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
    add_overwrite_option(parser)
