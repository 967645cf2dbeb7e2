"""Open Sound Control: messages over UDP become actions; receipts and the beat go to those who subscribe."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, Full, Queue
from socketserver import BaseRequestHandler, UDPServer
from typing import Any

from input.action import Action, Command, FireCue, SetState, StagePrompt
from input.cues import QUANTISE
from input.osc_events import EVENTS_TOLD, SenderEvents
from world.event import Dial, Prompt, Scene

log = logging.getLogger(__name__)
ROOT = "/neverblink"
MOST_WAITING = 2000  # messages between two ticks; what is more is dropped and counted
MOST_SUBSCRIBERS = 16
Peer = tuple[str, int]
Argument = str | int | float  # what a message may carry

ADDRESSES = (  # address below ROOT, its arguments, what it does
    ("/prompt", "s", "go on under these words"),
    ("/scene", "s", "a hard cut to a new scene"),
    ("/stage", "s", "keep these words for /next"),
    ("/dial/NAME", "f", "set the dial of this name"),
    ("/cue", "i", "fire this cue, counted from 1"),
    ("/arm", "i", "make this cue the next"),
    ("/next", "", "fire what comes next"),
    ("/previous", "", "fire the cue before"),
    ("/cancel", "", "take back what waits for a beat"),
    ("/blackout", "i", "1: black, 0: the picture"),
    ("/freeze", "i", "1: the picture stands, 0: it goes on"),
    ("/tap", "", "a beat is now"),
    ("/resync", "", "the first beat of the first bar is now"),
    ("/bpm", "f", "run the beat at this tempo"),
    ("/quantise", "s", f"what words wait for: {', '.join(QUANTISE)}"),
    ("/transition", "i", "blocks that words take"),
    ("/subscribe", "", "send me what follows below; give a port (i) if it goes to another one"),
    ("/unsubscribe", "", "send me nothing any more"),
)
TOLD = (  # the same, of what subscribers are sent
    ("/receipt", "s", "a message to this address came"),
    ("/refused", "ss", "a message to this address was wrong, and why"),
    ("/beat", "if", "beat i, at this tempo"),
    *EVENTS_TOLD,
)
_COMMANDS = {
    "/next": Command.NEXT,
    "/previous": Command.PREVIOUS,
    "/cancel": Command.CANCEL,
    "/tap": Command.TAP,
    "/resync": Command.RESYNC,
}
_STATES = {"/blackout": "i", "/freeze": "i", "/bpm": "f", "/quantise": "s", "/transition": "i"}


class OscError(ValueError):
    """OSC cannot be received as asked; the message is one line for the user."""


class OscServer:
    """Receives OSC on a thread of its own. A source of actions; owned by the instruments.

    host, port: where it listens; port 0 lets the system choose one. Raises OscError if python-osc is missing or the
    address cannot be had. dropped: messages that came faster than they were taken.
    """

    name = "osc"

    def __init__(self, host: str, port: int) -> None:
        try:
            from pythonosc.osc_message_builder import OscMessageBuilder
            from pythonosc.osc_packet import OscPacket
        except ImportError:
            raise OscError("OSC needs python-osc: pip install 'neverblink[osc]'") from None
        # python-osc tells each piece of garbage to the root logger, and so to the terminal of the show
        logging.getLogger().addFilter(_is_ours)
        self._parse, self._builder = OscPacket, OscMessageBuilder
        self._received: Queue[tuple[str, list[Any], Peer, int]] = Queue(MOST_WAITING)
        self._subscribers: dict[Peer, Peer] = {}  # who asked, and where to send
        self.events = SenderEvents(self._tell_sender)
        self.dropped = 0
        self._newest_beat: int | None = None
        server = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                server._take(self.request[0], self.client_address)

        try:
            self._server = UDPServer((host, port), Handler)
        except OSError as error:
            raise OscError(f"OSC cannot listen on {host}:{port}: {error.strerror or error}") from None
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="osc", daemon=True).start()

    def poll(self, now_ns: int) -> list[tuple[Action, int]]:
        """What was asked for since the last call, each with the time at which it was received."""
        found: list[tuple[Action, int]] = []
        while True:
            try:
                address, arguments, peer, t_ns = self._received.get_nowait()
            except Empty:
                return found
            try:
                action = self._action(address, arguments, peer)
            except ValueError as error:
                log.debug("osc: %s", error)
                self.tell("/refused", address, str(error))
                continue
            self.tell("/receipt", address)
            if action is not None:
                self.events.asked(t_ns, peer, address)
                found.append((action, t_ns))

    def tell_beat(self, position: float, bpm: float) -> None:
        """Tell subscribers each new beat: its number from beat 0 (i), and the tempo (f)."""
        beat = int(position // 1)
        if beat != self._newest_beat:
            self._newest_beat = beat
            self.tell("/beat", beat, float(bpm))

    def tell(self, address: str, *arguments: Argument) -> None:
        """Send a message to every subscriber."""
        self._send(list(self._subscribers.values()), address, arguments)

    def _tell_sender(self, who: Peer, address: str, *arguments: Argument) -> None:
        """Send a message to who sent another, if it has subscribed: from the same port, or else from the same host."""
        same_host = [place for (host, _), place in self._subscribers.items() if host == who[0]]
        self._send([self._subscribers[who]] if who in self._subscribers else same_host, address, arguments)

    def _send(self, places: Sequence[Peer], address: str, arguments: Sequence[Argument]) -> None:
        if not places:
            return
        builder = self._builder(address=ROOT + address)
        for argument in arguments:
            builder.add_arg(argument)
        message = builder.build().dgram
        for place in places:
            with suppress(OSError):  # a subscriber that has gone is its own trouble
                self._server.socket.sendto(message, place)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, datagram: bytes, peer: Peer) -> None:
        """Keep the messages of a datagram for the next poll; what is no OSC is ignored, and times in it are too."""
        t_ns = time.perf_counter_ns()
        try:
            messages = [timed.message for timed in self._parse(datagram).messages]
        except Exception as error:  # the parser raises more than its own errors for garbage; the show must not notice
            log.debug("osc: garbage from %s:%s: %s", *peer, error)
            return
        for number, message in enumerate(messages):  # a nanosecond apart, so that each has a time of its own
            try:
                self._received.put_nowait((message.address, list(message.params), peer, t_ns + number))
            except Full:
                self.dropped += 1

    def _action(self, address: str, arguments: Sequence[Any], peer: Peer) -> Action | None:
        """What a message asks for; None if it concerns only this server. Raises ValueError for what is wrong in it."""
        below = address.removeprefix(ROOT)
        if below == address:
            raise ValueError(f"unknown address: expected {ROOT}/...")
        if below in _COMMANDS:
            is_released = list(arguments) in ([0], [False])  # a button of a control surface sends 1 and then 0
            return None if is_released else _COMMANDS[below]
        if below == "/subscribe":
            self._subscribe(peer, arguments)
            return None
        if below == "/unsubscribe":
            self._subscribers.pop(peer, None)
            return None
        if below.startswith("/dial/"):
            return Dial(below.removeprefix("/dial/"), float(_argument(arguments, "f")))
        if below in _STATES:
            return SetState(below[1:], _argument(arguments, _STATES[below]))
        return _words_or_cue(below, arguments)

    def _subscribe(self, peer: Peer, arguments: Sequence[Any]) -> None:
        port = _argument(arguments, "i") if arguments else peer[1]
        if not 0 < port < 65536:
            raise ValueError(f"port {port}: expected 1 to 65535")
        if peer not in self._subscribers and len(self._subscribers) >= MOST_SUBSCRIBERS:
            raise ValueError(f"{MOST_SUBSCRIBERS} have subscribed already")
        self._subscribers[peer] = peer[0], port


def _is_ours(record: logging.LogRecord) -> bool:
    return not record.module.startswith("osc_")


def _words_or_cue(below: str, arguments: Sequence[Any]) -> Action:
    if below == "/prompt":
        return Prompt(_argument(arguments, "s"))
    if below == "/scene":
        return Scene(_argument(arguments, "s"))
    if below == "/stage":
        return StagePrompt(Prompt(_argument(arguments, "s")).text)
    if below in ("/cue", "/arm"):
        return FireCue(_argument(arguments, "i") - 1, only_arm=below == "/arm")
    raise ValueError(f"unknown address: expected one of {', '.join(ROOT + address for address, _, _ in ADDRESSES)}")


def _argument(arguments: Sequence[Any], kind: str) -> Any:
    """The one argument of a message: text (s), a whole number (i) or a number (f); true and false count as 1 and 0."""
    names = {"s": "text", "i": "a whole number", "f": "a number"}
    if len(arguments) != 1:
        raise ValueError(f"got {len(arguments)} arguments: expected {names[kind]}")
    value = int(arguments[0]) if isinstance(arguments[0], bool) else arguments[0]
    if kind == "i" and isinstance(value, float) and value.is_integer():
        value = int(value)  # many controllers send nothing but floats
    if not isinstance(value, {"s": str, "i": int, "f": (int, float)}[kind]):  # type: ignore[arg-type]
        raise ValueError(f"got {value!r}: expected {names[kind]}")
    return value
