"""The process of the page: it ends when the window's process does, or when its pipe is closed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from net.guest import Guest, Introduction
from net.transport import Place, connect
from net.web.gateway import Gateway
from net.web.jpeg import to_jpeg
from net.web.page import Page
from net.web.tokens import Tokens

NICENESS = 5  # strangers can make this process work: window and model come first


@dataclass(frozen=True)
class PageSetting:
    """What the process starts with. host: where the show's host listens. key: what the phones' guests prove to it."""

    tokens: Tokens
    host: Place
    key: bytes


def run_page(pipe: Connection, listening: Any, setting: PageSetting) -> None:
    """Serve the page on a listening socket until the pipe is closed.

    The pipe brings JSON objects, each as bytes: {"decide": bool} for the oldest words that wait, {"pixels": [width,
    height]} with the pixels themselves as the next bytes, states with a "kind", which every phone is told, and {"end":
    true}. It takes back {"watched": bool}, {"waiting": [[name, words], ...]} and {"cue": index}.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.INFO, format="neverblink: %(message)s")
    logging.getLogger("net.guest").setLevel(logging.WARNING)  # the host says who comes and goes
    asyncio.run(_run(pipe, listening, setting))


async def _run(pipe: Connection, listening: Any, setting: PageSetting) -> None:
    from net.web.server import PageServer  # here, since the window's process does without it

    def new_guest(introduction: Introduction) -> Guest:
        return Guest(connect, setting.host, replace(introduction, key=setting.key), time.perf_counter_ns)

    gateway, stop = Gateway(setting.tokens, new_guest, time.perf_counter_ns), asyncio.Event()
    name = platform.node()
    server = PageServer(gateway, Page.load(), (name, f"{name}.local"), time.perf_counter_ns)
    call = asyncio.get_running_loop().call_soon_threadsafe
    threading.Thread(target=_read, args=(pipe, gateway, call, stop.set), name="pipe", daemon=True).start()

    def pass_requests() -> None:
        requests, gateway.requests = gateway.requests, []
        with suppress(OSError):  # the window's process has gone: the reader of the pipe ends this one
            for request in requests:
                pipe.send_bytes(json.dumps(request).encode())

    await server.run(listening, stop, pass_requests)
    gateway.close()


def _read(pipe: Connection, gateway: Gateway, call: Callable[..., object], stop: Callable[[], object]) -> None:
    """Read the pipe to its end. Pictures are encoded here, so that connections do not wait for it."""
    try:
        while True:
            message = json.loads(pipe.recv_bytes())
            if "pixels" in message:
                call(gateway.show, to_jpeg(pipe.recv_bytes(), tuple(message["pixels"])))
            elif "end" in message:
                call(stop)
            elif "decide" in message:
                call(gateway.decide, None, message["decide"])
            else:
                call(gateway.tell_all, message)
    except (EOFError, OSError):
        pass  # the window's process has ended
    finally:
        call(stop)
