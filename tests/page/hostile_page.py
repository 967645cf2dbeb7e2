"""Everything that a hostile phone could think of, against a real page (see tests.trials.page_siege)."""

from __future__ import annotations

import json
import random
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.support.wrong_words import changed

PATIENCE_S = 10.0
BROKEN = (OSError, WebSocketException)


class HostilePhone:
    """Attacks a page. address: one that the show has printed; that of the audience is what strangers get."""

    def __init__(self, address: str, messages: int, seed: int = 1) -> None:
        parts = urlsplit(address)
        self._host, self._port, self._token = parts.hostname or "127.0.0.1", parts.port or 80, parts.fragment
        self._messages, self._chance = messages, random.Random(seed)

    def attacks(self) -> list[Callable[[], None]]:
        """All kinds, in order."""
        return [
            self.random_requests, self.random_messages, self.changed_messages, self.slow_loris, self.wrong_token,
            self.other_origin, self.two_hundred_connections, self.flood_of_prompts, self.readers_that_do_not_read,
        ]  # fmt: skip

    def random_requests(self) -> None:
        """Bytes that are no request, over connections of their own."""
        for _ in range(self._messages // 10):
            with suppress(OSError), closing(self._socket()) as connection:
                connection.sendall(self._chance.randbytes(self._chance.randrange(1, 400)))

    def random_messages(self) -> None:
        """Text and bytes that mean nothing."""
        for _ in range(self._messages):
            noise = self._chance.randbytes(self._chance.randrange(1, 400))
            self._say(noise if self._chance.random() < 0.5 else noise.decode("latin-1"))

    def changed_messages(self) -> None:
        """What a page says, with a few characters changed."""
        samples = [json.dumps(wish) for wish in self._wishes()]
        for _ in range(self._messages):
            self._say(changed(self._chance, self._chance.choice(samples)))

    def slow_loris(self) -> None:
        """Requests that come a byte at a time and never end."""
        with ExitStack() as stack:
            held = [stack.enter_context(closing(self._socket())) for _ in range(60)]
            for byte in b"GET / HTTP/1.1\r\nHost: ":
                for connection in held:
                    with suppress(OSError):
                        connection.send(bytes([byte]))
                time.sleep(0.4)

    def wrong_token(self) -> None:
        for _ in range(50):
            with suppress(*BROKEN), self._page() as page:
                page.send(json.dumps({**self._enter(), "token": secrets.token_urlsafe(9)}))
                page.recv(timeout=PATIENCE_S)

    def other_origin(self) -> None:
        for _ in range(50):
            with suppress(*BROKEN), self._page("http://evil.example"):
                pass

    def two_hundred_connections(self) -> None:
        with ExitStack() as stack:
            for _ in range(200):
                with suppress(OSError):
                    stack.enter_context(closing(self._socket()))
            time.sleep(4)

    def flood_of_prompts(self) -> None:
        """As fast as they go, over one connection after the other."""
        number = 0
        while number < self._messages:
            number += 1
            with suppress(*BROKEN), self._page() as page:
                page.send(json.dumps(self._enter()))
                while number < self._messages:
                    number += 1
                    event = {"type": "prompt", "text": f"red {number}"}
                    page.send(json.dumps({"kind": "ask", "number": number, "event": event}))

    def readers_that_do_not_read(self) -> None:
        """Pages that watch, confirm every picture that may ever come, and read nothing."""
        with ExitStack() as stack:
            for _ in range(30):
                with suppress(*BROKEN):
                    page = stack.enter_context(self._page())
                    page.send(json.dumps(self._enter()))
                    for _ in range(50):
                        page.send(json.dumps({"kind": "seen", "picture": 2**32 - 1}))
            time.sleep(8)

    def _wishes(self) -> list[dict[str, Any]]:
        event = {"type": "prompt", "text": "blue rain"}
        return [
            self._enter(), {"kind": "ask", "number": 1, "event": event}, {"kind": "seen", "picture": 7},
            {"kind": "watch", "on": True}, {"kind": "switch", "switch": "blackout", "on": True},
            {"kind": "decide", "waiting": 1, "let_in": True}, {"kind": "cue", "index": 0},
        ]  # fmt: skip

    def _enter(self) -> dict[str, Any]:
        return {"kind": "enter", "token": self._token, "identity": secrets.token_hex(16), "name": "Mallory"}

    def _say(self, message: str | bytes) -> None:
        """Say one thing over a connection of its own, a tenth of the time as somebody who has entered."""
        with suppress(*BROKEN), self._page() as page:
            if self._chance.random() < 0.1:
                page.send(json.dumps(self._enter()))
            page.send(message)

    def _socket(self) -> socket.socket:
        return socket.create_connection((self._host, self._port), timeout=PATIENCE_S)

    def _page(self, origin: str = "") -> ClientConnection:
        place = f"{self._host}:{self._port}"
        return connect(
            f"ws://{place}/live", origin=origin or f"http://{place}", open_timeout=PATIENCE_S, close_timeout=1
        )
