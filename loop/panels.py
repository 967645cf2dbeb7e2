"""What lies over the picture of a window: the prompt line, messages and panels, made from the state of the show."""

from __future__ import annotations

import textwrap
from typing import Any

from input.action import PAST_COMMANDS, Command
from input.help import help_rows
from loop.engine import Engine
from loop.screen.operator.hint import hint
from loop.screen.operator.indicator import recording_indicator
from loop.screen.operator.lists import OperatorLists, operator_lists
from loop.screen.overlay import Mark, OverlayState, Rows, layout
from loop.statistics import Statistics
from loop.timing.clock import Clock
from world.event import Dial, Prompt, Scene
from world.info import WorldInfo

TOAST_S = 2.5
ERROR_S = 15.0
DIAL_TOAST_S = 1.0
WELCOME_S = 8.0
WORDS_WIDTH = 80  # characters of a line in the list of words
WELCOME = "Enter: say what comes next · H: all keys"
BLINK_S = 0.53


def dial_text(dial: Dial) -> str:
    """The name and value of a dial, for people."""
    if dial.name == "guard":
        return f"strobe guard {'on' if dial.value >= 0.5 else 'off'}"
    return f"{dial.name.replace('_', ' ')} {round(dial.value, 2):g}"


def word_rows(info: WorldInfo) -> Rows:
    """The words that a world knows, under their headings, and prompts to try; empty if any word may be used."""
    rows: list[tuple[str, str]] = []
    for heading, words in info.word_groups:
        lines = textwrap.wrap(" ".join(words), WORDS_WIDTH)
        rows += [(heading if number == 0 else "", line) for number, line in enumerate(lines)]
    return (*rows, *(("try" if number == 0 else "", example) for number, example in enumerate(info.examples)))


class Panels:
    """The overlay of a window. Owned by the engine, which asks for its `marks` at every tick."""

    def __init__(self, window: Any, clock: Clock) -> None:
        self._window, self._clock = window, clock
        self._hinted = ("", True), ""  # the words last looked up and the hint for them, since that takes a millisecond
        self._errors = (0, 0)  # how many files cannot be written, and when the last of them was noticed (ns)
        self._statistics = Statistics(clock)

    def marks(self, engine: Engine) -> tuple[Mark, ...]:
        """What to draw over the picture of this tick."""
        size, measure = self._window.size, self._window.measure
        has_lists = self._window.has_programme and not self._window.pinning.text  # they would hide two corners
        lists = operator_lists(_lists(engine), size, measure) if has_lists else ()
        return (
            *lists,
            *layout(self.state(engine), size, measure),
            *recording_indicator(_film_s(engine), size, measure),
        )

    def state(self, engine: Engine) -> OverlayState:
        """Everything that is to be told at this tick."""
        self._statistics.note(engine)
        controls, model = engine.controls, engine.model
        info = model.info
        return OverlayState(
            line=controls.keyboard.view(),
            caret_lit=self._clock.now_ns() / 1e9 % (2 * BLINK_S) < BLINK_S,
            status=model.status or self._window.pinning.text or self._past(engine) or self._held(engine),
            has_picture=engine.first_flip_ns is not None,
            toast=self._toast(engine),
            hint=self._trouble(engine) or controls.mapper.message or controls.desk.trouble or self._hint(engine),
            welcome=self._welcome(engine),
            desk=self._desk(engine),
            help=self._help(engine),
            words=word_rows(info) if info and controls.keyboard.lists_words else (),
            can_list_words=bool(info and info.word_groups),
            statistics=self._statistics.rows(engine) if controls.statistics else (),
            blackout=controls.blackout and not self._window.has_programme,
        )

    def _desk(self, engine: Engine) -> str:
        """What the audience asks for, else the beat and what comes next."""
        controls = engine.controls
        asked = controls.audience.text if controls.audience else ""
        return asked or controls.desk.text(self._clock.now_ns())

    def _held(self, engine: Engine) -> str:
        """What the operator holds: a blackout need not be told where it is seen."""
        is_told = engine.controls.blackout and self._window.has_programme
        return "blackout" if is_told else "frozen" if engine.controls.frozen else ""

    def _help(self, engine: Engine) -> Rows:
        """The table of all keys, if it was asked for."""
        controls, info = engine.controls, engine.model.info
        if not controls.help:
            return ()
        of_show = bool(controls.desk.cues), controls.audience is not None
        return help_rows(info.dials if info else {}, info.vocabulary if info else (), *of_show)

    def _toast(self, engine: Engine) -> str:
        """The newest event or command, for a moment: until its first pixel there is no other sign of it."""
        newest, at_ns = engine.controls.newest
        told, told_ns = engine.peers.newest if engine.peers else ("", 0)
        if told and told_ns > at_ns and self._clock.now_ns() - told_ns < TOAST_S * 1e9:
            return told
        seconds = DIAL_TOAST_S if isinstance(newest, tuple) else TOAST_S
        if self._clock.now_ns() - at_ns > seconds * 1e9:
            return ""
        if newest is Command.SWITCH:
            return f"switch: {engine.model.mode}"
        if newest in PAST_COMMANDS:
            return engine.past.told
        if newest is Command.PIN and not self._window.pinning.is_possible:
            return "to pin corners, start with --programme N or --projector FILE"
        if newest is Command.FIT:
            return f"picture: {self._window.fit}"
        if isinstance(newest, tuple):
            return " · ".join(map(dial_text, newest))
        return newest.text if isinstance(newest, Prompt | Scene) else ""

    def _past(self, engine: Engine) -> str:
        """How far back somebody is, while they are."""
        info = engine.model.info
        return engine.past.status(info.fps, info.block_frames) if info else ""

    def _welcome(self, engine: Engine) -> str:
        """Which keys to begin with, for the first seconds, until somebody has pressed one."""
        first_ns = engine.first_flip_ns
        is_new = first_ns is not None and self._clock.now_ns() - first_ns < WELCOME_S * 1e9
        return WELCOME if is_new and not engine.controls.has_pressed else ""

    def _hint(self, engine: Engine) -> str:
        """A remark on the words being typed or just submitted: which of them do not count."""
        line, info = engine.controls.keyboard.view(), engine.model.info
        if info is None:
            return ""
        words = self._submitted(engine) if line is None else line.text.rpartition(" ")[0]  # its last word is unfinished
        if (words, line is None) != self._hinted[0]:
            self._hinted = (words, line is None), hint(words, info, is_finished=line is None)
        return self._hinted[1]

    def _trouble(self, engine: Engine) -> str:
        """Which file cannot be written any more and why, for some seconds after that was seen."""
        errors = engine.out.troubles
        if len(errors) > self._errors[0]:
            self._errors = len(errors), self._clock.now_ns()
        return errors[-1] if errors and self._clock.now_ns() - self._errors[1] < ERROR_S * 1e9 else ""

    def _submitted(self, engine: Engine) -> str:
        """The words submitted a moment ago, or at the very beginning those that the show began with."""
        newest = engine.controls.newest[0]
        if isinstance(newest, Prompt | Scene):
            return self._toast(engine)
        return engine.model.words or "" if newest is None and self._welcome(engine) else ""


def _lists(engine: Engine) -> OperatorLists:
    """The cues, and what became of the newest events."""
    desk = engine.controls.desk
    names = [cue.name for cue in desk.cues]
    return OperatorLists(names, desk.playing, desk.next_cue, desk.next_by_hand, engine.out.receipts.rows())


def _film_s(engine: Engine) -> float | None:
    """The length of the film that is being recorded, for the sign that it is; None: no sign."""
    recordings = engine.out.recordings
    return recordings.seconds if recordings and not engine.controls.blackout else None
