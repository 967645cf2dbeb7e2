"""MIDI: notes, controllers and the clock of every matching port, which may vanish and come back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, Full, Queue
from typing import Any

from input.action import ControlMoved

log = logging.getLogger(__name__)
MOST_WAITING = 4000
LOOK_S = 1.0  # between two looks at which ports there are
_OWN = "neverblink"
_APIS = ("LINUX_ALSA", "UNIX_JACK", "MACOSX_CORE", "WINDOWS_MM")

Heard = ControlMoved | str | tuple[str, float]  # a move; "clock", "start", "continue", "stop"; ("song", beats)


class MidiError(ValueError):
    """MIDI cannot be received; the message is one line for the user."""


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


class MidiPorts:
    """Listens to the input ports whose name contains `wanted`, or to all of them (auto). Owned by the instruments.

    Raises MidiError if a library is missing, or there is no MIDI system to ask. connected: the names of its ports.
    dropped: messages that came faster than they were taken. `backend` is mido, or what behaves like it.
    """

    name = "midi"

    def __init__(self, wanted: str, backend: Any = None) -> None:
        self._wanted = "" if wanted == "auto" else wanted.lower()
        systems = [lambda: backend] if backend else _systems()
        self._received: Queue[tuple[Heard, int]] = Queue(MOST_WAITING)
        self._ports: dict[str, Any] = {}
        self.dropped = 0
        self._has_ended = threading.Event()
        self._backend = self._first_that_answers(systems)
        threading.Thread(target=self._watch, name="midi ports", daemon=True).start()

    @property
    def connected(self) -> list[str]:
        return list(self._ports)

    def poll(self, now_ns: int) -> list[tuple[Heard, int]]:
        """What was heard since the last call, each with the time at which it came."""
        found: list[tuple[Heard, int]] = []
        while True:
            try:
                found.append(self._received.get_nowait())
            except Empty:
                return found

    def look(self) -> None:
        """Open the matching ports that are new, and close those that have gone."""
        names = set(self._backend.get_input_names())
        for name in [name for name in self._ports if name not in names]:
            self._ports.pop(name).close()
            log.warning("MIDI port %s has gone", name)
        for name in sorted(names - set(self._ports)):
            if self._wanted in name.lower() and _OWN not in name.lower():
                self._ports[name] = self._backend.open_input(name, callback=self._listener())
                log.info("MIDI port %s", name)

    def _first_that_answers(self, systems: Sequence[Callable[[], Any]]) -> Any:
        """The first system that has MIDI, with its ports opened; raises MidiError."""
        reason = ""
        for open_system in systems:
            try:
                self._backend = open_system()
                self.look()
                return self._backend
            except Exception as error:  # rtmidi has errors of its own for a system without MIDI
                reason = reason or str(error)
        raise MidiError(f"there is no MIDI system here: {reason}")

    def close(self) -> None:
        """Close every port."""
        self._has_ended.set()
        for port in self._ports.values():
            port.close()

    def _listener(self) -> Callable[[Any], None]:
        decoder = MidiDecoder()

        def listen(message: Any) -> None:
            t_ns = time.perf_counter_ns()
            for heard in decoder.decode(message):
                try:
                    self._received.put_nowait((heard, t_ns))
                except Full:
                    self.dropped += 1

        return listen

    def _watch(self) -> None:
        while not self._has_ended.wait(LOOK_S):
            try:
                self.look()
            except Exception as error:  # a port that goes while it is opened; the next look sees what is left
                log.debug("midi: %s", error)


class RtMidi:
    """The ports of one MIDI system.

    mido would make a new client for each look at the names; under JACK that takes 0.3 s and holds up the whole process
    for 0.1 s of it. One client that stays answers in 0.02 ms.
    """

    def __init__(self, api: str) -> None:
        import mido
        import rtmidi

        self._client = rtmidi.MidiIn(getattr(rtmidi, f"API_{api}"), name=f"{_OWN} look")
        self._backend = mido.Backend(f"mido.backends.rtmidi/{api}")

    def get_input_names(self) -> list[str]:
        names: list[str] = self._client.get_ports()
        return names

    def open_input(self, name: str, callback: Callable[[Any], None]) -> Any:
        return self._backend.open_input(name, callback=callback)


def _systems() -> list[Callable[[], RtMidi]]:
    """How to open each MIDI system that the library knows, the system's own first; raises MidiError without it."""
    try:
        import mido  # noqa: F401
        import rtmidi
    except ImportError:
        raise MidiError("MIDI needs mido and python-rtmidi: pip install 'neverblink[midi]'") from None
    known = {number: name for name in _APIS if (number := getattr(rtmidi, f"API_{name}", None)) is not None}
    return [partial(RtMidi, known[number]) for number in rtmidi.get_compiled_api() if number in known]
