"""The main loop: fixed ticks; each one reads hands, feeds the model, shows the frame that is due, and writes it down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from input.keys import Command, Keyboard
from input.source import Source
from loop.clock import TICK_NS, FixedStep
from loop.ledger import Ledger
from loop.message import BlockDone, Died, Fault, Stage, Taken
from loop.model import LiveModel
from loop.overlay import OverlayState, lay_out
from loop.pacer import Pacer, Shown, SustainableCost
from loop.record import Recorder
from loop.ring import FrameMark
from loop.screen import Screen
from loop.trace import Trace
from world.event import Event

SPIN_NS = 1_500_000  # the last stretch before a deadline is spun: sleeps end late by up to a millisecond
now_ns = time.perf_counter_ns


@dataclass
class Show:
    """What is on: owned by the engine, changed by commands."""

    frozen: bool = False
    blackout: bool = False
    help: bool = False
    stats: bool = False
    quitting: bool = False
    toast: str = ""
    toast_until_ns: int = 0
    first_flip_ns: int | None = None
    last_flip_ns: int = 0
    repeats: int = 0
    flips: list[int] = field(default_factory=list)
