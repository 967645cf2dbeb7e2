"""The page and its connections on one port: the only file that knows websockets, which is an extra."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from net.refusals import Refusals
from net.schema import NetError
from net.web.gateway import Gateway, WrongToken
from net.web.page import Page
from net.web.phone import Phone
from net.web.wishes import MAX_WISH, Enter, read_wish

MOST_CONNECTIONS = 128  # of any kind: twice the phones, since each fetches the page first
OPEN_S = 5.0  # for the whole of a request
ENTER_S = 3.0  # for the first word of a page
PING_S, PONG_S = 5.0, 10.0
CLOSE_S = 2.0
MAX_REASON = 120  # bytes, of a WebSocket's last word
POLL_S = 0.02  # between two looks at the guests' connections
WRONG_TOKEN, FULL, WRONG_WISH, ELSEWHERE, SLOW = 4001, 4002, 4003, 4004, 4005  # close codes that the page knows
_SOCKET = "/live"
_BROKEN = (1002, 1007, 1009)  # no WebSocket, no UTF-8, too large


class PageServer:
    """Serves the page and lets phones in. names: what this machine is called, besides its addresses.

    refusals: of those who were not let in or sent away.
    """

    def __init__(self, gateway: Gateway, page: Page, names: tuple[str, ...], now_ns: Callable[[], int]) -> None:
        self.refusals = Refusals()
        self._gateway, self._page, self._now_ns = gateway, page, now_ns
        self._names = {"localhost", *(name.lower() for name in names)}
        self._open = 0  # connections

    async def run(self, listening: Any, stop: asyncio.Event, after_poll: Callable[[], None]) -> None:
        """Serve on a listening socket until `stop`. after_poll: called after every look at the guests."""
        quiet = logging.getLogger("neverblink.web")  # its errors are those of strangers: they are told as refusals
        quiet.setLevel(logging.CRITICAL)
        async with serve(
            self._meet,
            sock=listening,
            process_request=self._answer,
            create_connection=_counted(self),
            logger=quiet,
            server_header=None,
            compression=None,  # a small message must not grow
            max_size=MAX_WISH,
            max_queue=4,
            open_timeout=OPEN_S,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            close_timeout=CLOSE_S,
        ):
            while not stop.is_set():
                self._gateway.poll()
                after_poll()
                self.refusals.tell(self._now_ns())
                with suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), POLL_S)

    def refuse(self, connection: ServerConnection, why: str) -> None:
        """Write into the log that somebody was refused."""
        address = connection.remote_address or ("somebody", 0)
        self.refusals.note(f"the page at {address[0]}:{address[1]}", why, self._now_ns())

    def count(self, change: int) -> bool:
        """A connection has come or gone; whether there is room for it."""
        self._open += change
        return self._open <= MOST_CONNECTIONS

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The page, a refusal, or None where a page may open its connection."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        path = request.path.partition("?")[0]
        if not self._is_ours(host):
            return self._refusal(connection, HTTPStatus.FORBIDDEN, f"it calls this machine {host!a:.80}")
        if path == "/":
            body = self._page.body
            headers = Headers({**self._page.headers, "Content-Length": str(len(body)), "Connection": "close"})
            return Response(HTTPStatus.OK, "OK", headers, body)
        if path != _SOCKET:
            return connection.respond(HTTPStatus.NOT_FOUND, "There is nothing here.\n")
        if origin != f"http://{host}":
            return self._refusal(connection, HTTPStatus.FORBIDDEN, f"it is a page of another origin: {origin!a:.80}")
        return None

    def _refusal(self, connection: ServerConnection, status: HTTPStatus, why: str) -> Response:
        self.refuse(connection, why)
        return connection.respond(status, "Refused.\n")

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this machine: by a number, or by one of its names; a page elsewhere may not."""
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name.lower() in self._names:
            return True
        try:
            ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    async def _meet(self, connection: ServerConnection) -> None:
        """One page, from its first word to the end of its connection."""
        try:
            wish = read_wish(await asyncio.wait_for(connection.recv(), ENTER_S))
            if not isinstance(wish, Enter):
                raise NetError("expected a page to say who it is first")
            phone = self._gateway.enter(wish)
        except (TimeoutError, asyncio.TimeoutError):
            await self._send_away(connection, WRONG_WISH, f"it did not say who it is within {ENTER_S:g} s")
        except WrongToken as error:
            await self._send_away(connection, WRONG_TOKEN, str(error))
        except NetError as error:
            await self._send_away(connection, FULL, str(error))
        except ConnectionClosed as closed:
            self._note_broken(connection, closed)
        else:
            await self._serve(connection, phone)

    async def _serve(self, connection: ServerConnection, phone: Phone) -> None:
        awake = asyncio.Event()
        phone.wake = awake.set
        awake.set()
        telling = asyncio.create_task(self._tell(connection, phone, awake))
        try:
            async for said in connection:
                phone.check_rate(self._now_ns())
                self._gateway.hear(phone, read_wish(said))
        except NetError as error:
            await self._send_away(connection, WRONG_WISH, str(error))
        except ConnectionClosed as closed:
            self._note_broken(connection, closed)
        finally:
            self._gateway.leave(phone)
            telling.cancel()

    async def _tell(self, connection: ServerConnection, phone: Phone, awake: asyncio.Event) -> None:
        """Send what there is to be sent, as fast as the phone takes it."""
        with suppress(ConnectionClosed):
            while not phone.is_gone:
                await awake.wait()
                awake.clear()
                for told in phone.take_told():
                    await connection.send(told)
                picture = phone.take_picture(*self._gateway.picture)
                if picture:
                    await connection.send(picture)
            if phone.is_replaced:
                await connection.close(ELSEWHERE, "this page is open elsewhere")
            else:
                await connection.close(SLOW, "it reads too slowly")

    def _note_broken(self, connection: ServerConnection, closed: ConnectionClosed) -> None:
        """A connection has ended: tell of it if it was this side that would not have it any longer."""
        if closed.sent and not closed.rcvd_then_sent and closed.sent.code in _BROKEN:
            self.refuse(connection, f"{closed.sent.code} {closed.sent.reason}".strip())

    async def _send_away(self, connection: ServerConnection, code: int, why: str) -> None:
        self.refuse(connection, why)
        await connection.close(code, ascii(why)[1:-1][:MAX_REASON])


def _counted(server: PageServer) -> type[ServerConnection]:
    """The class of connections that are counted from their first byte on."""

    class Counted(ServerConnection):
        _has_room = False

        def connection_made(self, transport: Any) -> None:
            self._has_room = server.count(1)
            if self._has_room:
                super().connection_made(transport)
                return
            self.transport = transport
            server.refuse(self, f"{MOST_CONNECTIONS} others are connected")
            transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            server.count(-1)
            if not self._has_room:
                return
            if self.response is None:
                server.refuse(self, f"no request of a browser: {self.protocol.handshake_exc or 'none came'}")
            super().connection_lost(exc)

    return Counted
