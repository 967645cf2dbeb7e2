"""A network in memory on made-up time: it delays, takes small pieces, and loses connections when it is told to."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from net.transport import Place


class MemoryStream:
    """One end of a connection; implements net.transport.ByteStream."""

    def __init__(self, network: MemoryNetwork, address: str) -> None:
        self.address = address
        self.other: MemoryStream | None = None
        self.is_closed = self.is_lost = False
        self._network = network
        self._coming: deque[tuple[int, bytes]] = deque()  # when each piece arrives; an empty one is the end

    def read(self, most: int) -> bytes:
        if self.is_lost:
            raise ConnectionError("the network lost the connection")
        if not self._coming or self._coming[0][0] > self._network.now_ns():
            return b""
        due_ns, piece = self._coming.popleft()
        if not piece:
            self._coming.appendleft((due_ns, piece))
            raise ConnectionError("the other end has closed the connection")
        if len(piece) > most:
            self._coming.appendleft((due_ns, piece[most:]))
        return piece[:most]

    def write(self, data: bytes | memoryview) -> int:
        if self.is_lost or self.is_closed:
            raise ConnectionError("the network lost the connection")
        assert self.other is not None
        self.other.arrive(bytes(data[: self._network.piece]))
        return min(len(data), self._network.piece)

    def close(self) -> None:
        if not self.is_closed and self.other is not None:
            self.is_closed = True
            self.other.arrive(b"")

    def arrive(self, piece: bytes) -> None:
        last_ns = self._coming[-1][0] if self._coming else 0
        self._coming.append((max(last_ns, self._network.arrival_ns()), piece))


class MemoryListener:
    """Implements net.transport.Listener."""

    def __init__(self, network: MemoryNetwork, port: int) -> None:
        self.port = port
        self.calls: deque[MemoryStream] = deque()
        self._network = network

    def accept(self) -> MemoryStream | None:
        return self.calls.popleft() if self.calls else None

    def close(self) -> None:
        self._network.listeners.pop(self.port, None)


class MemoryNetwork:
    """delay_ns, jitter_ns: of every piece, one way. piece: bytes that a write takes at most. Seeded."""

    def __init__(self, now_ns: Callable[[], int], delay_ns: int = 0, jitter_ns: int = 0, piece: int = 1 << 20) -> None:
        self.now_ns, self.delay_ns, self.jitter_ns, self.piece = now_ns, delay_ns, jitter_ns, piece
        self.listeners: dict[int, MemoryListener] = {}
        self.streams: list[MemoryStream] = []
        self._random = random.Random(7)

    def listen(self, port: int) -> MemoryListener:
        self.listeners[port] = MemoryListener(self, port)
        return self.listeners[port]

    def connect(self, place: Place) -> MemoryStream:
        """A connection to whoever listens on the port, wherever that is."""
        if place[1] not in self.listeners:
            raise ConnectionError("nobody listens there")
        ours = MemoryStream(self, f"127.0.0.1:{place[1]}")
        theirs = MemoryStream(self, f"127.0.0.1:{50_000 + len(self.streams)}")
        ours.other, theirs.other = theirs, ours
        self.streams += [ours, theirs]
        self.listeners[place[1]].calls.append(theirs)
        return ours

    def lose_connections(self) -> None:
        """Every connection that there is now is lost, and what was under way with it."""
        for stream in self.streams:
            stream.is_lost = True
        self.streams.clear()

    def arrival_ns(self) -> int:
        return self.now_ns() + self.delay_ns + round(self._random.random() * self.jitter_ns)
