"""The audience: its words wait for an operator, and those let in are asked for by one guest in the name of all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from net.allowance import Allowance
from net.guest import Guest
from net.message import Receipt

MOST_WAITING = 24  # words of the whole audience
MOST_OF_ONE = 2  # words of one phone
WORDS_HZ, WORDS_BURST = 0.2, 3  # of one phone
KEPT = 512  # phones and receipts that are remembered
Asked = tuple[str, int]  # the identity of a phone, and the number that it has given to its words
Told = tuple[str, dict[str, Any]]  # the identity of a phone, and a receipt for it


@dataclass(frozen=True)
class WaitingWords:
    """Words that wait. number: in the queue, counted from 1 on. asked: by whom. name: theirs, for people."""

    number: int
    asked: Asked
    name: str
    event: dict[str, Any]


class Hall:
    """Owned by the gateway. guest: the hall's own. queue: what waits, oldest first."""

    def __init__(self, guest: Guest, now_ns: Callable[[], int]) -> None:
        self.guest = guest
        self.queue: list[WaitingWords] = []
        self._now_ns = now_ns
        self._newest = self._newest_event = 0
        self._events: dict[int, Asked] = {}  # those let in, by their numbers as the guest's events, until they end
        self._receipts: OrderedDict[Asked, dict[str, Any]] = OrderedDict()  # the newest of each
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()

    def ask(self, asked: Asked, name: str, event: dict[str, Any]) -> Told:
        """Somebody asks for words; the receipt. What was asked for before is not asked for again."""
        if asked in self._receipts:
            return asked[0], self._receipts[asked]
        if event["type"] != "prompt":
            return self._tell(asked, "lost", "the audience has words only")
        if len(self.queue) >= MOST_WAITING:
            return self._tell(asked, "lost", f"{MOST_WAITING} others wait already: try again later")
        if sum(waiting.asked[0] == asked[0] for waiting in self.queue) >= MOST_OF_ONE:
            return self._tell(asked, "lost", f"{MOST_OF_ONE} of yours wait already")
        if not self._allowance(asked[0]).take(self._now_ns()):
            return self._tell(asked, "lost", "too many at once: wait a moment")
        self._newest += 1
        self.queue.append(WaitingWords(self._newest, asked, name, event))
        return self._tell(asked, "waiting")

    def decide(self, number: int | None, let_in: bool) -> Told | None:
        """Let the words with this number in, or refuse them; None: the oldest. The receipt, if there is one yet."""
        chosen = next((waiting for waiting in self.queue if number in (None, waiting.number)), None)
        if chosen is None:
            return None
        self.queue.remove(chosen)
        if not let_in:
            return self._tell(chosen.asked, "lost", "the operator chose others")
        self._newest_event += 1
        self._events[self._newest_event] = chosen.asked
        self.guest.ask(self._newest_event, chosen.event, self._now_ns())
        return None

    def hear(self, receipt: Receipt) -> Told | None:
        """The host's receipt for words that were let in, as one for the phone that asked for them."""
        asked = self._events.get(receipt.number)
        if receipt.state in ("flip", "replaced", "lost"):
            self._events.pop(receipt.number, None)
            self.guest.settle(receipt.number)
        return self._tell(asked, receipt.state, receipt.why, receipt.block) if asked else None

    def _tell(self, asked: Asked, state: str, why: str = "", block: int | None = None) -> Told:
        told = {"kind": "receipt", "number": asked[1], "state": state, "block": block, "why": why}
        self._receipts[asked] = told
        self._receipts.move_to_end(asked)
        while len(self._receipts) > KEPT:
            self._receipts.popitem(last=False)
        return asked[0], told

    def _allowance(self, identity: str) -> Allowance:
        if identity not in self._allowances:
            self._allowances[identity] = Allowance(WORDS_HZ, WORDS_BURST, self._now_ns())
        self._allowances.move_to_end(identity)
        while len(self._allowances) > KEPT:
            self._allowances.popitem(last=False)
        return self._allowances[identity]
