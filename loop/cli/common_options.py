"""Options that several commands share."""

from __future__ import annotations

import argparse

from loop.cli import accept
from loop.timing.switch import MODES, PLAIN, WHOLE

SCORES = ("motion", "contrast")  # by which the best of several takes is kept


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """`--overwrite`, for every command that writes files."""
    parser.add_argument("--overwrite", action="store_true", help="write over files that are there (not over inputs)")


def add_reserve_option(parser: argparse.ArgumentParser) -> None:
    """`--reserve`, for every command that plays."""
    parser.add_argument(
        "--reserve", type=accept.natural, default=0, metavar="N", help="blocks to hold ready beyond need (0)"
    )


def add_switch_option(parser: argparse.ArgumentParser) -> None:
    """`--switch`, how prompts are switched."""
    # PLAIN and WHOLE are accepted for comparisons, but the help does not offer them
    told = "how a prompt is switched (auto)"
    offered = "{" + ",".join(MODES) + "}"
    parser.add_argument("--switch", choices=(*MODES, PLAIN, WHOLE), default="auto", metavar=offered, help=told)
