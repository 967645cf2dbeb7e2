"""The page for phones, from the command line."""

from __future__ import annotations

import logging
import multiprocessing
from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from ipaddress import ip_address
from multiprocessing.connection import Connection

from loop.web.addresses import addresses, announcement
from loop.web.phones import Life, Phones
from net.schema import NetError
from net.transport import DEFAULT_ADDRESS, Place, find_machine, listening_socket, parse_place
from net.web.process import PageSetting, run_page
from net.web.tokens import Tokens

log = logging.getLogger(__name__)
NEEDED = ("websockets", "PIL", "segno")


def open_page(
    options: Namespace, host: Place, key: bytes, sheltered: Callable[[], AbstractContextManager[None]]
) -> tuple[Phones, str]:
    """Serve the page as --web says; what there is to tell of it. Raises NetError for what cannot be had.

    host: where the show listens for guests. key: what a guest proves to be one of its phones. sheltered: in its context
    a process is started that gets no signals of the terminal.
    """
    if not all(find_spec(name) for name in NEEDED):
        raise NetError("--web needs websockets, Pillow and segno: pip install 'neverblink[web]'")
    place = find_machine(*parse_place(options.web, DEFAULT_ADDRESS))
    listening = listening_socket(place)
    place = place[0], listening.getsockname()[1]
    tokens = Tokens.draw()
    setting = PageSetting(tokens, _reached(host), key)

    def start() -> tuple[Life, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=run_page, args=(theirs, listening, setting), name="page", daemon=True)
        with sheltered():
            process.start()
        theirs.close()
        return process, ours

    return Phones(start), announcement(addresses(place, tokens), options.web_qr or "player")


def _reached(host: Place) -> Place:
    """Where this machine finds the host: a host that listens everywhere is on this machine too."""
    address = ip_address(host[0])
    if not address.is_unspecified:
        return host
    return "::1" if address.version == 6 else DEFAULT_ADDRESS, host[1]
