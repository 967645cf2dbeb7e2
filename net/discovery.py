"""Hosts in the local network, found by name: the only place that knows zeroconf, which is an extra."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from net.schema import NetError
from net.transport import Place
from world.event import one_line

log = logging.getLogger(__name__)
SERVICE = "_neverblink._tcp.local."
PATIENCE_S = 3.0


@dataclass(frozen=True)
class FoundHost:
    """A host that has announced itself. world: the name of what it plays."""

    name: str
    world: str
    place: Place


class Announcement:
    """Tells the local network of a host, until it is closed. Without zeroconf it does nothing."""

    def __init__(self, place: Place, name: str, world: str) -> None:
        self._zeroconf: Any = None
        self._is_closed = False
        # a thread, since it first asks whether anybody else has the name, which takes a second
        threading.Thread(target=self._announce, args=(place, name, world), name="announce", daemon=True).start()

    def close(self) -> None:
        """Take the announcement back."""
        self._is_closed = True
        if self._zeroconf:
            self._zeroconf.close()

    def _announce(self, place: Place, name: str, world: str) -> None:
        try:
            from zeroconf import Error, ServiceInfo, Zeroconf
        except ImportError:
            return
        addresses = [place[0]] if not ip_address(place[0]).is_unspecified else _own_addresses()
        described = {"name": name, "world": world}
        label = f"{name} {place[1]}".replace(".", " ")
        info = ServiceInfo(SERVICE, f"{label}.{SERVICE}", place[1], properties=described, parsed_addresses=addresses)
        try:
            self._zeroconf = Zeroconf()
            self._zeroconf.register_service(info, allow_name_change=True)
        except (OSError, Error) as error:  # the show goes on without it
            log.warning("this host could not be announced: %s %s", type(error).__name__, error)
        if self._is_closed and self._zeroconf:
            self._zeroconf.close()


def find_hosts(patience_s: float = PATIENCE_S) -> list[FoundHost]:
    """The hosts that answer within this time, as soon as there is one. Raises NetError without zeroconf."""
    try:
        from zeroconf import ServiceBrowser, Zeroconf
    except ImportError:
        raise NetError("--join auto needs zeroconf: pip install 'neverblink[discover]'") from None
    try:
        zeroconf = Zeroconf()
    except OSError as error:
        raise NetError(f"this machine has no network to look for hosts in: {error}") from None
    listener: Any = _Listener()
    try:
        ServiceBrowser(zeroconf, SERVICE, listener)
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s and not listener.found:
            time.sleep(0.05)
        return list(listener.found)
    finally:
        zeroconf.close()


def chosen_host(found: Sequence[FoundHost], world: str) -> FoundHost:
    """The first host that plays this world; raises NetError where none does, and names those that were found."""
    for host in found:
        if host.world == world:
            return host
    others = ", ".join(f"{host.name} plays {host.world!r}" for host in found)
    told = f"{others}: open the same world with --world" if others else "give its place, --join ADDR:PORT"
    raise NetError(f"no host of the world {world!r} was found: {told}")


class _Listener:
    """What zeroconf calls when a host is found, in a thread of its own."""

    def __init__(self) -> None:
        self.found: list[FoundHost] = []

    def add_service(self, zeroconf: Any, kind: str, name: str) -> None:
        info = zeroconf.get_service_info(kind, name)
        addresses = info.parsed_addresses() if info else []
        if info and addresses:
            with suppress(UnicodeDecodeError):
                told = {key.decode(): (value or b"").decode() for key, value in info.properties.items()}
                place = addresses[0], info.port
                self.found.append(FoundHost(one_line(told.get("name", ""))[:40], told.get("world", "")[:200], place))

    def update_service(self, zeroconf: Any, kind: str, name: str) -> None:
        """It is there already."""

    def remove_service(self, zeroconf: Any, kind: str, name: str) -> None:
        """Whether it is still there is seen when it is called."""


def _own_addresses() -> list[str]:
    from zeroconf import get_all_addresses

    return [address for address in get_all_addresses() if not ip_address(address).is_loopback]
