"""Between the phones and the show: each player's phone is a guest of the host, all others share the hall's seat."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from net.allowance import Allowance
from net.guest import Guest, Introduction
from net.message import News, Receipt, Roster, Switch
from net.schema import NetError
from net.web.hall import Hall, Told
from net.web.phone import Phone
from net.web.tokens import HAS_SEAT, Tokens
from net.web.wishes import Ask, AskCue, Decide, Enter, Seen, TurnSwitch, Watch, Wish

MOST_PHONES = 64
MOST_SEATS = 24  # of the host's 32, so that other machines find one
ENTER_HZ, ENTER_BURST = 10.0, 2 * MOST_PHONES  # of all phones: they all come again when this process was restarted
HALL = "audience"


class WrongToken(NetError):
    """The address that somebody came by is not one of this show."""


class Gateway:
    """Owned by the server; pure, but for the guests' connections. new_guest(introduction): one that is not connected.

    phones: those that are here. picture: the number of the newest picture, and its JPEG. requests: what the window's
    process is to do or to show, until they are taken.
    """

    def __init__(self, tokens: Tokens, new_guest: Callable[[Introduction], Guest], now_ns: Callable[[], int]) -> None:
        self.phones: list[Phone] = []
        self.picture = (0, b"")
        self.requests: list[dict[str, Any]] = []
        self._tokens, self._new_guest, self._now_ns = tokens, new_guest, now_ns
        self._hall = Hall(new_guest(Introduction(secrets.token_bytes(16), HALL, "player", "nothing")), now_ns)
        self._states: dict[str, dict[str, Any]] = {}  # what every phone is to know
        self._was_watched = False
        self._entering = Allowance(ENTER_HZ, ENTER_BURST, now_ns())

    def enter(self, wish: Enter) -> Phone:
        """Let a page in, and let the same page's older connection go. Raises WrongToken and NetError."""
        role = self._tokens.role_of(wish.token)
        if role is None:
            raise WrongToken("its address has no token of this show")
        identity = _identity(wish.identity)
        if not self._entering.take(self._now_ns()):
            raise NetError("too many come at once: try again")
        others = [phone for phone in self.phones if phone.identity != identity]
        if len(others) >= MOST_PHONES or (role in HAS_SEAT and sum(bool(o.guest) for o in others) >= MOST_SEATS):
            raise NetError(f"{len(others)} phones are here, more are not let in")
        for phone in [phone for phone in self.phones if phone not in others]:
            phone.is_replaced = True
            self.leave(phone)
        introduction = Introduction(bytes.fromhex(identity), wish.name, role, "nothing")
        guest = self._new_guest(introduction) if role in HAS_SEAT else None
        phone = Phone(role, wish.name, identity, guest, self._now_ns())
        self.phones.append(phone)
        phone.tell_state({"kind": "welcome", "role": role})
        for state in self._states.values():
            phone.tell_state(state)
        self._tell_waiting()
        self._note_watching()
        return phone

    def leave(self, phone: Phone) -> None:
        """A page has gone, or its place is taken."""
        if phone in self.phones:
            self.phones.remove(phone)
            phone.is_gone = True
            if phone.guest:
                phone.guest.close()
            phone.wake()
            self._note_watching()

    def hear(self, phone: Phone, wish: Wish) -> None:
        """Do what a page wants. Raises NetError for what its role does not do."""
        if isinstance(wish, Seen):
            phone.confirm(wish.picture)
        elif isinstance(wish, Watch):
            phone.watch(wish.on)
            self._note_watching()
        elif isinstance(wish, Ask):
            self._ask(phone, wish)
        elif phone.role != "operator":
            raise NetError(f"{phone.role}s do not ask for this: {type(wish).__name__}")
        elif isinstance(wish, TurnSwitch) and phone.guest:
            phone.guest.send(Switch(wish.switch, wish.on))
        elif isinstance(wish, AskCue):
            self.requests.append({"cue": wish.index})
        elif isinstance(wish, Decide):
            self.decide(wish.waiting, wish.let_in)
        else:
            raise NetError("it has entered already")

    def decide(self, number: int | None, let_in: bool) -> None:
        """Let words of the audience in or refuse them; None: the oldest."""
        self._route(self._hall.decide(number, let_in))
        self._tell_waiting()

    def show(self, jpeg: bytes) -> None:
        """There is a new picture."""
        self.picture = self.picture[0] + 1, jpeg
        for phone in self.phones:
            phone.wake()

    def tell_all(self, state: dict[str, Any]) -> None:
        """Every phone is to know this, now and when it comes later."""
        self._states[state["kind"]] = state
        for phone in self.phones:
            phone.tell_state(state)

    def poll(self) -> None:
        """Go on with the guests' connections, and pass on what the host has said. Raises nothing."""
        for message, _ in self._hall.guest.poll():
            if isinstance(message, Receipt):
                self._route(self._hall.hear(message))
            elif isinstance(message, Roster):
                players = [seat["name"] for seat in message.seats if seat["number"] and seat["name"] != HALL]
                self.tell_all({"kind": "people", "names": players})
            elif isinstance(message, News):
                self._tell_news(message)
        for phone in list(self.phones):
            if phone.is_gone:
                self.leave(phone)
            else:
                self._poll_phone(phone)

    def close(self) -> None:
        """Take leave of the host."""
        for phone in list(self.phones):
            self.leave(phone)
        self._hall.guest.close()

    def _poll_phone(self, phone: Phone) -> None:
        for message, _ in phone.guest.poll() if phone.guest else ():
            if isinstance(message, Receipt):
                phone.hear(message)
        phone.tell_state({"kind": "host", "joined": (phone.guest or self._hall.guest).is_joined})

    def _tell_news(self, news: News) -> None:
        for phone in self.phones:
            phone.tell({"kind": "news", "name": news.name, "text": news.event.get("text", "")})

    def _ask(self, phone: Phone, wish: Ask) -> None:
        if phone.guest:
            phone.ask(wish.number, wish.event, self._now_ns())
        elif phone.role == "audience":
            self._route(self._hall.ask((phone.identity, wish.number), phone.name, wish.event))
            self._tell_waiting()
        else:
            raise NetError("viewers watch")

    def _route(self, told: Told | None) -> None:
        """Give a receipt to the phone that it is for, if it is here."""
        for phone in self.phones:
            if told and phone.identity == told[0] and not phone.guest:
                phone.tell(told[1])

    def _tell_waiting(self) -> None:
        """Tell the operators, here and in the window, what waits."""
        queue = self._hall.queue
        waiting = [{"number": w.number, "name": w.name, "text": w.event["text"]} for w in queue]
        for phone in self.phones:
            if phone.role == "operator":
                phone.tell_state({"kind": "waiting", "words": waiting})
        self.requests.append({"waiting": [[w["name"], w["text"]] for w in waiting]})

    def _note_watching(self) -> None:
        """Tell the window's process whether anybody wants pictures, when that changes."""
        is_watched = any(phone.is_watching for phone in self.phones)
        if is_watched != self._was_watched:
            self._was_watched = is_watched
            self.requests.append({"watched": is_watched})


def _identity(given: str) -> str:
    """32 hex digits in lower case; raises NetError."""
    if len(given) != 32 or not set(given.lower()) <= set("0123456789abcdef"):
        raise NetError(f"expected an identity of 32 hex digits, got {given!a}")
    return given.lower()
