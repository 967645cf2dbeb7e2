"""What controls do: the mapping in force, how knobs pick their dials up, and learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from input.action import Action, Command, ControlMoved, FireCue
from input.mapping import ACTIONS, MappingFile, Target, read_mapping, write_mapping
from world.event import Dial
from world.info import DialRange

NEAR = 0.02  # of the way: a knob so near to its dial has picked it up
_COMMANDS = {name: Command(name) for name in ACTIONS}


class Mapper:
    """Turns the moves of controls into actions. Owned by the show's controls. Raises MappingError for a wrong file.

    path: the mapping file; None: nothing is mapped, and what is learnt lasts for the show. is_learning: the next key
    says what the next control will do. waves: the dials that follow the beat. lights: what the lamps of controllers
    show. message: the newest thing to tell the operator.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        mapping = read_mapping(path) if path else MappingFile()
        self._targets = {target.control: target for target in mapping.targets}
        self.waves, self.lights = mapping.waves, mapping.lights
        self._last: dict[str, float] = {}  # control -> its last position
        self._has_picked_up: set[str] = set()
        self._asked: Target | None = None  # what the next control is to do
        self.is_learning = False
        self.message = ""

    def learn(self) -> None:
        """Begin to learn, or give it up."""
        self.is_learning, self._asked = not self.is_learning, None
        self.message = "learn: press the key whose work a control shall do" if self.is_learning else ""

    def ask(self, actions: Sequence[Action]) -> bool:
        """The actions of a key: taken as what the next control shall do while that is asked; whether they were."""
        if not self.is_learning:
            return False
        target = next(filter(None, map(_target_of, actions)), None)
        if target is None:
            return False
        self._asked = target
        self.message = f"learn: now move the control for {_work_of(target)}"
        return True

    def moved(self, move: ControlMoved, dials: Mapping[str, DialRange], values: Mapping[str, float]) -> list[Action]:
        """The actions of a control that moved. dials, values: the ranges of all dials, and where they are."""
        if self._asked:
            self._learnt(replace(self._asked, control=move.control))
        last, self._last[move.control] = self._last.get(move.control), move.value
        target = self._targets.get(move.control)
        if target is None:
            return []
        if target.dial:
            return self._turned(target, move, last, dials, values)
        is_press = move.value >= 0.5 and (last is None or last < 0.5)
        if not is_press:
            return []
        if target.action:
            return [_COMMANDS[target.action]]
        return [FireCue((target.cue or target.arm) - 1, only_arm=bool(target.arm))]

    def has(self, control: str) -> bool:
        """Whether anything is mapped to this control, or is to be with its next move."""
        return control in self._targets

    def _turned(
        self,
        target: Target,
        move: ControlMoved,
        last: float | None,
        dials: Mapping[str, DialRange],
        values: Mapping[str, float],
    ) -> list[Action]:
        limits = dials.get(target.dial)
        if limits is None:
            return []
        low = limits.low if target.low is None else target.low
        high = limits.high if target.high is None else target.high
        if low == high:
            return []
        here = (values.get(target.dial, limits.rest) - low) / (high - low)
        if target.mode == "relative":
            share = min(max(here + move.step, 0.0), 1.0)
        elif target.mode == "absolute" or move.control.startswith("audio:") or self._picks_up(move, last, here):
            share = move.value
        else:
            return []
        return [Dial(target.dial, round(low + share * (high - low), 6))]

    def _picks_up(self, move: ControlMoved, last: float | None, here: float) -> bool:
        """Whether a knob moves its dial: once it came past the dial's value, while nothing else moves the dial."""
        where = move.value if last is None else last
        if move.control in self._has_picked_up and abs(where - here) <= NEAR:
            return True
        passes = min(where, move.value) - NEAR <= here <= max(where, move.value) + NEAR
        (self._has_picked_up.add if passes else self._has_picked_up.discard)(move.control)
        return passes

    def _learnt(self, target: Target) -> None:
        self._targets[target.control] = target
        self._has_picked_up.discard(target.control)
        self.is_learning, self._asked = False, None
        self.message = f"learnt: {target.control} is {_work_of(target)}"
        if self.path:
            try:
                write_mapping(self.path, MappingFile(tuple(self._targets.values()), self.waves, self.lights))
            except OSError as error:
                self.message += f", but {self.path} cannot be written: {error.strerror}"


def _target_of(action: Action) -> Target | None:
    """What a control would have to do to do what this action does; None if no control can."""
    if isinstance(action, Dial):
        return Target("?", dial=action.name)
    if isinstance(action, FireCue):
        number = action.index + 1
        return Target("?", arm=number) if action.only_arm else Target("?", cue=number)
    if isinstance(action, Command) and action.value in ACTIONS:
        return Target("?", action=action.value)
    return None


def _work_of(target: Target) -> str:
    if target.dial:
        return f"the dial {target.dial}"
    if target.arm:
        return f"making cue {target.arm} the next"
    return f"cue {target.cue}" if target.cue else target.action
