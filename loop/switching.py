"""What becomes of the frames that wait when something new is asked for: kept, dropped unseen, or shown faster."""

from __future__ import annotations

from dataclasses import dataclass

from loop.link.kept import Kept
from loop.peer.peers import Peers
from loop.supervise.model import Model
from loop.timing.leap import Change
from loop.timing.playback import Playback
from loop.timing.switch import CUTS, LEAPS, TAKES_BACK
from world.event import Dial, Event, Prompt, Recall, Scene


@dataclass(frozen=True)
class Way:
    """How an event gets to the screen.

    kept: up to where the frames are kept, if the later ones, which nobody saw, are dropped for it; None: all are kept.
    for_words: they are dropped for other words. leaps: its block is begun at once, and what comes before shown faster.
    """

    kept: Kept | None = None
    for_words: bool = False
    leaps: bool = False


class Switching:
    """Decides by the model's mode and by what can be made in time. Owned by the engine. peers: as in its parts."""

    def __init__(self, model: Model, peers: Peers | None) -> None:
        self._model, self._peers = model, peers

    def way_for(self, number: int, event: Event, playback: Playback, now_ns: int, can_leap: bool) -> Way:
        """The way of event `number`. can_leap: nothing on the screen is against it: no freeze, and no beat to meet.

        Nothing leaps while guests follow, since their screens would jump.
        """
        is_words = isinstance(event, Scene) or (isinstance(event, Prompt) and event.text != self._model.words)
        if is_words or isinstance(event, Recall):
            playback.stop_leaping()
        if not is_words and not isinstance(event, Dial):
            return Way()
        kept = self._newest_to_keep(playback, now_ns, is_words, isinstance(event, Scene))
        leaps = can_leap and self._model.mode in LEAPS and self._is_alone
        if leaps:
            needs_recache = isinstance(event, Prompt) if is_words else kept is not None
            change = Change(number, is_words, needs_recache)
            leaps = playback.leaps(change, kept, now_ns, is_asked=self._model.mode == "leap")
        return Way(kept if is_words or leaps else None, is_words, leaps)

    @property
    def _is_alone(self) -> bool:
        """Whether this machine makes the blocks, and shows them on its own screen only."""
        return self._peers is None or (self._peers.can_go_back and not self._peers.lead_ns)

    def _newest_to_keep(self, playback: Playback, now_ns: int, is_words: bool, no_recache: bool) -> Kept | None:
        """Up to where the frames are kept: within a block where that can be, or else up to the end of one.

        Blocks are cut for words only, and not while guests follow, whose screens would jump.
        """
        if self._model.mode not in TAKES_BACK:
            return None
        at_ns = now_ns + (self._peers.horizon_ns if self._peers else 0)
        ready_ns = playback.ready_ns(at_ns, self._model.is_switching, no_recache)
        if ready_ns is None:
            return None
        cuts = is_words and self._model.mode in CUTS and self._is_alone and playback.can_cut(no_recache)
        for can_cut in (True, False) if cuts else (False,):
            kept = playback.newest_to_keep(at_ns, ready_ns, can_cut)
            if kept is not None and self._model.can_take_back(kept):
                return kept
        return None
