"""What a performer can ask for besides the events of the world: one vocabulary for keys and instruments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from world.event import Event


class Command(Enum):
    """What a key or an instrument can ask of the show itself; events are for the world or the display."""

    QUIT = "quit"
    FULLSCREEN = "fullscreen"
    HELP = "help"
    STATISTICS = "statistics"
    SWITCH = "switch"
    PIN = "pin"  # move the corners of the picture, or keep them
    FIT = "fit"  # the next way in which the picture lies in the window
    RECORD = "record"  # begin a recording, or end it
    FREEZE = "freeze"
    BLACKOUT = "blackout"
    REWIND = "rewind"  # step back; back and back until REWIND_ENDED
    REWIND_ENDED = "rewind ended"
    ANOTHER_TURN = "another turn"  # let the present words begin once more
    SET_F5 = "set F5"  # a bookmark at what is on the screen
    SET_F6 = "set F6"
    SET_F7 = "set F7"
    SET_F8 = "set F8"
    BACK_F5 = "back to F5"
    BACK_F6 = "back to F6"
    BACK_F7 = "back to F7"
    BACK_F8 = "back to F8"
    RECALL_F5 = "recall F5"  # the bookmark comes back as memory, into what is on the screen
    RECALL_F6 = "recall F6"
    RECALL_F7 = "recall F7"
    RECALL_F8 = "recall F8"
    LINE_OPENED = "line opened"  # text input must start
    LINE_CLOSED = "line closed"  # text input must stop, so that an input method does not take the shortcuts
    NEXT = "next"  # fire the staged prompt, the armed cue, or the cue after the newest
    PREVIOUS = "previous"
    DISARM = "disarm"  # no cue is the next by hand any more
    CANCEL = "cancel"  # take back what is armed or waits for its beat
    TRANSITION = "transition"  # the next number of blocks that new words take
    TAP = "tap"
    RESYNC = "resync"  # the present beat is the first of the first bar
    NUDGE_EARLIER = "nudge earlier"
    NUDGE_LATER = "nudge later"
    WAY = "way"  # the next way in which a guest follows its host: latents, video
    QUANTISE = "quantise"  # the next of the ways to wait for the beat
    LET_IN = "let in"  # the oldest words of the audience
    REFUSE = "refuse"
    LEARN = "learn"  # what a control of an instrument shall do


SETS = {Command[f"SET_{key}"]: key for key in ("F5", "F6", "F7", "F8")}
RETURNS = {Command[f"BACK_{key}"]: key for key in SETS.values()}
RECALLS = {Command[f"RECALL_{key}"]: key for key in SETS.values()}
PAST_COMMANDS = {Command.REWIND, Command.REWIND_ENDED, Command.ANOTHER_TURN, *SETS, *RETURNS, *RECALLS}


@dataclass(frozen=True)
class FireCue:
    """Fire cue number `index` of the set list, counted from 0; `only_arm`: make it the next one instead."""

    index: int
    only_arm: bool = False


@dataclass(frozen=True)
class StagePrompt:
    """Words that are written now and fired later, by Command.NEXT."""

    text: str


@dataclass(frozen=True)
class SetState:
    """A state of the show set to a value: blackout, freeze (0 or 1), transition (blocks), bpm, or quantise (a word)."""

    name: str
    value: float | str


@dataclass(frozen=True)
class ControlMoved:
    """A control of an instrument moved; what that means stands in the mapping.

    control: its name, such as "cc:1:20" or "note:10:36". value: its position from 0 to 1; a button is at 1 while it is
    down. step: how far an endless knob was turned, if its messages can be read so; in shares of the way from 0 to 1.
    """

    control: str
    value: float
    step: float = 0.0


Action = Command | Event | FireCue | StagePrompt | SetState
