"""What comes to the model's process through its pipe, and waits there for a block boundary."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from loop.link.message import NOBODY, Close, Mode, Stage, Submit
from loop.timing.costs import Costs
from loop.worker.encoding import Encoded, Encoding
from loop.worker.sequencer import Numbered, has_words, slewed, take
from world.block import Session
from world.event import Dial, Event, Prompt, Scene
from world.info import DialRange
from world.prompt_mix import steps

DIAL_STEP = 0.175  # of a dial's range, the most it moves in one block
now_ns = time.perf_counter_ns


def submitted(applied: Iterable[Numbered]) -> tuple[int, ...]:
    """The numbers of those events that somebody submitted."""
    return tuple(number for number, _ in applied if number != NOBODY)


@dataclass
class Inbox:
    """What has come through the pipe and waits for a block boundary. Owned by the model's process.

    take_back: the newest block to keep, where the window's process has dropped later ones; epoch counts those drops.
    passed_over: blocks that began although words were waiting. transition: the blocks over which new words come in;
    coming: their mixes that are still to be waited for. turned: for which block each dial was moved last.
    encoding: of words that take long, once there are any; costs: how long they take.
    """

    pipe: Connection
    mode: str
    transition: int = 1
    coming: deque[str] = field(default_factory=deque)
    dials: dict[str, float] = field(default_factory=dict)
    dial_steps: dict[str, float] = field(default_factory=dict)
    waiting: list[Numbered] = field(default_factory=list)
    turned: dict[str, int] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    encoding: Encoding | None = None
    take_back: int | None = None
    epoch: int = 0
    passed_over: int = 0
    closed: bool = False

    def receive(self, session: Session, wait_s: float = 0.0) -> None:
        """Take in every message there is, waiting at most `wait_s` for the first; encode new words at once.

        Words whose encoding is slow are encoded in another thread, and wait for a boundary from its end on.
        """
        while not self.closed and self._has_message(session, wait_s):
            message, wait_s = self.pipe.recv(), 0.0
            if isinstance(message, Close):
                self.closed = True
            elif isinstance(message, Mode):
                self.mode = message.mode
            elif isinstance(message, Submit):
                self._keep(message, session)

    @property
    def has_scene(self) -> bool:
        """Whether a hard cut waits."""
        return any(isinstance(event, Scene) for _, event in self.waiting)

    def has_words(self, session: Session) -> bool:
        """Whether a recache waits: words that differ from those in force, without a hard cut."""
        return has_words(self.waiting, session.conditions.words)

    def know(self, ranges: Mapping[str, DialRange], values: Mapping[str, float]) -> None:
        """The world's dials, and where they stand if not at rest."""
        self.dials = {name: values.get(name, limits.rest) for name, limits in ranges.items()}
        self.dial_steps = {name: DIAL_STEP * (limits.high - limits.low) for name, limits in ranges.items()}

    def taken(self, block: int) -> tuple[list[Numbered], tuple[int, ...]]:
        """What is applied to `block`, and the numbers of what that replaces.

        Of a dial the rest of its way still waits; and all of it where the dial was moved for this block before.
        """
        waiting, newest = self.waiting, take(self.waiting)
        held = [(number, event) for number, event in newest if self._is_turned(event, block)]
        applied, later = slewed([pair for pair in newest if pair not in held], self.dials, self.dial_steps)
        self.waiting, self.passed_over = [*held, *((NOBODY, event) for event in later)], 0
        for _, event in applied:
            if isinstance(event, Dial):
                self.dials[event.name], self.turned[event.name] = event.value, block
        kept = {number for number, _ in (*applied, *held)}
        return applied, tuple(number for number, _ in waiting if number not in kept and number != NOBODY)

    def advance(self, session: Session) -> None:
        """Let the next mix of a transition wait for its block, after the one before it has been made."""
        if self.coming and not self.has_words(session):
            event = Prompt(self.coming.popleft())
            session.prepare(event)
            self.waiting.append((NOBODY, event))

    def _is_turned(self, event: Event, block: int) -> bool:
        return isinstance(event, Dial) and self.turned.get(event.name) == block

    def _has_message(self, session: Session, wait_s: float) -> bool:
        """Whether the pipe has one, or gets one within `wait_s`; the end of an encoding ends the wait as well."""
        if self.encoding is None:
            return self.pipe.poll(wait_s)
        wait([self.pipe, self.encoding.ready], wait_s)
        for done in self.encoding.finished():
            self.costs.note_encoding(done.t_ns - done.begun_ns)
            for submit in done.submits:
                self._admit(submit, session, done)
        return self.pipe.poll()

    def _keep(self, submit: Submit, session: Session) -> None:
        if submit.keep is not None:
            self.take_back = submit.keep if self.take_back is None else min(self.take_back, submit.keep)
            self.epoch = submit.epoch
        if session.slow_words and isinstance(submit.event, Prompt | Scene):
            self.encoding = self.encoding or Encoding(session.encode)
            self.encoding.begin(submit)
        else:
            self._admit(submit, session)

    def _admit(self, submit: Submit, session: Session, done: Encoded | None = None) -> None:
        """Let the event wait for a boundary; words that gave way to newer ones stay as they are."""
        event = submit.event
        if done is None or submit is done.submits[-1]:
            session.prepare(event, done and done.words)
            event = self._first_step(event, session)
            session.prepare(event)
            self.pipe.send(Stage(submit.id, "encoded", done.t_ns if done else now_ns()))
        self.waiting.append((submit.id, event))

    def _first_step(self, event: Event, session: Session) -> Event:
        """`event`, or where new words come in gradually, the first of their mixes."""
        if not isinstance(event, Prompt | Scene):
            return event
        self.coming.clear()
        if isinstance(event, Scene) or self.transition == 1 or event.text == session.conditions.words:
            return event
        self.coming.extend(steps(session.conditions.words, event.text, self.transition))
        return Prompt(self.coming.popleft())
