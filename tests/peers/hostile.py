"""Everything that a hostile peer could think of, against a real host: one at its door, and one that knows its key.

`python -m tests.peers.hostile 7474 --key FILE --messages 10000`

Prints when each kind of attack began and ended, by the monotonic clock, for the host's trace to be looked at.
"""

from __future__ import annotations

import argparse
import random
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from net.key import proof
from net.message import MAX_EVENTS, Bye, Challenge, ClockReading, CueCall, Events, Hello
from net.picture import Digest, FollowBy
from net.wire import Limits, Reader, to_bytes

PROMPT = {"number": 1, "event": {"type": "prompt", "text": "blue rain"}, "age_ns": 0}
IDENTITY = b"h" * 16
FLOOD_S = 10.0
HELLO = to_bytes(Hello("", "", IDENTITY, "Mallory", "player", "nothing", b""))
SAMPLES = [
    HELLO,
    *map(to_bytes, (Events((PROMPT,)), Digest(3, "ab"), ClockReading(5), FollowBy("video"), CueCall("next"), Bye("x"))),
]


class Attacker:
    """Attacks a port of this machine. key: the host's, with which it is let in as a player; None: the host has none."""

    def __init__(self, port: int, messages: int, key: bytes | None = None, seed: int = 1) -> None:
        self._port, self._messages, self._key, self._chance = port, messages, key, random.Random(seed)

    def attacks(self) -> list[Callable[[], None]]:
        """All kinds, in order."""
        return [
            self.random_bytes, self.changed_messages, self.slow_loris, self.four_gigabytes, self.wrong_key,
            self.two_hundred_connections, self.comings_and_goings, self.flood_of_prompts,
        ]  # fmt: skip

    def random_bytes(self) -> None:
        for _ in range(self._messages):
            self._send(self._chance.randbytes(self._chance.randrange(1, 400)))

    def changed_messages(self) -> None:
        for _ in range(self._messages):
            data = bytearray(self._chance.choice(SAMPLES))
            for _ in range(self._chance.randrange(1, 4)):
                data[self._chance.randrange(len(data))] = self._chance.randrange(256)
            self._send(bytes(data), greets=self._chance.random() < 0.1)

    def slow_loris(self) -> None:
        connections = [self._connect() for _ in range(30)]
        for byte in HELLO[:8]:
            for connection in connections:
                with suppress(OSError):
                    connection.send(bytes([byte]))
            time.sleep(0.5)
        for connection in connections:
            connection.close()

    def four_gigabytes(self) -> None:
        for _ in range(20):
            self._send(b"\x01\x00\x10\xff\xff\xff\xff" + bytes(1000))

    def wrong_key(self) -> None:
        for _ in range(20):
            self._send(to_bytes(Hello("", "", b"k" * 16, "Eve", "operator", "nothing", b"w" * 32)))

    def two_hundred_connections(self) -> None:
        connections = [self._connect() for _ in range(200)]
        time.sleep(4)
        for connection in connections:
            connection.close()

    def comings_and_goings(self) -> None:
        for _ in range(self._messages // 20):
            with suppress(OSError), closing(self._connect()) as connection:
                self._greet(connection)

    def flood_of_prompts(self) -> None:
        """Sixteen to a message, as fast as they go for some seconds; sent away for it, it comes again and goes on."""
        number, until_s = 1, time.monotonic() + FLOOD_S
        while time.monotonic() < until_s:
            with suppress(OSError), closing(self._connect()) as connection:
                self._greet(connection)
                while time.monotonic() < until_s:
                    asked = tuple({**PROMPT, "number": number + place} for place in range(MAX_EVENTS))
                    connection.sendall(to_bytes(Events(asked)))
                    number += MAX_EVENTS

    def _greet(self, connection: socket.socket) -> None:
        """Come in as a player, by the key if the host asks for one. Raises OSError where the host has none of it."""
        challenge, reader = None, Reader(Limits((Challenge,)))
        while challenge is None:
            if not (received := connection.recv(4096)):
                raise ConnectionError("the host has closed the connection")
            reader.feed(received)
            challenge = reader.next()
        signed = proof(self._key, challenge[0].nonce, IDENTITY, "player") if self._key else b""
        connection.sendall(to_bytes(Hello("", "", IDENTITY, "Mallory\x1b[2J", "player", "nothing", signed)))
        time.sleep(0.03)

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=10)

    def _send(self, data: bytes, greets: bool = False) -> None:
        with suppress(OSError), closing(self._connect()) as connection:
            if greets:
                self._greet(connection)
            connection.sendall(data)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--key", type=Path, help="the file with the host's key")
    parser.add_argument("--skip", type=int, default=0, help="so many kinds of attack at first")
    options = parser.parse_args()
    key = options.key.read_bytes().strip() if options.key else None
    for attack in Attacker(options.port, options.messages, key).attacks()[options.skip :]:
        begun_ns = time.perf_counter_ns()
        attack()
        print(f"{attack.__name__} {begun_ns} {time.perf_counter_ns()}", flush=True)
        time.sleep(1.5)  # the host's log has ten refusals a second: the next kind is to be among them


if __name__ == "__main__":
    main()
