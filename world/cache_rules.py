"""What a cache holds of a stream, and what follows for a recache: how much it encodes, and whose sink it needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheRules:
    """Sizes in latent frames.

    window: all that a block attends to, the sink and the block itself included; -1 for everything since the beginning.
    sink: the first frames, which are never evicted. size: room in the buffer. keep_sink: a recache leaves the sink as
    it was first written, once the window is full.
    """

    window: int
    sink: int
    size: int
    keep_sink: bool = True

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

    def most_recalled(self, encoded: int) -> int:
        """How many of the frames that a recache encodes may be of recalled blocks: those of the sink, never all."""
        return max(0, min(self.sink, encoded - 1))

    def makes_sink(self, made: int, renew: bool) -> bool:
        """Whether a recache of `made` latent frames writes the sink too, so that nothing older matters any more."""
        return self.window == -1 or made <= self.window or renew or not self.keep_sink
