"""What a host knows of a guest that it has let in."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from net.allowance import Allowance
from net.channel import Channel
from net.message import Receipt, Roster

KEPT_RECEIPTS = 64
MAX_VIDEO_WAITING = 256 * 2**10  # bytes; what has not left by then is too old when it comes
MESSAGES_HZ, MESSAGES_BURST = 250.0, 500  # of any kind; who sends more is no guest of ours
WORDS_HZ, WORDS_BURST = 2.0, 8
DIALS_HZ, DIALS_BURST = 120.0, 240
BEGINNINGS_HZ, BEGINNINGS_BURST = 1.0, 8  # snapshots and key frames, which cost the host and all others most


@dataclass
class Member:
    """A guest that was let in; it stays known for a while after its connection is lost. Owned by the host.

    received: its newest event that was accepted. receipts: the newest that it was sent, to be sent again when it comes
    back. channel: None while it is away. weights: of the world that it has open. place: where it would listen if it
    took the host's place. needs_key: of the video it can use nothing before a key frame. video_after: the newest block
    that it has as latents; the video goes on after it.
    """

    number: int
    words: Allowance
    dials: Allowance
    messages: Allowance
    beginnings: Allowance
    name: str = ""
    role: str = "viewer"
    follow: str = "nothing"
    weights: str = ""
    place: str = ""
    channel: Channel | None = None
    received: int = 0
    delay_ns: int = 0
    round_trip_ns: int = 0
    needs_key: bool = True
    video_after: int = -1
    receipts: deque[Receipt] = field(default_factory=lambda: deque(maxlen=KEPT_RECEIPTS))

    @property
    def is_here(self) -> bool:
        """Whether it is connected now."""
        return self.channel is not None

    @property
    def waiting_bytes(self) -> int:
        """What was sent to it and has not left yet."""
        return self.channel.waiting_bytes if self.channel else 0

    @property
    def address(self) -> str:
        """Where others find it if it takes the host's place; empty for one that could not go on with the world."""
        return self.place if self.follow == "latents" else ""

    def can_go_on(self, is_key: bool) -> bool:
        """Whether the next frame of the video is of use to it.

        While too much waits for it, none is, and then none before a key frame: so it falls behind by no more.
        """
        if self.needs_key:
            self.needs_key = self.waiting_bytes > 0 or not is_key
        else:
            self.needs_key = self.waiting_bytes > MAX_VIDEO_WAITING
        return not self.needs_key

    def objection(self, is_dial: bool, now_ns: int) -> str:
        """Why it may not have an event now; empty if it may."""
        if self.role == "viewer":
            return "viewers watch"
        allowance = self.dials if is_dial else self.words
        return "too many at once: wait a moment" if self.role == "player" and not allowance.take(now_ns) else ""


def roster_of(members: Sequence[Member], host_name: str) -> Roster:
    """Who is there now. Those who could take the host's place are numbered in the order of their coming."""
    host = {"number": 0, "name": host_name, "role": "operator", "follow": "nothing"}
    seats: list[dict[str, Any]] = [{**host, "delay_ms": 0.0, "address": "", "successor": 0}]
    place = 0
    for member in members:
        place += bool(member.address)
        seat = {"number": member.number, "name": member.name, "role": member.role, "follow": member.follow}
        seat |= {"delay_ms": member.delay_ns / 1e6, "address": member.address}
        seats.append({**seat, "successor": place if member.address else 0})
    return Roster(tuple(seats))


def new_member(number: int, now_ns: int) -> Member:
    """A member without anything that a Hello tells of it."""
    words, dials = Allowance(WORDS_HZ, WORDS_BURST, now_ns), Allowance(DIALS_HZ, DIALS_BURST, now_ns)
    messages = Allowance(MESSAGES_HZ, MESSAGES_BURST, now_ns)
    return Member(number, words, dials, messages, Allowance(BEGINNINGS_HZ, BEGINNINGS_BURST, now_ns))
