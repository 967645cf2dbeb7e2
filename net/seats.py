"""What a host knows of a guest that it has let in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from net.allowance import Allowance
from net.channel import Channel
from net.message import Receipt

KEPT_RECEIPTS = 64
MESSAGES_HZ, MESSAGES_BURST = 250.0, 500  # of any kind; who sends more is no guest of ours
WORDS_HZ, WORDS_BURST = 2.0, 8
DIALS_HZ, DIALS_BURST = 120.0, 240


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
    def address(self) -> str:
        """Where others find it if it takes the host's place; empty for one that could not go on with the world."""
        return self.place if self.follow == "latents" else ""


def new_member(number: int, now_ns: int) -> Member:
    """A member without anything that a Hello tells of it."""
    words, dials = Allowance(WORDS_HZ, WORDS_BURST, now_ns), Allowance(DIALS_HZ, DIALS_BURST, now_ns)
    return Member(number, words, dials, Allowance(MESSAGES_HZ, MESSAGES_BURST, now_ns))
