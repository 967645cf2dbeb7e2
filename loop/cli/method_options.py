"""The options that take a rule of the literature: in how many steps a block is made, and what a stream remembers."""

from __future__ import annotations

import argparse

from loop.cli import accept
from loop.supervise.memory_choice import MEMORIES
from world.options import RULE_HELP

WORLD_METHODS = ("steps", "carry", "press", "sink", "sink_ema", "memory_slots")  # fields of WorldOptions


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """The options of WORLD_METHODS: what can be chosen of a world's rules when it is opened."""
    parser.add_argument("--sink", type=accept.natural, metavar="N", help=RULE_HELP["sink"])
    told = "what the sink keeps of itself at each frame that leaves the window, 0 to below 1 (Reward Forcing's EMA "
    told += "sink), or what two averages beside it keep, such as 0.99,0.9 (MemRoPE's); both untrained (the world's own)"
    parser.add_argument("--sink-ema", type=accept.averages, metavar="A|LONG,SHORT", help=told)
    parser.add_argument("--steps", type=accept.steps, metavar="N|first:N,then:N", help=RULE_HELP["steps"])
    parser.add_argument("--carry", type=accept.natural, metavar="N", help=RULE_HELP["carry"])
    parser.add_argument("--press", type=accept.press, metavar="A", help=RULE_HELP["press"])
    told = "blocks of the past that fill the sink at most, where any come back by --memory or by name (all it holds)"
    parser.add_argument("--memory-slots", type=accept.count, metavar="M", help=told)


def add_memory_option(parser: argparse.ArgumentParser) -> None:
    """`--memory`: what comes back at a change of words."""
    told = "what comes back with new words: bookmarks that are named (Ctrl+F5), or by itself the most like blocks "
    told += "(LongLive-RAG), those of like words (MemFlow) or the last switch's (Anchor Forcing): rules, untrained"
    parser.add_argument("--memory", choices=MEMORIES, default="named", help=told)
