"""The guest's side: finds its host, says who it is, asks for things, and comes back when the connection is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from net.channel import PIECE, Channel
from net.clock import HostClock
from net.key import proof
from net.message import (
    MAX_EVENTS,
    OF_HOSTS,
    Bye,
    Challenge,
    ClockReading,
    Events,
    Hello,
    Welcome,
)
from net.picture import MAX_PAYLOAD, Digest
from net.schema import Message, NetError
from net.transport import ByteStream, Place, place_text
from net.wire import Limits

log = logging.getLogger(__name__)
NS = 1_000_000_000
POLL_NS = 1_000_000
POLL_BYTES = 16 * PIECE  # of a host, which is trusted with more than a guest
RETRY_NS = NS // 4
OPEN_NS = 3 * NS  # for a connection to come about
SILENT_NS = 3 * NS  # a host says several times a second which frame is due
CLOCK_NS, FIRST_CLOCK_NS, FIRST_CLOCKS = NS, NS // 20, 8  # how often the time is asked for, and at first
_FROM_HOST = Limits(OF_HOSTS, payload=MAX_PAYLOAD)


@dataclass(frozen=True)
class Introduction:
    """What a guest says of itself (net.message.Hello), and the key that it knows, if it knows one."""

    identity: bytes
    name: str
    role: str
    follow: str
    world: str = ""
    weights: str = ""
    port: int = 0
    key: bytes | None = None


class Guest:
    """Owned by the show's peers, which poll it at every tick.

    place: the host's. welcome: the host's newest, None while it is not connected. lost_ns: since when it is not, from
    the beginning on. refused: why it is of no use to try again. has_ended: the host has ended the show, it did not die.
    clock: the host's.
    """

    def __init__(
        self,
        connect: Callable[[Place], ByteStream],
        place: Place,
        introduction: Introduction,
        now_ns: Callable[[], int],
    ) -> None:
        self.place = place
        self.introduction = introduction
        self.clock = HostClock()
        self.welcome: Welcome | None = None
        self.lost_ns: int | None = now_ns()
        self.refused = ""
        self.has_ended = False
        self.delay_ns = 0
        self._connect, self._now_ns = connect, now_ns
        self._channel: Channel | None = None
        self._retry_ns = self._clock_ns = 0
        self._readings = 0
        self._asked: dict[int, tuple[dict[str, Any], int]] = {}  # events without an end, and when each left its source

    @property
    def is_joined(self) -> bool:
        """Whether the host has let it in and is connected."""
        return self.welcome is not None

    def introduce(self, introduction: Introduction) -> None:
        """Say this of oneself, with the next connection."""
        self.introduction = introduction

    def move(self, place: Place) -> None:
        """Look for the host at another place from now on."""
        if place != self.place:
            self._drop("another host")
            self.place, self._retry_ns, self.clock = place, 0, HostClock()

    def ask(self, number: int, event: dict[str, Any], pump_ns: int) -> None:
        """Ask the host for an event; it is sent again after a lost connection until `settle` is called for it."""
        self._asked[number] = event, pump_ns
        if self.is_joined:
            self._send_events([number])

    def refuse(self, why: str) -> None:
        """The host is of no use any more."""
        self.refused = why
        self._drop(why)

    def settle(self, number: int) -> None:
        """Event `number` has ended, or is in a block that has come."""
        self._asked.pop(number, None)

    def ask_for_snapshot(self) -> None:
        """Ask where the world is at now, since what is known here does not fit to it."""
        self.send(Digest(-1, ""))

    def send(self, message: Message) -> None:
        """Send a message, if the host is connected."""
        if self._channel and self.is_joined:
            self._channel.send(message)

    def poll(self) -> list[tuple[Message, bytes]]:
        """Go on with the connection; what the host has sent, but for what concerns the connection itself."""
        now_ns = self._now_ns()
        if self.refused:
            return []
        try:
            if self._channel is None:
                self._open(now_ns)
                return []
            found = self._receive(self._channel, now_ns)
            self._ask_time(now_ns)
            self._channel.flush()
            return found
        except ConnectionError as error:
            self._drop(str(error))
        except NetError as error:
            self._drop(f"it does not keep to the protocol: {error}")
        return []

    def close(self) -> None:
        """Take leave."""
        if self._channel:
            self._channel.close(Bye("the guest ends") if self.is_joined else None)
            self._channel = None

    def _open(self, now_ns: int) -> None:
        if now_ns < self._retry_ns:
            return
        self._retry_ns = now_ns + RETRY_NS
        self._channel = Channel(self._connect(self.place), _FROM_HOST, now_ns)

    def _receive(self, channel: Channel, now_ns: int) -> list[tuple[Message, bytes]]:
        found: list[tuple[Message, bytes]] = []
        deadline_ns, bytes_left = now_ns + POLL_NS, POLL_BYTES
        while bytes_left > 0:
            messages = list(channel.receive(now_ns, PIECE))
            for message, payload in messages:
                if not self._answer(channel, message, now_ns):
                    found.append((message, payload))
            bytes_left -= PIECE
            if not messages or self._now_ns() >= deadline_ns:
                break
        patience_ns = SILENT_NS if self.is_joined else OPEN_NS
        if now_ns - channel.heard_ns > patience_ns:
            raise ConnectionError(f"nothing was heard of it for {patience_ns // NS} s")
        return found

    def _answer(self, channel: Channel, message: Message, now_ns: int) -> bool:
        """Act on a message about the connection itself; whether it was one."""
        if isinstance(message, Challenge):
            channel.send(self._hello(message))
        elif isinstance(message, Welcome):
            self._begin(message)
            return False
        elif isinstance(message, ClockReading):
            self.clock.note(message.asked_ns, message.host_ns, now_ns)
        elif isinstance(message, Bye):
            if message.is_final and self.is_joined:
                self.has_ended = True
            elif message.is_final:
                self.refused = message.why
            raise ConnectionError(f"it says {message.why!a}")
        else:
            return False
        return True

    def _hello(self, challenge: Challenge) -> Hello:
        own = self.introduction
        if challenge.needs_key and own.key is None:
            self.refused = "the host asks for a key: give --key FILE"
            raise ConnectionError(self.refused)
        signed = proof(own.key, challenge.nonce, own.identity, own.role) if own.key is not None else b""
        return Hello(own.world, own.weights, own.identity, own.name, own.role, own.follow, signed, own.port)

    def _begin(self, welcome: Welcome) -> None:
        self.welcome, self.lost_ns, self._readings, self._clock_ns = welcome, None, 0, 0
        self.has_ended = False
        log.info("joined the host at %s as guest %d", place_text(self.place), welcome.number)
        self._send_events([number for number in self._asked if number > welcome.received])

    def _send_events(self, numbers: list[int]) -> None:
        now_ns = self._now_ns()
        for first in range(0, len(numbers), MAX_EVENTS):
            asked = [
                {"number": number, "event": event, "age_ns": max(0, now_ns - pump_ns)}
                for number in numbers[first : first + MAX_EVENTS]
                for event, pump_ns in (self._asked[number],)
            ]
            self.send(Events(tuple(asked)))

    def _ask_time(self, now_ns: int) -> None:
        if not self.is_joined or now_ns < self._clock_ns:
            return
        self._readings += 1
        self._clock_ns = now_ns + (FIRST_CLOCK_NS if self._readings < FIRST_CLOCKS else CLOCK_NS)
        self.send(ClockReading(now_ns, 0, min(self.delay_ns, 10**11), min(self.clock.round_trip_ns, 10**11)))

    def _drop(self, why: str) -> None:
        """The connection is lost; it is tried again soon."""
        now_ns = self._now_ns()
        if self._channel:
            self._channel.close()
            self._channel = None
        if self.is_joined:
            log.warning("the host at %s is lost: %s", place_text(self.place), why)
        self.welcome = None
        self.lost_ns = now_ns if self.lost_ns is None else self.lost_ns
        self._retry_ns = max(self._retry_ns, now_ns + RETRY_NS // 2)
        if self.refused:
            log.error("the host at %s refuses this guest: %s", place_text(self.place), self.refused)
