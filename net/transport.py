"""Streams of bytes over TCP that never make anybody wait: the only place that knows sockets."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from typing import Protocol

from net.schema import NetError

DEFAULT_ADDRESS = "127.0.0.1"  # nobody but this machine, unless an address is given
_NOTSENT_LOWAT = 25 if sys.platform == "linux" else None  # Python knows the name from 3.12 on
MAX_UNSENT = 65_536  # bytes that the system takes beyond what is under way: else seconds of video wait in there unseen
Place = tuple[str, int]  # a numeric address and a port


class ByteStream(Protocol):
    """One end of a connection. address: the other end's, for people."""

    address: str

    def read(self, most: int) -> bytes:
        """What has come, at most so many bytes; empty if nothing has. Raises ConnectionError once there is no more."""

    def write(self, data: bytes | memoryview) -> int:
        """Send as much of `data` as fits now, and return how much that was. Raises ConnectionError."""

    def close(self) -> None:
        """Give the connection up."""


class Listener(Protocol):
    """Where guests come in. port: the number that they call."""

    port: int

    def accept(self) -> ByteStream | None:
        """The next connection, if there is one."""

    def close(self) -> None:
        """Let nobody in any more."""


class TcpStream:
    """A ByteStream over TCP, without delay for small pieces. Also while it is still being connected."""

    def __init__(self, connection: socket.socket, address: str) -> None:
        self.address = address
        self._socket = connection
        connection.setblocking(False)
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _NOTSENT_LOWAT:
                connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, MAX_UNSENT)

    def read(self, most: int) -> bytes:
        """What has come; see ByteStream."""
        try:
            received = self._socket.recv(most)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return b""
            raise _lost(error) from None
        if not received:
            raise ConnectionError("the other end has closed the connection")
        return received

    def write(self, data: bytes | memoryview) -> int:
        """Send what fits now; see ByteStream."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if error.errno in (errno.ENOTCONN, errno.EALREADY):
                return 0
            raise _lost(error) from None

    def close(self) -> None:
        """Give the connection up."""
        self._socket.close()


class TcpListener:
    """Listens on an address of this machine; port 0 takes any that is free. Raises NetError if it cannot be had."""

    def __init__(self, place: Place) -> None:
        self._socket = listening_socket(place)
        self.port = int(self._socket.getsockname()[1])

    def accept(self) -> TcpStream | None:
        """The next connection, if there is one."""
        try:
            connection, address = self._socket.accept()
        except OSError:  # none is there, it has gone again, or there are no more file descriptors for it
            return None
        return TcpStream(connection, place_text((address[0], address[1])))

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()


def listening_socket(place: Place) -> socket.socket:
    """A socket that listens there and never waits. Raises NetError if the place cannot be had."""
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(64)
    except OSError as error:
        listening.close()
        raise NetError(f"cannot listen on {place_text(place)}: {error.strerror or error}") from None
    listening.setblocking(False)
    return listening


def own_address() -> str:
    """The address by which other machines most likely reach this one; of this machine alone if it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: the system only chooses the way
        except OSError:
            return DEFAULT_ADDRESS
        return str(probe.getsockname()[0])


def connect(place: Place) -> TcpStream:
    """Begin to connect; whether it succeeds is seen when the stream is read. Raises ConnectionError."""
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    code = connection.connect_ex(place)
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)):
        connection.close()
        raise ConnectionError(errno.errorcode.get(code, str(code)))
    return TcpStream(connection, place_text(place))


def find_machine(name: str, port: int) -> Place:
    """The numeric address of a machine. This may wait for a name server, so it is for the start of a show only.

    Raises NetError where there is no such machine.
    """
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NetError(f"there is no machine {name!r}: {reason}") from None
    return str(found[0][4][0]), port


def place_text(place: Place) -> str:
    """An address and a port, for people and for `parse_place`."""
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


def parse_place(text: str, default_address: str = "") -> Place:
    """[ADDRESS:]PORT as typed; raises NetError. default_address: empty where an address must be given."""
    address, colon, port = text.rpartition(":")
    address = address.removeprefix("[").removesuffix("]") if colon else default_address
    if not address or not (port.isascii() and port.isdigit() and 0 <= int(port[:6]) <= 65_535):
        expected = "[ADDRESS:]PORT" if default_address else "ADDRESS:PORT"
        raise NetError(f"got {text[:60]!r}, expected {expected}, such as 192.168.1.20:7474")
    return address, int(port)


def _lost(error: OSError) -> ConnectionError:
    return ConnectionError(error.strerror or str(error))
