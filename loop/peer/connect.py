"""A show with peers, from the command line: its model and its Peers, with real connections."""

from __future__ import annotations

import hashlib
import logging
import platform
import secrets
from argparse import Namespace
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from loop.archive.fingerprint import fingerprint
from loop.peer.following import Following
from loop.peer.guest_model import GuestModel
from loop.peer.hosting import Hosting, open_line
from loop.peer.peers import Peers
from loop.supervise.live_model import LiveModel
from loop.supervise.model import StreamOptions
from loop.supervise.supervisor import Process
from loop.timing.clock import Clock
from net.discovery import Announcement, chosen_host, find_hosts
from net.guest import Guest, Introduction
from net.message import MAX_NAME
from net.schema import NetError
from net.transport import DEFAULT_ADDRESS, Place, TcpListener, connect, find_machine, parse_place, place_text
from world.options import WorldOptions
from world.zoo import weight_files

log = logging.getLogger(__name__)
MAX_KEY = 4_096
Launch = Callable[[WorldOptions], Process]


def connected(
    options: Namespace, stream: StreamOptions, launch: Launch, clock: Clock
) -> tuple[LiveModel, Peers | None]:
    """The model of a show, and its peers if it hosts or joins any. Raises NetError for what cannot be had."""
    name, key = options.name or default_name(), read_key(options.key)
    if options.host:
        return _host(options.host, name, key, stream, launch, clock)
    if options.web:  # nobody but the phones, since nobody else knows the key
        listener, model = TcpListener((DEFAULT_ADDRESS, 0)), LiveModel(stream, launch, clock)
        return model, Hosting(listener, model, clock, name, pixels_of(stream.world), secrets.token_bytes(32))
    if options.join:
        return _join(options, name, key, stream, launch, clock)
    return LiveModel(stream, launch, clock), None


def read_key(path: Path | None) -> bytes | None:
    """The shared key: the first line of its file. Raises NetError."""
    if path is None:
        return None
    with path.open("rb") as file:
        line = file.readline(MAX_KEY).strip()
    if len(line) < 8:
        raise NetError(f"the key in {path} has {len(line)} characters: expected 8 or more in the first line")
    return line


def default_name() -> str:
    """This machine's name."""
    return platform.node()[:MAX_NAME] or "somebody"


def pixels_of(options: WorldOptions) -> str:
    """SHA-256, in hex, of all that pixels depend on besides latents: two machines that agree on it show the same."""
    told: tuple[object, ...] = (fingerprint(weight_files(options.name)), options.picture, options.decoder)
    if options.name == "probe":
        told = (*told, options.probe.fps, options.probe.frames)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _host(
    where: str, name: str, key: bytes | None, stream: StreamOptions, launch: Launch, clock: Clock
) -> tuple[LiveModel, Peers]:
    address, port = parse_place(where, DEFAULT_ADDRESS)
    address, port = find_machine(address, port)
    listener = TcpListener((address, port))
    log.info("%s", open_line(listener, address))
    model = LiveModel(stream, launch, clock)
    hosting = Hosting(listener, model, clock, name, pixels_of(stream.world), key)
    if not ip_address(address).is_loopback:
        hosting.announce(Announcement((address, listener.port), name, stream.world.name))
    return model, hosting


def _join(
    options: Namespace, name: str, key: bytes | None, stream: StreamOptions, launch: Launch, clock: Clock
) -> tuple[LiveModel, Peers]:
    place = _place_of_host(options.join, stream.world.name)
    weights = pixels_of(stream.world)
    introduction = Introduction(
        secrets.token_bytes(16), name, options.role or "player", "latents", weights=weights, key=key
    )
    guest = Guest(connect, place, introduction, clock.now_ns)
    model = GuestModel(stream, launch, clock, guest)
    is_local = place[0].startswith("127.") or place[0] == "::1"
    listener = TcpListener((DEFAULT_ADDRESS if is_local else "0.0.0.0", 0))  # where others find it, if it takes over
    where = "this machine" if is_local else "every machine that reaches this one"
    log.info("listening on port %d for %s, to go on as the host if it dies", listener.port, where)
    return model, Following(model, clock, Hosting(listener, model, clock, name, weights, key))


def _place_of_host(join: str, world: str) -> Place:
    """Where the host is: as given, or found in the local network. Raises NetError."""
    if join != "auto":
        return find_machine(*parse_place(join))
    host = chosen_host(find_hosts(), world)
    log.info("found %s at %s", host.name, place_text(host.place))
    return host.place
