"""Messages that come to the model's process, and the events among them that wait for a block boundary."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import wait
from typing import Any

from loop.link.kept import Kept
from loop.link.message import (
    NOBODY,
    Close,
    DrawStored,
    GoBack,
    Mode,
    Ping,
    Pong,
    Start,
    Submit,
    Taken,
    Transition,
)
from loop.timing.clock import Clock
from loop.timing.costs import Costs
from loop.worker.dial_steps import DialSteps
from loop.worker.encoding import Encoded, Encoding
from loop.worker.sequencer import Numbered, has_words, take
from loop.worker.window_link import WindowLink
from world.block import Session
from world.event import Dial, Event, Prompt, Rewind, Scene, at_boundary, event_of, text_of, words_of
from world.info import SESSION_DIALS
from world.prompt_mix import transition_steps


def submitted(events: Iterable[Numbered]) -> tuple[int, ...]:
    """The numbers of those events that somebody submitted."""
    return tuple(number for number, _ in events if number != NOBODY)


class Inbox:
    """Reads the messages of the window's process. Owned by the model's process.

    mode: the way in which prompts are switched. closed: the process is to end. epoch: how often blocks were dropped.
    waiting: numbered events for the next block boundary, oldest first. is_resting: no block is to be made, until the
    stream goes back. draws: the stored blocks that are to be drawn meanwhile. encoding: of words that take long, once
    there were any.
    """

    def __init__(
        self, link: WindowLink, session: Session, start: Start, dials: DialSteps, costs: Costs, clock: Clock
    ) -> None:
        self.mode, self.epoch = start.mode, start.epoch
        self.closed = False
        self.waiting: list[Numbered] = []
        self.encoding: Encoding | None = None
        self._link, self._session, self._dials, self._costs, self._clock = link, session, dials, costs, clock
        self._transition = start.transition
        self._mixes: deque[Event] = deque()  # of the present transition, those that are not waiting yet
        self._later: list[Submit] = []  # events for blocks that come after the next one
        self._patient: set[int] = set()  # the numbers of waiting events that were meant for the block they get
        self._leaping: set[int] = set()  # the numbers of events whose block is to be begun at once
        self._leapt_to = -1  # the newest block that such an event was taken for
        self._dropping: set[int] = set()  # the numbers of events that something was dropped for
        self._made_up_for = -1  # the newest block that such an event was taken for
        self._next_block = 0
        self.is_resting = False
        self.draws: deque[DrawStored] = deque()
        self._go_back: GoBack | None = None
        self._take_back: Kept | None = None
        self._has_postponed = False

    def open_with(self, submits: Iterable[Submit]) -> None:
        """Let events wait for the first block. Nothing was seen yet, so they are in force at once and in full."""
        for submit in submits:
            if isinstance(submit.event, Rewind):
                self.accept(submit)
                continue
            event = self._completed(submit.event)
            self._session.prepare(event)
            self._dials.begin_at(event)
            self._link.stamp("encoded", self._clock.now_ns(), submitted([(submit.id, event)]))
            self.waiting.append((submit.id, event))

    def receive(self, wait_s: float = 0.0) -> None:
        """Read every message there is, waiting up to `wait_s` for the first.

        The words of a prompt are encoded at once, or, if that is slow, in another thread; the prompt waits for a block
        boundary only after that.
        """
        while not self.closed and self._has_message(wait_s):
            message, wait_s = self._link.pipe.recv(), 0.0
            if isinstance(message, Close):
                self.closed = True
            elif isinstance(message, Mode):
                self.mode = message.mode
            elif isinstance(message, Transition):
                self._transition = message.blocks
            elif isinstance(message, Ping):
                self._link.send(Pong())
            elif isinstance(message, Submit):
                self.accept(message)
            elif isinstance(message, DrawStored):
                self._rest(message)
            elif isinstance(message, GoBack):
                self._go_back, self.epoch = message, message.epoch
                self.is_resting, self._take_back = False, None
                self.draws.clear()

    @property
    def has_scene(self) -> bool:
        """Whether a hard cut waits."""
        return any(isinstance(event, Scene) for _, event in self.waiting)

    @property
    def has_words(self) -> bool:
        """Whether something waits that needs a recache, such as words that differ from those in force."""
        return has_words(self.waiting, self._session.conditions.words)

    def is_urgent(self, block: int) -> bool:
        """Whether something waits that is to be seen as soon as can be, in place of block `block` if that is sooner."""
        hasty = [(number, event) for number, event in self.waiting if number not in self._patient]
        has_scene = any(isinstance(event, Scene) for _, event in hasty)
        leaps = any(number in self._leaping and not self._dials.has_moved(event, block) for number, event in hasty)
        return has_scene or leaps or has_words(hasty, self._session.conditions.words)

    def leaps_to(self, block: int) -> bool:
        """Whether what leaps was taken for block `block`, so that it is shown as soon as it is there."""
        return self._leapt_to >= block

    def hurries(self, block: int) -> bool:
        """Whether block `block`, the next one, is to be begun at once, for something that waits or was taken for it.

        That is what leaps, and what frames were dropped for: how many was reckoned from when it was asked for.
        """
        is_hasty = any(number in self._leaping | self._dropping for number, _ in self.waiting)
        return is_hasty or self.leaps_to(block) or self._made_up_for >= block

    def release(self, block: int) -> None:
        """From now on let events wait that are meant for `block` or an earlier one."""
        self._next_block = block
        due = [submit for submit in self._later if not self._is_early(submit)]
        self._later = [submit for submit in self._later if self._is_early(submit)]
        for submit in due:
            self._let_wait(submit)

    @property
    def has_postponed(self) -> bool:
        """Whether a block was begun although words were waiting."""
        return self._has_postponed

    def postpone(self) -> None:
        """Let the words wait for another block."""
        self._has_postponed = True

    @property
    def has_take_back(self) -> bool:
        """Whether blocks are to be taken back, or the stream is to rest or to go back: a block in flight is in vain."""
        return self._take_back is not None or self.is_resting or self._go_back is not None

    def pop_go_back(self) -> GoBack | None:
        """From where to go on, if the stream is to go back."""
        message, self._go_back = self._go_back, None
        return message

    def begin_again(self, submits: Iterable[Submit], dials: DialSteps) -> None:
        """The stream has gone back: only what is asked for now waits, and the dials are where they were then."""
        self.waiting.clear()
        self._later.clear()
        self._patient.clear()
        self._leaping.clear()
        self._dropping.clear()
        self._leapt_to = self._made_up_for = -1
        self._mixes.clear()
        self._dials = dials
        for submit in submits:
            self.accept(submit)
        self._has_postponed = True  # the first block begins with a recache anyway: the words must not wait for another

    def _rest(self, message: DrawStored) -> None:
        self.is_resting, self.epoch, self._take_back = True, message.epoch, None
        if message.blocks:
            self.draws.append(message)

    def pop_take_back(self) -> Kept | None:
        """Up to where the stream is kept, if what comes after that was dropped since the last call."""
        kept, self._take_back = self._take_back, None
        return kept

    def take(self, block: int) -> tuple[list[Numbered], tuple[int, ...]]:
        """The events to apply to `block`, and the numbers of those that they replace.

        A dial moves by one step for each block; what remains waits for later blocks.
        """
        newest = take(self.waiting)
        held = [(number, event) for number, event in newest if self._dials.has_moved(event, block)]
        applied, remaining = self._dials.move([pair for pair in newest if pair not in held], block)
        kept = {number for number, _ in (*applied, *held)}
        replaced = tuple(number for number in submitted(self.waiting) if number not in kept)
        self.waiting = [*held, *((NOBODY, event) for event in remaining)]
        if any(number in self._leaping for number, _ in applied):
            self._leapt_to = block
        if any(number in self._dropping for number, _ in applied):
            self._made_up_for = block
        self._patient &= {number for number, _ in self.waiting}
        self._leaping -= {*submitted(applied), *replaced}
        self._dropping -= {*submitted(applied), *replaced}
        self._has_postponed = False
        return applied, replaced

    def take_between(self, block: int) -> tuple[list[Numbered], tuple[int, ...]]:
        """The dials that enter `block` between its denoising steps, and the numbers of those that they replace.

        None where something else waits as well, which may give up that block; none that moved for it already.
        """
        if not all(self._may_enter(number, event) for number, event in self.waiting):
            return [], ()
        held = [pair for pair in self.waiting if self._dials.has_moved(pair[1], block)]
        late = [pair for pair in self.waiting if not self._dials.has_moved(pair[1], block)]
        if not late:
            return [], ()
        self.waiting = late
        applied, replaced = self.take(block)
        self.waiting = [*held, *self.waiting]
        return applied, replaced

    def _may_enter(self, number: int, event: Event) -> bool:
        """Whether an event that waits may enter a block in flight: a dial that the model reads at each step."""
        is_read = isinstance(event, Dial) and event.name not in SESSION_DIALS and self._dials.has(event.name)
        return is_read and number not in self._patient

    def advance_transition(self) -> None:
        """After a block was made: let the next mix of a transition wait for the next block, unless other words do."""
        if self._mixes and all(words_of(event) is None for _, event in self.waiting):
            event = self._mixes.popleft()
            self._session.prepare(event)
            self.waiting.append((NOBODY, event))

    def _has_message(self, wait_s: float) -> bool:
        """Whether a message is there, or comes within `wait_s`; the end of an encoding ends the wait as well."""
        if self.encoding is None:
            return self._link.pipe.poll(wait_s)
        sources: list[Any] = [self._link.pipe, self.encoding.ready]
        wait(sources, wait_s)
        for done in self.encoding.finished():
            self._costs.note_encoding(done.t_ns - done.begun_ns)
            for submit in done.submits:
                self._admit(submit, done)
        return self._link.pipe.poll()

    def accept(self, submit: Submit) -> None:
        """Let an event wait for a block boundary, once its words are encoded."""
        if isinstance(submit.event, Rewind):  # who submits it has gone back already: the next block shows it
            self._link.send(
                Taken(self._session.index, submitted([(submit.id, submit.event)]), (), self._clock.now_ns())
            )
            return
        if submit.keep is not None:
            self._take_back = submit.keep.at_most(self._take_back)
            self._dropping.add(submit.id)
            self.epoch = submit.epoch
        if submit.leaps:
            self._leaping.add(submit.id)
        if self._session.slow_words and text_of(submit.event) is not None:
            self.encoding = self.encoding or Encoding(self._session.encode, self._clock)
            self.encoding.begin(submit)
        else:
            self._admit(submit)

    def _admit(self, submit: Submit, done: Encoded | None = None) -> None:
        """Let the event wait for a boundary; words that newer ones replaced before their encoding need no preparing."""
        event = submit.event
        if done is None or submit is done.submits[-1]:
            self._session.prepare(event, done and done.words)
            t_ns = done.t_ns if done else self._clock.now_ns()
            self._link.stamp("encoded", t_ns, submitted([(submit.id, submit.event)]))
            if self._is_early(submit):
                self._later.append(submit)
            else:
                self._let_wait(submit)
        else:
            self.waiting.append((submit.id, event))

    def _is_early(self, submit: Submit) -> bool:
        return submit.block is not None and submit.block > self._next_block

    def _let_wait(self, submit: Submit) -> None:
        """Let an event wait for the next boundary, words as the first step of their transition."""
        event = at_boundary(self._begin_transition(self._completed(submit.event)))
        self._session.prepare(event)
        if submit.block is not None:
            self._patient.add(submit.id)
        self.waiting.append((submit.id, event))

    def _completed(self, event: Event) -> Event:
        """`event` as it follows the newest words that wait, or else those in force (Session.completed)."""
        waiting = (words for _, asked in reversed(self.waiting) if (words := words_of(asked)) is not None)
        return self._session.completed(event, next(waiting, None))

    def _begin_transition(self, event: Event) -> Event:
        """The first mix of a transition to the new words, or `event` itself where there is none."""
        if text_of(event) is None:
            return event
        self._mixes.clear()
        words = self._session.conditions.words
        if not isinstance(event, Prompt) or self._transition == 1 or event.text == words or self.has_scene:
            return event
        *mixes, _ = transition_steps(words, event.text, self._transition)
        self._mixes.extend([*map(event_of, mixes), event])
        return self._mixes.popleft()
