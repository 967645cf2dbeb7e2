"""Messages as bytes: the only place that knows msgpack.

    version u8 | size of the head u16 | size of the payload u32 | head, msgpack | payload, raw        big endian

The payload, latents for instance, stays outside msgpack, so that no head is larger than 64 KB and a hostile one cannot
grow: every size and count is limited before anything is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import msgpack

from net.message import from_map, to_map
from net.picture import MAX_PAYLOAD, Latents, Video
from net.schema import Message, NetError

VERSION = 1
MAX_HEAD = 65_535
MAX_FIRST_HEAD = 2_048  # of a peer that nobody has let in yet
_FRAME = struct.Struct(">BHI")
_COUNTS = {"max_array_len": 256, "max_map_len": 256, "max_ext_len": 0, "max_bin_len": 256}


def to_bytes(message: Message, payload: bytes = b"") -> bytes:
    """The bytes of a message; raises NetError where it would be larger than a reader accepts."""
    head = msgpack.packb(to_map(message), use_bin_type=True)
    if len(head) > MAX_HEAD or len(payload) > MAX_PAYLOAD:
        told = f"{len(head):,} and {len(payload):,} bytes"
        raise NetError(f"{type(message).__name__} of {told}: {MAX_HEAD:,} and {MAX_PAYLOAD:,} are the most")
    return _FRAME.pack(VERSION, len(head), len(payload)) + head + payload


@dataclass(frozen=True)
class Limits:
    """What a reader accepts: these messages, heads and payloads of these sizes at most."""

    accepted: tuple[type[Message], ...]
    head: int = MAX_HEAD
    payload: int = 0


class Reader:
    """Bytes as they come, in pieces of any size, to messages. After an error it is of no use any more.

    limits: may be changed between two messages, for a peer that was let in.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._buffer = bytearray()

    @property
    def is_inside(self) -> bool:
        """Whether a part of a message has come and the rest has not."""
        return bool(self._buffer)

    def feed(self, received: bytes) -> None:
        """Take what has come from the peer."""
        self._buffer += received

    def next(self) -> tuple[Message, bytes] | None:
        """The next message and its payload, None until there is a whole one; raises NetError for what is not one."""
        if len(self._buffer) < _FRAME.size:
            return None
        version, head, payload = _FRAME.unpack_from(self._buffer)
        if version != VERSION:
            raise NetError(f"protocol version {version}: this is version {VERSION}")
        if head > self.limits.head or payload > self.limits.payload:
            most = f"{self.limits.head:,} and {self.limits.payload:,} are the most here"
            raise NetError(f"a message of {head:,} and {payload:,} bytes: {most}")
        end = _FRAME.size + head + payload
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_FRAME.size : end])
        del self._buffer[:end]
        message = from_map(_decoded(body[:head]), self.limits.accepted)
        _check_payload(message, payload)
        return message, body[head:]


def _decoded(head: bytes) -> object:
    """What msgpack makes of a head; raises NetError for every way in which that can fail."""
    try:
        return msgpack.unpackb(head, raw=False, strict_map_key=True, max_str_len=MAX_HEAD, **_COUNTS)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise NetError(f"not msgpack as expected: {type(error).__name__} {ascii(str(error))[:80]}") from None


def _check_payload(message: Message, size: int) -> None:
    expected = message.size_bytes if isinstance(message, Latents | Video) else 0
    if size != expected:
        raise NetError(f"{type(message).__name__} with {size:,} bytes of payload: expected {expected:,}")
