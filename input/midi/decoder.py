"""What the messages of a MIDI port mean: moves of controls, and the clock. Pure."""

from __future__ import annotations

from typing import Any

from input.action import ControlMoved

Heard = ControlMoved | str | tuple[str, float]  # a move; "clock", "start", "continue", "stop"; ("song", beats)


class MidiDecoder:
    """Turns the messages of one port into moves of controls. Pure.

    Names: "note:CHANNEL:NUMBER", "cc:CHANNEL:NUMBER", "cc14:CHANNEL:NUMBER" (the pair of NUMBER and NUMBER + 32, once
    the fine half comes), "nrpn:CHANNEL:NUMBER", "pitch:CHANNEL", "program:CHANNEL:NUMBER". Channels count from 1.
    """

    def __init__(self) -> None:
        self._coarse: dict[tuple[int, int], int] = {}
        self._parameter: dict[int, list[int]] = {}  # channel -> coarse and fine half of an NRPN's number
        self._data: dict[int, int] = {}

    def decode(self, message: Any) -> list[Heard]:
        """What a mido message says; nothing for a message that means nothing here."""
        kind = message.type
        if kind in ("clock", "start", "continue", "stop"):
            return [kind]
        if kind == "songpos":
            return [("song", message.pos / 4)]
        channel = getattr(message, "channel", 0) + 1
        if kind in ("note_on", "note_off"):
            velocity = message.velocity if kind == "note_on" else 0
            return [ControlMoved(f"note:{channel}:{message.note}", float(velocity > 0))]
        if kind == "pitchwheel":
            return [ControlMoved(f"pitch:{channel}", (message.pitch + 8192) / 16383)]
        if kind == "program_change":
            name = f"program:{channel}:{message.program}"
            return [ControlMoved(name, 1.0), ControlMoved(name, 0.0)]
        return self._controller(channel, message.control, message.value) if kind == "control_change" else []

    def _controller(self, channel: int, number: int, value: int) -> list[Heard]:
        if number in (98, 99):
            self._parameter.setdefault(channel, [0, 0])[99 - number] = value
            return []
        if number in (6, 38) and channel in self._parameter:
            return self._nrpn(channel, number, value)
        step = (value if value < 64 else value - 128) / 127
        found: list[Heard] = [ControlMoved(f"cc:{channel}:{number}", value / 127, step)]
        if number < 32:
            self._coarse[channel, number] = value
        elif number < 64 and (channel, number - 32) in self._coarse:
            fine = self._coarse[channel, number - 32] * 128 + value
            found.append(ControlMoved(f"cc14:{channel}:{number - 32}", fine / 16383))
        return found

    def _nrpn(self, channel: int, number: int, value: int) -> list[Heard]:
        """Data for the NRPN that was chosen: its coarse half moves it, and the fine half, if one comes, once more."""
        coarse, fine = (value, 0) if number == 6 else (self._data.get(channel, 0), value)
        self._data[channel] = coarse
        high, low = self._parameter[channel]
        position = coarse / 127 if number == 6 else (coarse * 128 + fine) / 16383
        return [ControlMoved(f"nrpn:{channel}:{high * 128 + low}", position)]
