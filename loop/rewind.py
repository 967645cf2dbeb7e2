"""The stored past, live: step and scrub, take another turn, and bookmarks, to go back to or to bring back as memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from input.action import PAST_COMMANDS, RECALLS, RETURNS, SETS, Command
from loop.link.kept import Kept
from loop.link.ring import FrameMark
from loop.output.outputs import Outputs
from loop.supervise.past import ShowPast
from loop.timing.playback import Playback
from world.event import Event, Recall, Rewind, Scene
from world.info import WorldInfo

HELD_NS = 350_000_000  # a key that is down for longer scrubs on until it is released
GRACE_NS = 400_000_000  # after the last short press, before the world goes on: another press steps on
AHEAD = 2  # blocks that are asked for before they are shown


@runtime_checkable
class Rewindable(Protocol):
    """What a model offers besides if it can go back. words: the newest that were asked for."""

    past: ShowPast
    words: str | None
    info: WorldInfo | None

    def rest(self) -> None:
        """Make no blocks until `go_back`; nothing that was made and not shown is shown any more."""

    def draw(self, index: int) -> None:
        """Draw a stored block again, its frames last to first."""

    def go_back(self, number: int, event: Rewind, words: str | None = None) -> tuple[int, ...]:
        """Go on from the event's block, under other words if given; the events that these words leave unseen."""


class TimeMachine:
    """Owned by the engine.

    submit(event, source, pump_ns): submits an event of its own. is_on: somebody is in the past, and the model rests.
    is_waiting: the model has been sent back, and its first frame has not come yet.
    """

    def __init__(
        self,
        model: object,
        out: Outputs,
        submit: Callable[[Event, str, int], None],
        bookmarks: Mapping[str, int] | None = None,
    ) -> None:
        self._model = model if isinstance(model, Rewindable) else None
        self._out, self._submit = out, submit
        self.is_on = self.is_waiting = False
        self.bookmarks: dict[str, int] = dict(bookmarks or {})
        self.told = ""  # what was done last, for the operator
        self._from = self._shown_first = -1  # the block and the frame that were on the screen
        self._next: int | None = None  # the block to ask for next; None: there is none before
        self._asked: deque[int] = deque()  # blocks that were asked for and are not shown to their first frame
        self._here = -1  # the block that the world goes on from when the key is released
        self._steps = 0  # blocks that short presses still ask for
        self._is_down, self._pressed_ns, self._released_ns = False, 0, 0

    @property
    def is_held(self) -> bool:
        """Whether nothing new is due: somebody is in the past, or the first frame after it has not come yet."""
        return self.is_on or self.is_waiting

    def obey(self, command: Command, at_ns: int, playback: Playback | None) -> None:
        """Do what a key (one of PAST_COMMANDS) asks of the past."""
        assert command in PAST_COMMANDS
        if self._model is None:
            self.told = "only the machine that makes the blocks can go back"
            return
        if playback is None or playback.pacer.shown is None:
            return
        shown = playback.pacer.shown
        if not self.is_on and not self._model.past.knows(shown.block):
            self.told = "nothing is stored of this block"  # its model died before it could hand it over
        elif command is Command.REWIND:
            self._press(self._model, playback, shown, at_ns)
        elif command is Command.REWIND_ENDED:
            self._is_down, self._released_ns = False, at_ns
        elif self.is_on or self.is_waiting:
            self.told = "on the way back"
        elif command is Command.ANOTHER_TURN:
            self._take_another_turn(self._model, playback, shown.block, at_ns)
        elif command in SETS:
            self._set(SETS[command], shown.block)
        elif command in RECALLS:
            self._recall(self._model, RECALLS[command], at_ns)
        else:
            self._return_to(self._model, playback, RETURNS[command], at_ns)

    def admit(self, mark: FrameMark) -> bool:
        """Whether a frame that has come is to be shown: of the block that was on the screen, what lies before."""
        self.is_waiting = False if not self.is_on else self.is_waiting
        return not self.is_on or mark.block != self._from or mark.number < self._shown_first

    def tick(self, playback: Playback, now_ns: int) -> None:
        """Note what was shown, ask for what comes next, and go on once the key is released."""
        if not self.is_on or self._model is None:
            return
        self._note_shown(self._model, playback)
        is_scrubbing = self._is_down and now_ns - self._pressed_ns > HELD_NS
        self._steps = 0 if self._next is None else self._steps
        while self._next is not None and len(self._asked) < AHEAD and (is_scrubbing or self._steps > 0):
            self._ask(self._model, self._next)
        was_held = not self._is_down and self._released_ns - self._pressed_ns > HELD_NS
        is_done = not self._asked and not self._steps and now_ns - self._pressed_ns > GRACE_NS
        if not self._is_down and (was_held or is_done):
            self._go(self._model, playback, self._here, None, self._released_ns if was_held else now_ns)

    def model_died(self, playback: Playback | None, now_ns: int) -> None:
        """There is nobody left to draw the past: go on from where it was."""
        if self.is_on and self._model and playback:
            self._go(self._model, playback, self._here, None, now_ns)

    def status(self, fps: float, block_frames: int) -> str:
        """One line for the operator while somebody is in the past."""
        if not self.is_on or self._model is None:
            return ""
        back_s = self._model.past.blocks_between(self._here, self._from) * block_frames / fps
        return f"{back_s:.1f} s back"

    def _press(self, model: Rewindable, playback: Playback, shown: FrameMark, at_ns: int) -> None:
        """Step back a block more; the first time, let the model rest."""
        self.told = ""
        if not self.is_on:
            if not model.past.can_go_on_from(model.past.parent(shown.block)):
                self.told = "nothing is stored before this"
                return
            self.is_on, self.is_waiting = True, False
            self._from, self._shown_first = shown.block, shown.number
            self._next, self._here = shown.block, model.past.parent(shown.block)
            self._steps = 1  # the rest of the block on the screen; the press asks for the one before
            self._asked.clear()
            model.rest()
            self._out.went_back(self._here)
            playback.pacer.drop_after(Kept(-1))
        self._steps += 1
        self._is_down, self._pressed_ns = True, at_ns

    def _ask(self, model: Rewindable, block: int) -> None:
        model.draw(block)
        self._asked.append(block)
        self._steps = max(0, self._steps - 1)
        parent = model.past.parent(block)
        self._next = parent if model.past.can_go_on_from(model.past.parent(parent)) else None

    def _note_shown(self, model: Rewindable, playback: Playback) -> None:
        """Which of the asked blocks is on the screen, and from where the world would go on."""
        shown = playback.pacer.shown
        if shown is None or shown.block not in self._asked:
            return
        while self._asked[0] != shown.block:
            self._asked.popleft()
        self._here = model.past.parent(shown.block)
        if shown.number == shown.block * playback.block_frames:
            self._asked.popleft()

    def _take_another_turn(self, model: Rewindable, playback: Playback, block: int, at_ns: int) -> None:
        """Let the present words begin once more, to go another way."""
        first = model.past.first_under(block)
        to = model.past.parent(first)
        if model.past.starts_scene(first) or not model.past.can_go_on_from(to):
            self._submit(Scene(model.words or model.past.words(block)), "keys", at_ns)
        else:
            self._go(model, playback, to, None, at_ns)
        self.told = "another turn"

    def _set(self, name: str, block: int) -> None:
        self.bookmarks[name] = block
        self._out.bookmark(name, block)
        self.told = f"{name} is here"

    def _return_to(self, model: Rewindable, playback: Playback, name: str, at_ns: int) -> None:
        """Go on from a bookmark, under its words."""
        block = self._block_of(model, name)
        if block is not None:
            self._go(model, playback, block, model.past.words(block), at_ns)
            self.told = f"back to {name}"

    def _recall(self, model: Rewindable, name: str, at_ns: int) -> None:
        """Let a bookmark's place come back into what is on the screen, under its words."""
        block = self._block_of(model, name)
        if block is not None and model.info is not None:
            blocks = model.past.recalled(block, model.info.sink_blocks)
            self._submit(Recall(blocks, model.past.words(block)), "keys", at_ns)
            self.told = f"{name} comes back into the picture"

    def _block_of(self, model: Rewindable, name: str) -> int | None:
        """The block of a bookmark; None, and the operator is told why, where it is not set or not stored any more."""
        block = self.bookmarks.get(name)
        if block is not None and model.past.can_go_on_from(block):
            return block
        self.told = f"{name} is not set: Shift+{name} sets it" if block is None else f"{name} is too long ago"
        return None

    def _go(self, model: Rewindable, playback: Playback, block: int, words: str | None, pump_ns: int) -> None:
        """Let the world go on from `block`."""
        event = Rewind(block)
        number = self._out.submitted(event, "keys", pump_ns)
        self._out.ledger.lost(model.go_back(number, event, words), "the world went back")
        self._out.went_back(block)
        playback.pacer.drop_after(Kept(-1))
        self.is_on, self.is_waiting, self._is_down, self._steps = False, True, False, 0
