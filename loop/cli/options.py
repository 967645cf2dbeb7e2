"""The command line: its commands and options, and one clear line on stderr for a mistake in them."""

from __future__ import annotations

import argparse
from typing import NoReturn

from loop.cli import accept
from loop.cli.common_options import SCORES, add_overwrite_option, add_reserve_option, add_switch_option
from loop.cli.files import file_mistakes
from loop.cli.measure_options import add_bench_parsers, add_latency_options, measure_mistake
from loop.cli.method_options import add_memory_option
from loop.cli.session_options import (
    add_replay_options,
    add_session_options,
    add_sessions_options,
    add_story_options,
    session_mistake,
)
from loop.cli.together import add_peer_options, add_stage_options, peer_mistakes
from loop.cli.usage import UsageError
from loop.cli.world_options import add_world_option, add_world_options
from loop.screen.display import FITS

COMMANDS = (
    "play", "render", "replay", "sessions", "story", "bench", "latency", "train", "doctor", "worlds", "words", "osc",
)  # fmt: skip


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
    if mistake := measure_mistake(options):
        raise UsageError(mistake)
    if getattr(options, "patch", None) and options.programme is not None:
        raise UsageError("--patch marks the window that it is drawn in: measure without --programme")
    if getattr(options, "brake", False) and options.world == "probe":
        raise UsageError("--brake makes blocks in fewer steps: the test card has no model that makes steps")
    for name in ("projector", "programme", "fullscreen", "gamepad", "clean"):
        given = vars(options).get(name)
        if given is not None and given is not False and options.headless:  # display 0 is given too
            raise UsageError(f"--{name} is for a window: leave out --headless")
    return options


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="neverblink",
        description="A live engine for worlds that are generated while you watch.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the lines of the epilog stay as they are
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")
    play = commands.add_parser("play", help="open the window and play (the default)")
    add_world_options(play)
    _add_script_option(play)
    _add_play_options(play)
    render = commands.add_parser("render", help="make a file without a clock, the same bytes every time")
    add_world_options(render)
    _add_script_option(render)
    render.add_argument("--seconds", type=accept.seconds, required=True, metavar="S", help="length of the video")
    render.add_argument("--out", type=accept.video_file, required=True, metavar="FILE", help="a .mp4 or .npy file")
    told = "make each stretch between new words K times and keep the best (1)"
    render.add_argument("--takes", type=accept.count, default=1, metavar="K", help=told)
    told = (
        "what is best: the pictures that move most, or those with the most contrast, and no judgement of them (motion)"
    )
    render.add_argument("--best", choices=SCORES, default=SCORES[0], help=told)
    add_overwrite_option(render)
    replay = commands.add_parser("replay", help="make a saved session again and compare, or write its film")
    add_replay_options(replay)
    add_overwrite_option(replay)
    story = commands.add_parser("story", help="one page with a picture for each prompt, and the film")
    add_story_options(story)
    add_overwrite_option(story)
    add_sessions_options(commands.add_parser("sessions", help="the saved sessions, or what is in one of them"))
    add_bench_parsers(commands.add_parser("bench", help="measure, and say on what"))
    add_latency_options(commands.add_parser("latency", help="from input to pixel, stage by stage"))
    commands.add_parser("train", help="train the bundled world, stage by stage")
    commands.add_parser("doctor", help="what is installed, what is missing, and the command that gives it")
    worlds = commands.add_parser("worlds", help="the worlds there are, or what a folder of checkpoints is")
    worlds.add_argument("folder", nargs="?", metavar="FOLDER", help="what it is recognised as, and how it is played")
    commands.add_parser("osc", help="the OSC addresses that a show with --osc answers to")
    words = commands.add_parser("words", help="the words that a world knows, with prompts to try")
    add_world_option(words)
    play.usage = "neverblink [play] [options]"
    parser.epilog = "What `play` takes, and so `neverblink` without a command:\n\n" + play.format_help()
    return parser


def _add_script_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", type=accept.input_file, metavar="FILE", help="timed events, JSON Lines")


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
    add_overwrite_option(parser)
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="end when standard input closes, for programs that start shows"
    )
    parser.add_argument(
        "--patch", choices=("corner",), help="a square that turns with an event's first frame, for a photodiode"
    )
    add_stage_options(parser)
    add_switch_option(parser)
    parser.add_argument(
        "--transition", type=accept.blocks, default=1, metavar="N", help="blocks that new words take (1)"
    )
    add_memory_option(parser)
    told = "make blocks in fewer steps before frames would repeat, and in all of them again once there is time"
    parser.add_argument("--brake", action="store_true", help=told)
    add_reserve_option(parser)
    parser.add_argument(
        "--spare", choices=("auto", "on", "off"), default="auto", help="a second model process that stands by (auto)"
    )
    add_session_options(parser)
    add_peer_options(parser)
