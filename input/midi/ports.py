"""MIDI ports that are listened to, and those whose lamps are lit; each may vanish and come back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, Full, Queue
from typing import Any

from input.midi.decoder import Heard, MidiDecoder
from input.midi.lamps import Lamps

log = logging.getLogger(__name__)
MOST_WAITING = 4000
LOOK_S = 1.0  # between two looks at which ports there are
_OWN = "neverblink"
_ECHO = "midi through"  # what is sent to it comes back as if a hand had played it
_APIS = ("LINUX_ALSA", "UNIX_JACK", "MACOSX_CORE", "WINDOWS_MM")


class MidiError(ValueError):
    """MIDI cannot be received; the message is one line for the user."""


class MidiPorts:
    """Listens to the input ports whose name contains `wanted`, or to all of them (auto). Owned by the instruments.

    Raises MidiError if a library is missing, or there is no MIDI system to ask. connected: the names of its ports.
    dropped: messages that came faster than they were taken. has_lamps: open the outputs of that name too; with auto
    those which are also inputs, as controllers are and instruments that would sound are not. `backend` is an
    RtMidi, or what behaves like one.
    """

    name = "midi"

    def __init__(self, wanted: str, backend: Any = None, has_lamps: bool = False) -> None:
        self._wanted = "" if wanted == "auto" else wanted.lower()
        self._has_lamps = has_lamps
        systems = [lambda: backend] if backend else _systems()
        self._received: Queue[tuple[Heard, int]] = Queue(MOST_WAITING)
        self._ports: dict[str, Any] = {}
        self._outputs: dict[str, Lamps] = {}
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

    def light(self, values: Mapping[str, int]) -> None:
        """Let the lamps of every controller show these values; a controller that comes back is told all of them."""
        for lamps in list(self._outputs.values()):
            lamps.light(values)

    def look(self) -> None:
        """Open the matching ports that are new, and close those that have gone."""
        names = set(self._backend.get_input_names())
        self._open(self._ports, names, lambda name: self._backend.open_input(name, callback=self._listener()))
        if self._has_lamps:
            outputs = set(self._backend.get_output_names())
            outputs = {name for name in outputs if (self._wanted or name in names) and _ECHO not in name.lower()}
            self._open(self._outputs, outputs, lambda name: self._backend.open_lamps(name))

    def _open(self, ports: dict[str, Any], names: set[str], open_port: Callable[[str], Any]) -> None:
        """Let `ports` be the open ones among `names`, so far as they are wanted."""
        for name in [name for name in ports if name not in names]:
            ports.pop(name).close()
            log.warning("MIDI port %s has gone", name)
        for name in sorted(names - set(ports)):
            if self._wanted in name.lower() and _OWN not in name.lower():
                ports[name] = open_port(name)
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
        """Put all lamps out, and close every port."""
        self._has_ended.set()
        for port in (*self._ports.values(), *self._outputs.values()):
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

        number = getattr(rtmidi, f"API_{api}")
        self._client = rtmidi.MidiIn(number, name=f"{_OWN} look")
        self._new_output = partial(rtmidi.MidiOut, number, name=f"{_OWN} lamps")  # mido's own would not have our name
        self._outputs = self._new_output()
        self._backend = mido.Backend(f"mido.backends.rtmidi/{api}")

    def get_input_names(self) -> list[str]:
        names: list[str] = self._client.get_ports()
        return names

    def get_output_names(self) -> list[str]:
        names: list[str] = self._outputs.get_ports()
        return names

    def open_input(self, name: str, callback: Callable[[Any], None]) -> Any:
        return self._backend.open_input(name, callback=callback)

    def open_lamps(self, name: str) -> Lamps:
        output = self._new_output()
        output.open_port(output.get_ports().index(name), "lamps")
        return Lamps(output)


def _systems() -> list[Callable[[], RtMidi]]:
    """How to open each MIDI system that the library knows, the system's own first; raises MidiError without it."""
    try:
        import mido  # noqa: F401
        import rtmidi
    except ImportError:
        raise MidiError("MIDI needs mido and python-rtmidi: pip install 'neverblink[midi]'") from None
    known = {number: name for name in _APIS if (number := getattr(rtmidi, f"API_{name}", None)) is not None}
    return [partial(RtMidi, known[number]) for number in rtmidi.get_compiled_api() if number in known]
