"""Messages over a stream of bytes, within limits of size and of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from net.schema import Message
from net.transport import ByteStream
from net.wire import Limits, Reader, to_bytes

PIECE = 65_536  # bytes to read or write at a time


class Channel:
    """One connection. Owned by the host or the guest that polls it.

    heard_ns: when the last whole message came, at first when the connection began.
    """

    def __init__(self, stream: ByteStream, limits: Limits, now_ns: int) -> None:
        self.heard_ns = now_ns
        self._stream, self._reader = stream, Reader(limits)
        self._outbox: deque[memoryview] = deque()
        self.waiting_bytes = 0  # that were sent here and have not left yet

    @property
    def address(self) -> str:
        """The other end's, for people."""
        return self._stream.address

    def set_limits(self, limits: Limits) -> None:
        """What the other end may send from the next message on."""
        self._reader.limits = limits

    def receive(self, now_ns: int, most_bytes: int = PIECE) -> Iterator[tuple[Message, bytes]]:
        """The messages that have come, one at a time, from at most so many new bytes.

        Those that are not taken are the first of the next call, which reads nothing new before they are. Raises
        NetError for what is no message, ConnectionError once the connection has ended.
        """
        found = self._reader.next()
        if found is None and (received := self._stream.read(most_bytes)):
            self._reader.feed(received)
            found = self._reader.next()
        while found is not None:
            self.heard_ns = now_ns
            yield found
            found = self._reader.next()

    def send(self, message: Message, payload: bytes = b"") -> None:
        """Let a message leave as soon as there is room; never waits."""
        self.send_bytes(to_bytes(message, payload))

    def send_bytes(self, data: bytes) -> None:
        """The same for a message that is bytes already, since many get it."""
        self._outbox.append(memoryview(data))
        self.waiting_bytes += len(data)

    def flush(self, most_bytes: int = 4 * PIECE) -> None:
        """Let leave what there is room for, at most so many bytes. Raises ConnectionError."""
        while self._outbox and most_bytes > 0:
            piece = self._outbox[0]
            sent = self._stream.write(piece[:PIECE])
            self.waiting_bytes -= sent
            most_bytes -= sent
            if sent < len(piece):
                self._outbox[0] = piece[sent:]
            else:
                self._outbox.popleft()
            if sent < min(len(piece), PIECE):
                return

    def close(self, farewell: Message | None = None) -> None:
        """Say farewell, if there is room for it, and give the connection up."""
        if farewell is not None:
            self.send(farewell)
            with suppress(ConnectionError):
                self.flush()
        self._stream.close()
