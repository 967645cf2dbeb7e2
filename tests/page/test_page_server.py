"""The port of the page: what it serves, whom it refuses, and that a refusal is told. Real connections on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from contextlib import asynccontextmanager, suppress

import pytest

pytest.importorskip("websockets", reason="the page needs an extra: pip install 'neverblink[web]'")

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from net.guest import Guest
from net.transport import listening_socket
from net.web import server as server_module
from net.web.gateway import Gateway
from net.web.page import Page
from net.web.server import FULL, WRONG_TOKEN, WRONG_WISH, PageServer
from net.web.tokens import PAGE_ROLES, Tokens
from net.web.wishes import MAX_WISH

TOKENS = Tokens({role: f"token of {role}" for role in PAGE_ROLES})
ENTER = {"kind": "enter", "token": "token of viewer", "identity": "ab" * 16, "name": "Ada"}
PATIENCE_S = 60.0


class Port:
    """A server that runs, whose host is not there."""

    def __init__(self):
        self.gateway = Gateway(TOKENS, self._new_guest, time.perf_counter_ns)
        self.server = PageServer(self.gateway, Page.load(), ("stage",), time.perf_counter_ns)
        self.socket = listening_socket(("127.0.0.1", 0))
        self.number = self.socket.getsockname()[1]

    def _new_guest(self, introduction):
        def nowhere(place):
            raise ConnectionError("nobody is there")

        return Guest(nowhere, ("127.0.0.1", 9), introduction, time.perf_counter_ns)

    def page(self, **more):
        """A connection as the page opens it."""
        return connect(f"ws://127.0.0.1:{self.number}/live", origin=f"http://127.0.0.1:{self.number}", **more)

    async def request(self, text, patience_s=PATIENCE_S):
        """What the port answers to these bytes until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        try:
            writer.write(text)
            return await asyncio.wait_for(reader.read(), patience_s)
        finally:
            writer.close()

    async def get(self, path="/", host=None):
        told = host or f"127.0.0.1:{self.number}"
        return await self.request(f"GET {path} HTTP/1.1\r\nHost: {told}\r\n\r\n".encode())


@asynccontextmanager
async def running():
    port, stop = Port(), asyncio.Event()
    task = asyncio.create_task(port.server.run(port.socket, stop, lambda: None))
    try:
        yield port
    finally:
        stop.set()
        await task


def on_a_port(scenario):
    """Run a scenario beside a server of its own."""

    async def run():
        async with running() as port:
            return await asyncio.wait_for(scenario(port), PATIENCE_S)

    return asyncio.run(run())


async def closing(connection):
    """With which code the port closes a connection."""
    with suppress(ConnectionClosed):
        while True:
            await connection.recv()
    return connection.close_code


def test_the_page_comes_whole_and_may_run_nothing_but_its_own_script():
    head, _, body = on_a_port(lambda port: port.get()).partition(b"\r\n\r\n")
    assert body == Page.load().body
    policy = next(line for line in head.decode().split("\r\n") if line.startswith("Content-Security-Policy"))
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy and "unsafe" not in policy
    assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy


def test_the_page_loads_nothing_from_anywhere():
    told = Page.load().body.decode()
    assert re.findall(r"""\b(?:src|href|url|import|fetch)\s*[=(]\s*["']?([^"'\s>)]*)""", told) == ["data:,"]
    assert "http" not in told


@pytest.mark.parametrize(
    ("host", "is_ours"), [("localhost:1", True), ("stage", True), ("10.0.0.7:80", True), ("[::1]:80", True),
                          ("evil.example", False), ("", False), ("127.0.0.1.evil.example:80", False)],
)  # fmt: skip
def test_only_names_of_this_machine_are_answered(host, is_ours):
    answer = on_a_port(lambda port: port.get(host=host or " "))
    assert answer.startswith(b"HTTP/1.1 200" if is_ours else b"HTTP/1.1 403")


def test_another_path_holds_nothing():
    assert on_a_port(lambda port: port.get("/../etc/passwd")).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None, "https://127.0.0.1"])
def test_a_page_of_another_origin_is_refused_and_told_of(origin, caplog):
    async def scenario(port):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port.number}/live", origin=origin)
        return refused.value.response.status_code

    with caplog.at_level(logging.WARNING):
        assert on_a_port(scenario) == 403
    assert "it is a page of another origin" in caplog.text


def test_a_viewer_sees_pictures_as_they_come():
    async def scenario(port):
        async with port.page() as page:
            await page.send(json.dumps(ENTER))
            assert json.loads(await page.recv())["kind"] == "welcome"
            port.gateway.show(b"jpeg")
            while isinstance(found := await page.recv(), str):
                pass
            return found

    assert on_a_port(scenario) == b"\x00\x00\x00\x01jpeg"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (json.dumps({**ENTER, "token": "guessed"}), WRONG_TOKEN),
        (json.dumps({**ENTER, "identity": "x"}), FULL),
        (json.dumps({"kind": "watch", "on": True}), FULL),
        ("garbage", FULL),
        (b"bytes", FULL),
        ("x" * (MAX_WISH + 1), 1009),
    ],
)
def test_who_does_not_say_who_it_is_is_sent_away_and_told_of(said, code, caplog):
    async def scenario(port):
        async with port.page() as page:
            await page.send(said)
            return await closing(page)

    with caplog.at_level(logging.WARNING):
        assert on_a_port(scenario) == code
    assert "refused the page at 127.0.0.1" in caplog.text


def test_a_reason_of_any_length_and_language_can_be_said():
    async def scenario(port):
        async with port.page() as page:
            await page.send(json.dumps(ENTER))
            event = {"type": "prompt", "text": "\u00e9" * 300 + ":"}
            await page.send(json.dumps({"kind": "ask", "number": 1, "event": event, "\u00e9" * 500: 1}))
            return await closing(page)

    assert on_a_port(scenario) == WRONG_WISH


def test_who_says_nothing_is_sent_away(monkeypatch):
    monkeypatch.setattr(server_module, "ENTER_S", 0.1)

    async def scenario(port):
        async with port.page() as page:
            return await closing(page)

    assert on_a_port(scenario) == WRONG_WISH


@pytest.mark.parametrize("said", ["garbage", json.dumps({"kind": "cue", "index": 0}), "x" * (MAX_WISH + 1)])
def test_what_a_page_does_not_say_ends_its_connection_and_is_told_of(said, caplog):
    async def scenario(port):
        async with port.page() as page:
            await page.send(json.dumps(ENTER))
            await page.send(said)
            return await closing(page)

    with caplog.at_level(logging.WARNING):
        assert on_a_port(scenario) in (WRONG_WISH, 1009)
    assert caplog.text.count("refused") == 1


def test_a_request_that_does_not_come_to_its_end_is_dropped_and_told_of(monkeypatch, caplog):
    monkeypatch.setattr(server_module, "OPEN_S", 0.2)
    with caplog.at_level(logging.WARNING):
        assert on_a_port(lambda port: port.request(b"GET / HTTP/1.1\r\nHost: 127")) == b""
    assert "no request of a browser" in caplog.text


@pytest.mark.parametrize("garbage", [b"\x00" * 300, b"GET " + b"x" * 20_000, b"GET / HTTP/9\r\n\r\n"])
def test_what_is_no_request_is_dropped(garbage, monkeypatch):
    monkeypatch.setattr(server_module, "OPEN_S", 0.2)
    answer = on_a_port(lambda port: port.request(garbage))
    assert not answer.startswith(b"HTTP/1.1 2")


def test_so_many_connections_and_no_more(monkeypatch, caplog):
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 3)

    async def scenario(port):
        held = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(3)]
        await asyncio.sleep(0)
        assert await port.get() == b""
        for _, writer in held:
            writer.close()
        while not (answer := await port.get()):  # until the server has noticed that they are gone
            await asyncio.sleep(0.02)
        return answer

    with caplog.at_level(logging.WARNING):
        assert on_a_port(scenario).startswith(b"HTTP/1.1 200")
    assert "3 others are connected" in caplog.text


def test_a_page_that_leaves_gives_its_place_back():
    async def scenario(port):
        async with port.page() as page:
            await page.send(json.dumps(ENTER))
            await page.recv()
            assert len(port.gateway.phones) == 1
        while port.gateway.phones:
            await asyncio.sleep(0.01)

    on_a_port(scenario)
