"""One phone: what it has not been told yet, which pictures it has room for, and the guest that asks for it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from net.allowance import Allowance
from net.guest import Guest
from net.message import Receipt
from net.schema import NetError

WISHES_HZ, WISHES_BURST = 120.0, 240  # of any kind: 60 pictures a second are confirmed, and a dial is dragged
MOST_TOLD = 256  # that have not left yet; who reads so slowly is sent away
PICTURES_AHEAD = 2  # sent and not confirmed: one on its way while another is drawn
_NUMBER = struct.Struct(">I")


class Phone:
    """Owned by the gateway. guest: None where the hall's asks for it. wake: called when there is something to send.

    is_watching: whether it wants pictures. is_gone: it is to be sent nothing any more; is_replaced: since the
    same page has come again.
    """

    def __init__(self, role: str, name: str, identity: str, guest: Guest | None, now_ns: int) -> None:
        self.role, self.name, self.identity, self.guest = role, name, identity, guest
        self.is_watching, self.is_gone, self.is_replaced = True, False, False
        self.wake: Callable[[], object] = lambda: None
        self._allowance = Allowance(WISHES_HZ, WISHES_BURST, now_ns)
        self._told: list[str] = []
        self._states: dict[str, str] = {}  # the newest of each kind, of which older ones are of no use
        self._sent_state: dict[str, str] = {}
        self._pictures: list[int] = []  # sent and not confirmed
        self._newest_picture = 0

    def check_rate(self, now_ns: int) -> None:
        """Count one more wish; raises NetError if there are too many."""
        if not self._allowance.take(now_ns):
            raise NetError("it says more than any page does")

    def tell(self, told: dict[str, Any]) -> None:
        """Send this, in order. A phone that reads too slowly goes; its page comes again."""
        self.is_gone |= len(self._told) >= MOST_TOLD
        self._told.append(json.dumps(told))
        self.wake()

    def tell_state(self, state: dict[str, Any]) -> None:
        """Send this if it differs from the last of its kind; a newer one takes its place until it leaves."""
        text = json.dumps(state)
        if self._states.get(state["kind"], self._sent_state.get(state["kind"])) != text:
            self._states[state["kind"]] = text
            self.wake()

    def take_told(self) -> list[str]:
        """What is to be sent now."""
        told = [*self._states.values(), *self._told]
        self._sent_state.update(self._states)
        self._states.clear()
        self._told.clear()
        return told

    def take_picture(self, number: int, jpeg: bytes) -> bytes | None:
        """The newest picture as it is sent, if it is new and there is room for it: its number (4 bytes), JPEG."""
        if not self.is_watching or number == self._newest_picture or len(self._pictures) >= PICTURES_AHEAD:
            return None
        self._newest_picture = number
        self._pictures.append(number)
        return _NUMBER.pack(number) + jpeg

    def confirm(self, number: int) -> None:
        """The phone shows this picture."""
        self._pictures = [sent for sent in self._pictures if sent > number]
        self.wake()

    def watch(self, on: bool) -> None:
        """Whether it wants pictures from now on."""
        self.is_watching = on
        self._pictures.clear()
        self.wake()

    def ask(self, number: int, event: dict[str, Any], now_ns: int) -> None:
        """Ask the host for an event."""
        if self.guest:
            self.guest.ask(number, event, now_ns)

    def hear(self, receipt: Receipt) -> None:
        """Pass a receipt of the host's on."""
        if self.guest and receipt.state in ("flip", "replaced", "lost"):
            self.guest.settle(receipt.number)
        told = {"number": receipt.number, "state": receipt.state, "block": receipt.block, "why": receipt.why}
        self.tell({"kind": "receipt", **told})
