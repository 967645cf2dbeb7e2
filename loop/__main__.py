"""The command `neverblink`, also `python -m loop`."""

from __future__ import annotations

import sys
from signal import SIGINT
from typing import TYPE_CHECKING

from loop.cli.signals import CLOSED_PIPE, Interrupted, SignalWatch, end_quietly_from_now_on, flush_or_drop, tell

if TYPE_CHECKING:
    from argparse import Namespace


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status. 0: done. 1: failed at run time. 2: wrong usage or bad input.

    More than 128: ended by a signal (see loop.cli.signals).
    """
    with SignalWatch() as signals:  # before anything else is loaded, which takes a moment
        try:
            status = _run_command(sys.argv[1:] if argv is None else argv)
        except BaseException as error:
            ended = signals.received or (Interrupted(SIGINT) if isinstance(error, KeyboardInterrupt) else None)
            if ended is None:
                raise
            tell(f"neverblink: {ended}", sys.stderr)
            status = ended.status
        finally:
            flush_or_drop(sys.stdout)
            flush_or_drop(sys.stderr)
    if argv is None:
        end_quietly_from_now_on()
    return status


def _run_command(argv: list[str]) -> int:
    """Run a command; what is wrong with its input or its surroundings is told in one line."""
    import logging

    from loop.cli import options as cli

    logging.basicConfig(level=logging.INFO, format="neverblink: %(message)s", stream=sys.stderr)
    try:
        options = cli.parse_command_line(argv)
        status = _COMMANDS[options.command](options)
        print(end="", flush=True)
        return status
    except (ValueError, ImportError) as error:
        if not _is_for_the_user(error):
            raise
        tell(f"neverblink: {error}", sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        return CLOSED_PIPE
    except OSError as error:
        tell(f"neverblink: {error}", sys.stderr)
        return 1


def _is_for_the_user(error: Exception) -> bool:
    """Our own errors carry a line for the user; any other one is a bug and shows its traceback."""
    return any(cls.__module__.split(".")[0] in ("world", "loop", "input", "net") for cls in type(error).__mro__)


def _play(options: Namespace) -> int:
    from loop.play import play

    return play(options)


def _render(options: Namespace) -> int:
    from loop.render import render_command

    return render_command(options)


def _replay(options: Namespace) -> int:
    from loop.replay.command import replay_command

    return replay_command(options)


def _sessions(options: Namespace) -> int:
    from loop.replay.listing import print_sessions

    return print_sessions(options.folder)


def _story(options: Namespace) -> int:
    from loop.replay.story import story_command

    return story_command(options)


def _bench(options: Namespace) -> int:
    if options.benchmark == "model":  # imports torch, which the other benchmarks leave to the shows they start
        from loop.measure.model.bench_model import run_model_bench

        return run_model_bench(options)
    if options.benchmark == "gpu":
        from loop.measure.gpu.command import run_gpu_bench

        return run_gpu_bench(options)
    if options.benchmark == "steer":
        from loop.measure.steer.command import run_steer_bench

        return run_steer_bench(options)
    if options.benchmark == "leap":
        from loop.measure.leap.between_steps import run_between_steps
        from loop.measure.leap.command import run_leap_bench

        return run_between_steps(options) if options.between_steps else run_leap_bench(options)
    if options.benchmark == "methods":
        from loop.measure.methods.command import run_methods_bench

        return run_methods_bench(options)
    if options.benchmark == "recall":
        from loop.measure.steer.recall_command import run_recall_bench

        return run_recall_bench(options)
    from loop.measure.shows.bench_loop import run_loop_bench
    from loop.measure.shows.bench_pace import run_pace_bench
    from loop.measure.shows.bench_save import run_save_bench
    from loop.measure.shows.bench_soak import run_soak_bench
    from loop.measure.shows.bench_switch import run_switch_bench

    benchmarks = {
        "loop": run_loop_bench,
        "pace": run_pace_bench,
        "save": run_save_bench,
        "soak": run_soak_bench,
        "switch": run_switch_bench,
    }
    return benchmarks[options.benchmark](options)


def _latency(options: Namespace) -> int:
    from loop.measure.latency.run import run_latency

    return run_latency(options)


def _train(options: Namespace) -> int:
    from world.train.run import main as train

    return train(options.rest)


def _doctor(options: Namespace) -> int:
    from loop.cli.doctor import print_findings

    return print_findings()


def _worlds(options: Namespace) -> int:
    from loop.cli.worlds import print_worlds

    return print_worlds(options.folder)


def _words(options: Namespace) -> int:
    from loop.cli.words import print_words

    return print_words(options.world)


def _osc(options: Namespace) -> int:
    from input.osc import ADDRESSES, ROOT, TOLD

    for heading, addresses in (("", ADDRESSES), ("\nWho has subscribed is sent:\n\n", TOLD)):
        print(heading, end="")
        for address, arguments, what in addresses:
            print(f"{ROOT + address:<28} {arguments:<3} {what}")
    return 0


_COMMANDS = {
    "play": _play,
    "render": _render,
    "replay": _replay,
    "sessions": _sessions,
    "story": _story,
    "bench": _bench,
    "latency": _latency,
    "train": _train,
    "doctor": _doctor,
    "worlds": _worlds,
    "words": _words,
    "osc": _osc,
}

if __name__ == "__main__":
    sys.exit(main())
