"""A show with peers, from the command line: its model and its Peers, with real connections."""

from __future__ import annotations

import hashlib
import logging
import platform
import secrets
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from loop.archive.fingerprint import fingerprint
from loop.peer.description import info_from
from loop.peer.follow_way import FollowWay
from loop.peer.following import Following
from loop.peer.guest_model import GuestModel
from loop.peer.hosting import Hosting, open_line
from loop.peer.peers import Peers
from loop.supervise.live_model import LiveModel
from loop.supervise.model import StreamOptions
from loop.supervise.supervisor import Process
from loop.timing.clock import Clock
from loop.video.h264 import load_codec
from loop.worker.no_world import NO_WORLD
from net.discovery import Announcement, chosen_host, find_hosts
from net.guest import Guest, Introduction
from net.message import MAX_NAME, Welcome
from net.picture import WorldDescription
from net.schema import NetError
from net.transport import DEFAULT_ADDRESS, Place, TcpListener, connect, find_machine, parse_place, place_text
from world.info import WorldError
from world.options import WorldOptions
from world.zoo import weight_files

log = logging.getLogger(__name__)
MAX_KEY = 4_096
TELL_NS = 1_000_000_000  # without a host, before that is told
LOOK_NS = 10_000_000
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
    load_codec()
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
    place = _place_of_host(options.join, stream.world.name, options.follow)
    wish, role, identity = options.follow or "auto", options.role or "player", secrets.token_bytes(16)
    weights = pixels_of(stream.world) if wish == "latents" else ""
    introduction = Introduction(identity, name, role, "nothing", weights=weights, key=key)
    world = None
    if wish != "latents":
        welcome, about = _visit(Guest(connect, place, introduction, clock.now_ns), clock)
        weights = _same_weights(stream.world, about.weights) if wish == "auto" else ""
        world = None if weights else info_from(welcome, about)
    way = FollowWay(wish, bool(weights))
    introduction = replace(introduction, follow=way.current, weights=weights)
    guest = Guest(connect, place, introduction, clock.now_ns)
    if not weights:
        log.info("following by video: this machine opens no world of its own")
        stream = replace(stream, world=WorldOptions(NO_WORLD))
        model = GuestModel(stream, launch, clock, guest, way, world)
        return model, Following(model, clock, None)
    load_codec()
    model = GuestModel(stream, launch, clock, guest, way)
    is_local = place[0].startswith("127.") or place[0] == "::1"
    listener = TcpListener((DEFAULT_ADDRESS if is_local else "0.0.0.0", 0))  # where others find it, if it takes over
    where = "this machine" if is_local else "every machine that reaches this one"
    log.info("listening on port %d for %s, to go on as the host if it dies", listener.port, where)
    return model, Following(model, clock, Hosting(listener, model, clock, name, weights, key))


def _visit(guest: Guest, clock: Clock) -> tuple[Welcome, WorldDescription]:
    """What the host says of its world: waits until there is a host. Raises NetError if it refuses this guest."""
    begun_ns, is_told, welcome = clock.now_ns(), False, None
    while not guest.refused:
        for message, _ in guest.poll():
            welcome = message if isinstance(message, Welcome) else welcome
            if isinstance(message, WorldDescription) and welcome:
                guest.close()
                return welcome, message
        if not is_told and clock.now_ns() - begun_ns > TELL_NS:
            is_told = True
            log.info("waiting for a host at %s (Ctrl+C ends)", place_text(guest.place))
        clock.sleep_until(clock.now_ns() + LOOK_NS)
    raise NetError(f"the host at {place_text(guest.place)} refuses this guest: {guest.refused}")


def _same_weights(world: WorldOptions, theirs: str) -> str:
    """The digest of the host's weights if this machine has them too and can run them, else nothing."""
    has_torch = world.name == "probe" or find_spec("torch") is not None
    try:
        ours = pixels_of(world) if has_torch else ""
    except (WorldError, OSError):
        ours = ""
    if ours != theirs:
        what = f"the world {world.name!r} here is not the host's" if ours else f"{world.name!r} cannot be opened here"
        log.info("%s: its latents are of no use", what)
    return ours if ours == theirs else ""


def _place_of_host(join: str, world: str, follow: str | None) -> Place:
    """Where the host is: as given, or found in the local network. Raises NetError."""
    if join != "auto":
        return find_machine(*parse_place(join))
    hosts = find_hosts()
    if follow != "latents" and all(host.world != world for host in hosts):
        hosts, world = hosts[:1], hosts[0].world if hosts else world  # its picture can be had as video
    host = chosen_host(hosts, world)
    log.info("found %s at %s", host.name, place_text(host.place))
    return host.place
