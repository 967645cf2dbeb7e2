"""How a guest follows its host: by latents, which it decodes itself, or by video. Pure."""

from __future__ import annotations

from collections import deque

JUDGED = 8  # blocks; auto gives up latents if most of them took too long
TOO_LONG = 0.9  # of the time that a block plays: what takes longer comes later and later


class FollowWay:
    """What was asked for, and what it comes to. Owned by the guest's model.

    wish: one of net.message.WAYS. current: "latents" or "video". can_decode: whether this machine has the weights of
    the world.
    """

    def __init__(self, wish: str, can_decode: bool) -> None:
        self.wish, self.can_decode = wish, can_decode
        self.current = "latents" if can_decode and wish != "video" else "video"
        self._took: deque[float] = deque(maxlen=JUDGED)

    def turn(self) -> None:
        """From latents to video, from there to auto, and from auto to what it is not; without weights only to video."""
        other = "video" if self.current == "latents" else "latents"
        self.wish = {"latents": "video", "video": "auto"}.get(self.wish, other)
        self.current = "latents" if self.can_decode and self.wish != "video" else "video"
        self._took.clear()

    def note_block(self, took_ns: int, plays_ns: float) -> bool:
        """A block was decoded here, which plays so long; whether video is the better way from now on."""
        self._took.append(took_ns / plays_ns)
        slow = sum(share > TOO_LONG for share in self._took)
        if self.wish != "auto" or self.current == "video" or slow <= JUDGED // 2:
            return False
        self.current = "video"
        return True

    def text(self) -> str:
        """For people."""
        why = " (auto)" if self.wish == "auto" else "" if self.wish == self.current else " (no weights here)"
        return self.current + why
