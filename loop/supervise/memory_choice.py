"""Which blocks of the past come back as memory when the words change: rules of the literature, without their training.

named: those that somebody names, by a bookmark; nothing comes back by itself. like: those whose latents are most like
the newest ones (LongLive-RAG's retriever `avg_pool`, here at a change of words and not at every block). words: those
that were made under the most similar words (in MemFlow the prompt chooses too, by its attention). switch: the first
block that was made after the last change of words (Anchor Forcing's junction).
"""

from __future__ import annotations

import numpy as np

from loop.supervise.past import ShowPast
from world.event import Recall
from world.info import WorldInfo

MEMORIES = ("named", "like", "words", "switch")


def recall_for(rule: str, past: ShowPast, newest: int, text: str, info: WorldInfo) -> Recall | None:
    """What comes back with the words `text` after block `newest`, by one of MEMORIES; None if nothing does.

    A block counts once it has left the window: what is still in it needs no bringing back.
    """
    line = past.ancestors(newest) if rule != "named" else []
    older = line[: max(0, len(line) - past.memory_blocks)]
    if not older:
        return None
    if rule == "like":
        chosen: int | None = most_alike(past, older, newest)
    elif rule == "words":
        chosen = most_spoken(past, older, text, info)
    else:
        chosen = junction(past, older, newest)
    return None if chosen is None else Recall(past.recalled(chosen, info.sink_blocks), text)


def most_alike(past: ShowPast, older: list[int], newest: int) -> int:
    """The one of `older` whose mean latents, channel by channel, have the largest cosine; of equals the newest."""
    means = np.stack([past.mean_latents(index) for index in [*older, newest]])
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-12
    alike = means[:-1] @ means[-1]
    return older[len(older) - 1 - int(alike[::-1].argmax())]


def most_spoken(past: ShowPast, older: list[int], text: str, info: WorldInfo) -> int | None:
    """The one of `older` that shares the largest part of its known words; of equals the newest. None without any."""
    asked, shares = set(info.known_words(text)), dict[str, float]()
    for words in dict.fromkeys(past.words(index) for index in older):
        known = set(info.known_words(words))
        shares[words] = len(asked & known) / max(1, len(asked | known))
    best = max(reversed(older), key=lambda index: shares[past.words(index)])
    return best if shares[past.words(best)] else None


def junction(past: ShowPast, older: list[int], newest: int) -> int:
    """The first block under the words of `newest`; while that is in the window, the first under the words before."""
    first = past.first_under(newest)
    return first if first in older else past.first_under(older[-1])
