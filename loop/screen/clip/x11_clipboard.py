"""The text of the X11 clipboard, read over a connection of its own: SDL would wait for the owner within a tick.

Through libxcb, because it may be used in any thread and never ends the process, as Xlib does when the server goes.
"""

from __future__ import annotations

import ctypes
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_uint8, c_uint16, c_uint32, c_void_p

MOST_BYTES = 8_000  # 2,000 characters of at most four bytes; more is never fetched
WAIT_S = 0.4  # for the owner of the clipboard
_SELECTION_NOTIFY, _PROPERTY_NOTIFY = 31, 28
_INPUT_ONLY, _EVENT_MASK, _PROPERTY_CHANGE = 2, 1 << 11, 1 << 22
_NEW_VALUE = 0


class _Cookie(Structure):
    _fields_ = [("sequence", c_uint32)]


class _Screens(Structure):
    _fields_ = [("root", POINTER(c_uint32)), ("rem", c_int), ("index", c_int)]


class _Atom(Structure):
    _fields_ = [("head", c_uint32), ("length", c_uint32), ("atom", c_uint32)]


class _Property(Structure):
    _fields_ = [
        ("response", c_uint8),
        ("format", c_uint8),
        ("sequence", c_uint16),
        ("length", c_uint32),
        ("type", c_uint32),
        ("bytes_after", c_uint32),
    ]


class _Event(Structure):
    """The fields of a SelectionNotify; those of a PropertyNotify that matter lie at `requestor` and `target`."""

    _fields_ = [
        ("response", c_uint8),
        ("detail", c_uint8),
        ("sequence", c_uint16),
        ("time", c_uint32),  # PropertyNotify: the window
        ("requestor", c_uint32),  # PropertyNotify: the property
        ("selection", c_uint32),  # PropertyNotify: the time
        ("target", c_uint8),  # PropertyNotify: its state
        ("target_rest", c_uint8 * 3),
        ("property", c_uint32),
    ]


def read_x11_clipboard(wait_s: float = WAIT_S) -> str:
    """The first MOST_BYTES of the clipboard's text; empty if there is none, or its owner is silent for `wait_s`.

    Raises OSError if libxcb is missing or there is no X server.
    """
    with _connection(time.monotonic() + wait_s) as connection:
        for target, encoding in (("UTF8_STRING", "utf-8"), ("STRING", "latin-1")):
            if (found := connection.convert(target)) is not None:
                return found[:MOST_BYTES].decode(encoding, "ignore")
    return ""


@contextmanager
def _connection(deadline: float) -> Iterator[_Connection]:
    connection = _Connection(deadline)
    try:
        yield connection
    finally:
        connection.close()


class _Connection:
    """One connection to the X server, with an unseen window that the owner of the clipboard gives the text to.

    deadline: in seconds of time.monotonic; no wait goes on after it.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._xcb, self._libc = _library(), ctypes.CDLL(None)
        self._libc.free.argtypes = [c_void_p]
        self._display = self._xcb.xcb_connect(None, None)
        if self._xcb.xcb_connection_has_error(self._display):
            self.close()
            raise OSError("no X server answers")
        root = self._xcb.xcb_setup_roots_iterator(self._xcb.xcb_get_setup(self._display)).root[0]
        self._window = self._xcb.xcb_generate_id(self._display)
        place_and_border = (0, 0, 1, 1, 0)
        self._xcb.xcb_create_window(
            *(self._display, 0, self._window, root, *place_and_border, _INPUT_ONLY, 0),
            *(_EVENT_MASK, byref(c_uint32(_PROPERTY_CHANGE))),
        )
        self._incremental = self._atom("INCR")

    def convert(self, target: str) -> bytes | None:
        """Ask the owner for the clipboard as `target`; None if it refuses or is silent."""
        place = self._atom("NEVERBLINK_CLIPBOARD")
        asked = (self._atom("CLIPBOARD"), self._atom(target), place, 0)
        self._xcb.xcb_convert_selection(self._display, self._window, *asked)
        while (event := self._next_event()) is not None:
            if event.response & 0x7F == _SELECTION_NOTIFY:
                return self._fetch(place) if event.property else None
        return None

    def close(self) -> None:
        self._xcb.xcb_disconnect(self._display)

    def _fetch(self, place: int) -> bytes:
        """What the owner has written to the property `place`, at once or piece by piece."""
        text, kind = self._property(place)
        if kind != self._incremental:
            return text
        text = b""
        while len(text) < MOST_BYTES and (event := self._next_event()) is not None:
            is_ours = event.response & 0x7F == _PROPERTY_NOTIFY and event.requestor == place
            if is_ours and event.target == _NEW_VALUE:
                piece, _ = self._property(place)
                if not piece:
                    break
                text += piece
        return text

    def _property(self, place: int) -> tuple[bytes, int]:
        """(content, type) of a property of our window, which is deleted unless it holds more than is read."""
        cookie = self._xcb.xcb_get_property(self._display, 1, self._window, place, 0, 0, MOST_BYTES // 4)
        reply = self._xcb.xcb_get_property_reply(self._display, cookie, None)
        if not reply:
            return b"", 0
        length = self._xcb.xcb_get_property_value_length(reply)
        content = ctypes.string_at(self._xcb.xcb_get_property_value(reply), length), reply.contents.type
        self._libc.free(reply)
        return content

    def _atom(self, name: str) -> int:
        cookie = self._xcb.xcb_intern_atom(self._display, 0, len(name), name.encode())
        reply = self._xcb.xcb_intern_atom_reply(self._display, cookie, None)
        if not reply:
            raise OSError("the X server has gone")
        atom: int = reply.contents.atom
        self._libc.free(reply)
        return atom

    def _next_event(self) -> _Event | None:
        """The next event; None once the deadline has passed or the server has gone."""
        self._xcb.xcb_flush(self._display)
        while not self._xcb.xcb_connection_has_error(self._display):
            found = self._xcb.xcb_poll_for_event(self._display)
            if found:
                event = _Event.from_buffer_copy(found.contents)
                self._libc.free(found)
                return event
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                return None
            select.select([self._xcb.xcb_get_file_descriptor(self._display)], [], [], left_s)
        return None


def _library() -> ctypes.CDLL:
    """libxcb with the types of the functions that are used; raises OSError if it is missing."""
    xcb = ctypes.CDLL("libxcb.so.1")
    for name, result, arguments in (
        ("connect", c_void_p, [c_char_p, POINTER(c_int)]),
        ("connection_has_error", c_int, [c_void_p]),
        ("disconnect", None, [c_void_p]),
        ("get_setup", c_void_p, [c_void_p]),
        ("setup_roots_iterator", _Screens, [c_void_p]),
        ("generate_id", c_uint32, [c_void_p]),
        ("flush", c_int, [c_void_p]),
        ("get_file_descriptor", c_int, [c_void_p]),
        ("poll_for_event", POINTER(_Event), [c_void_p]),
        ("intern_atom", _Cookie, [c_void_p, c_uint8, c_uint16, c_char_p]),
        ("intern_atom_reply", POINTER(_Atom), [c_void_p, _Cookie, c_void_p]),
        ("convert_selection", _Cookie, [c_void_p, *[c_uint32] * 5]),
        ("get_property", _Cookie, [c_void_p, c_uint8, *[c_uint32] * 5]),
        ("get_property_reply", POINTER(_Property), [c_void_p, _Cookie, c_void_p]),
        ("get_property_value", c_void_p, [POINTER(_Property)]),
        ("get_property_value_length", c_int, [POINTER(_Property)]),
        ("create_window", _Cookie, [c_void_p, c_uint8, *[c_uint32] * 2, *[c_uint16] * 6, *[c_uint32] * 2, c_void_p]),
    ):
        function = getattr(xcb, f"xcb_{name}")
        function.restype, function.argtypes = result, arguments
    return xcb
