"""The options that take a rule of the literature: in how many steps a block is made, and what a stream remembers."""

from __future__ import annotations

import argparse

from loop.cli import accept
from loop.supervise.memory_choice import MEMORIES

WORLD_METHODS = ("steps", "carry", "press", "sink", "sink_ema", "memory_slots")  # fields of WorldOptions


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """The options of WORLD_METHODS: what can be chosen of a world's rules when it is opened."""
    told = "latent frames that stay in the window for good, and that recalls fill (Deep Forcing's rule, untrained)"
    parser.add_argument("--sink", type=accept.natural, metavar="N", help=told)
    told = "what the sink keeps of itself at each frame that leaves the window, 0 to below 1 (Reward Forcing's EMA "
    told += "sink), or what two averages beside it keep, such as 0.99,0.9 (MemRoPE's); both untrained (the world's own)"
    parser.add_argument("--sink-ema", type=accept.averages, metavar="A|LONG,SHORT", help=told)
    told = "denoising steps of a block, 1 to 8: fewer are faster and coarser (as many as the model was made for)"
    parser.add_argument("--steps", type=accept.steps, metavar="N|first:N,then:N", help=told)
    told = "latent frames of the window that survive new words; 0: a hard cut (Infinity-RoPE's flush, untrained, and "
    told += "the frames encoded under the new words; all)"
    parser.add_argument("--carry", type=accept.natural, metavar="N", help=told)
    told = "how strongly new words are pressed on for four blocks, 0 to 4, at twice the passes (the world's own)"
    parser.add_argument("--press", type=accept.press, metavar="A", help=told)
    told = "blocks of the past that fill the sink at most, where any come back by --memory or by name (all it holds)"
    parser.add_argument("--memory-slots", type=accept.count, metavar="M", help=told)


def add_memory_option(parser: argparse.ArgumentParser) -> None:
    """`--memory`: what comes back at a change of words."""
    told = "what comes back with new words: bookmarks that are named (Ctrl+F5), or by itself the most like blocks "
    told += "(LongLive-RAG), those of like words (MemFlow) or the last switch's (Anchor Forcing): rules, untrained"
    parser.add_argument("--memory", choices=MEMORIES, default="named", help=told)
