"""What a cache holds of a stream, and what follows for a recache: how much it encodes, and whose sink it needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheRules:
    """Sizes in latent frames.

    window: all that a block attends to, the sink and the block itself included; -1 for everything since the beginning.
    sink: the first frames, which are never evicted. size: room in the buffer. keep_sink: a recache leaves the sink as
    it was first written, once the window is full. clean_pass: a finished block is written to the cache once more,
    without noise; else it stays there as its last denoising pass wrote it. averages_sink: frames that leave the window
    go into a running average in the sink. flush: new words keep the sink and a few newest frames in the cache as they
    are, and forget the others; only a Rebuild makes a cache of latents. carried: of how many frames those that new
    words keep are a multiple. averages_window: frames that leave the window go into averages beside the sink.
    """

    window: int
    sink: int
    size: int
    keep_sink: bool = True
    clean_pass: bool = True
    averages_sink: bool = False
    flush: bool = False
    carried: int = 1
    averages_window: bool = False

    @property
    def is_endless(self) -> bool:
        """Whether a cache depends on all that was since its sink was made, and not on a window of it alone."""
        return self.averages_sink or self.averages_window or self.flush

    @property
    def cut_from(self) -> int | None:
        """From which latent frame of a scene on a block may end before its last one; None: blocks stay whole.

        The recache that has to follow is then like that of any full window. An endless cache holds what was cut away.
        """
        return None if self.is_endless or self.window == -1 else self.window

    def frames_needed(self, made: int, renew: bool) -> int:
        """How many of the `made` latent frames a recache encodes; renew: the sink is made anew.

        Inside the first window it encodes all of them, the sink included. Later a sink that is kept spares as many
        frames: nothing attends to what the published procedure encodes in their place.
        """
        if self.window == -1 or made <= self.window:
            return made
        filled = min(made, self.size)
        first = filled - self.window
        return filled - (first if renew else max(first, self.sink))

    def frames_carried(self, made: int, grip: float, is_recall: bool = False) -> int:
        """How many of the `made` latent frames new words keep at a `grip` below 1: the newest ones.

        They fill the sink at least, and beside recalled blocks one frame more.
        """
        room = self.size if self.window == -1 else self.window
        frames = max(1, self.sink + is_recall, round(grip * room))
        return min(made, -(-frames // self.carried) * self.carried, room)

    def most_recalled(self, encoded: int) -> int:
        """How many of the frames that a recache encodes may be of recalled blocks: those of the sink, never all."""
        return max(0, min(self.sink, encoded - 1))

    def makes_sink(self, made: int, renew: bool) -> bool:
        """Whether a recache of `made` latent frames writes the sink too, so that nothing older matters any more."""
        if self.flush:
            return renew or not made
        return self.window == -1 or made <= self.window or renew or not self.keep_sink
