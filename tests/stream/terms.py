"""A stream whose latents and caches are terms: two are equal exactly where the same passes saw the same things.

It drives a SwitchState as a session does, without a network, so that thousands of streams can be compared with the law
of state (`law`), which is said here a second time: by every recache and clean pass of the log, in order, from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from world.block import Block, Conditions, Snapshot
from world.boundary import Boundary, apply_events
from world.cache_rules import CacheRules
from world.cache_work import FRONT, Append, Clear, Flush, Recache, Remake, Swap, Work
from world.dit.config import FLUSH_KEEPS
from world.event import Event
from world.fold import LoggedBlock, passes_to_restore
from world.info import DialRange, grip_dial
from world.past_block import PastBlock
from world.switch_state import SwitchState

STEPS = 4  # of denoising
DIALS = {"zoom": DialRange(), **grip_dial(None, 6)}
FIRST = Conditions("first words", 7)


@dataclass
class Terms:
    """Numbers for terms: equal terms get equal numbers."""

    numbers: dict[object, int] = field(default_factory=dict)

    def __call__(self, *term: object) -> int:
        return self.numbers.setdefault(term, len(self.numbers))


@dataclass
class Bank:
    """Keys and values of latent frames as (frame, term), in logical order: the sink, then what follows in time.

    mean: the averages of what has left the window. sinks, means: the averaged sink, and these averages, as they were
    before latent frame `end`, by `end`, for as long as one may ask for it.
    """

    rules: CacheRules
    terms: Terms
    slots: list[tuple[int, int]] = field(default_factory=list)
    mean: int | None = None
    sinks: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    means: dict[int, int | None] = field(default_factory=dict)

    def seen(self, start: int, end: int) -> tuple[object, ...]:
        """What a pass over the latent frames from `start` to `end` attends to besides them."""
        slots, mean = self.left(start, end)
        return (*slots, ("mean", mean)) if self.rules.averages_window else slots

    def left(self, start: int, end: int) -> tuple[tuple[tuple[int, int], ...], int | None]:
        """The slots and the averages once there is room for the latent frames from `start` to `end`."""
        older = [slot for slot in self.slots if slot[0] < start]
        if self.rules.window == -1:
            return tuple(older), None
        sink, room = self.rules.sink, self.rules.window - self.rules.sink - (end - start)
        leaving = max(0, len(older) - sink - room)
        kept, gone = older[:sink], older[sink:][:leaving]
        if self.rules.averages_sink and gone:
            kept = [(k[0], self.terms("average", k[1], g[1])) for k, g in zip(kept, gone, strict=True)]
        leaves = self.rules.averages_window and gone
        mean = self.terms("averages", self.mean, *(term for _, term in gone)) if leaves else self.mean
        return (*kept, *older[sink:][leaving:]), mean

    def take(self, start: int, end: int, term: object) -> tuple[object, ...]:
        """A pass over frames that may be new writes them with `term`; what it sees besides them."""
        if not self.holds(start, end):
            self.sinks, self.means = {start: self.slots[: self.rules.sink]}, {start: self.mean}
        seen, (slots, self.mean) = self.seen(start, end), self.left(start, end)
        self.slots = [*slots, *((frame, self.terms(term, seen)) for frame in range(start, end))]
        return seen

    def holds(self, start: int, end: int) -> bool:
        """Whether these frames have their slots already."""
        return [frame for frame, _ in self.slots if frame >= start] == list(range(start, end))

    def sink_before(self, end: int) -> list[tuple[int, int]]:
        """The sink as it was before the frames from `end` on."""
        return self.sinks.get(end, self.slots[: self.rules.sink])

    def append(self, words: str, block: Block) -> None:
        """The clean pass."""
        self.take(block.start, block.start + block.latents.shape[1], ("append", words, block.digest))

    def flush(self, end: int) -> None:
        """Forget all before latent frame `end` but the sink and the newest frames."""
        before, sink = [slot for slot in self.slots if slot[0] < end], self.rules.sink
        self.slots = [*before[:sink], *before[max(sink, len(before) - FLUSH_KEEPS) :]]

    def recache(
        self, words: str, latents: list[str], end: int, front: Bank, renew: bool, mean: int | None = None
    ) -> None:
        """Encode `latents`, the newest before latent frame `end`, at once; the sink before them comes from `front`."""
        self.mean = mean
        kept = min(end, self.rules.size) - len(latents)
        sink = [] if renew else front.sink_before(end)[:kept]
        term = self.terms("recache", words, tuple(latents), tuple(sink), mean)
        self.slots = [*sink, *((frame, term) for frame in range(end - len(latents), end))]


class TermStream:
    """What a session is, made of terms.

    blocks: all that were made, by number. means: the averages after each. stores: they travel with the block.
    """

    def __init__(self, rules: CacheRules, frames: int, terms: Terms, stores: bool = True) -> None:
        self.means: dict[int, int | None] = {}
        self.stores = stores
        self.state = SwitchState(rules, DIALS, FIRST)
        self.rules, self.frames, self.terms = rules, frames, terms
        self.front, self.back = Bank(rules, terms), Bank(rules, terms)
        self.blocks: dict[int, Block] = {}

    def begin(self, events: Sequence[Event]) -> None:
        self.do(self.state.begin(events))

    def made(self) -> Block:
        """The block in flight is done."""
        flight, start = self.state.flight, self.state.end
        bank = self.seen_by(start, flight.conditions)
        dials = tuple(flight.of_step(step).dials.get("zoom") for step in range(STEPS))
        term = self.terms("block", self.state.index, flight.conditions.words, flight.conditions.seed, bank, dials)
        made = self.state.made(self.frames)
        latents = np.full((1, self.frames, 1, 1, 1), term)
        self.means[made.index] = self.front.mean
        stored = None if self.front.mean is None or not self.stores else np.array([self.front.mean])
        place = made.index, made.parent, made.start
        block = Block(*place, latents, made.events, made.cut, made.seen, averages=stored)
        assert block.index not in self.blocks, "a number is used twice"
        self.blocks[block.index] = block
        return block

    def seen_by(self, start: int, conditions: Conditions) -> tuple[tuple[int, int], ...]:
        """What the passes of the next block see; they write to the front bank too."""
        return self.front.take(start, start + self.frames, ("noisy", conditions.words, conditions.seed))

    def after_block(self) -> None:
        self.do(self.state.after_block())

    def step(self, events: Sequence[Event] = ()) -> Block:
        self.begin(events)
        block = self.made()
        self.after_block()
        return block

    def ahead(self, events: Sequence[Event]) -> None:
        self.do(self.state.ahead(events))

    def do(self, work: Sequence[Work]) -> None:
        for piece in work:
            if isinstance(piece, Clear):
                self.front.slots, self.front.mean = [], None
            elif isinstance(piece, Recache):
                latents = self.latents(piece.end)[piece.end - piece.frames :]
                latents = with_recalled(self.rules, latents, piece.recalled)
                mean = self.mean_for(piece)
                self.back.recache(piece.words, latents, piece.end, self.front, piece.renew, mean)
            elif isinstance(piece, Append):
                (self.back if piece.to_back else self.front).append(piece.words, self.blocks[piece.block])
            elif isinstance(piece, Flush):
                self.front.flush(piece.end)
            elif isinstance(piece, Remake):
                self.seen_by(piece.start, piece.conditions)
            elif isinstance(piece, Swap):
                self.front, self.back = self.back, self.front

    def mean_for(self, work: Recache) -> int | None:
        """The averages that a recache goes on from."""
        if work.averages is None:
            return None
        return self.front.means.get(work.end, self.front.mean) if work.averages == FRONT else self.means[work.averages]

    def latents(self, end: int) -> list[str]:
        """The latents of each latent frame of the present scene before `end`; "?" where they are not remembered."""
        known = ["?"] * end
        for made in self.state.line:
            known[made.start : made.end] = [self.blocks[made.index].digest] * made.frames
        return known[:end]

    def line(self) -> list[Block]:
        """The blocks that were not taken back, oldest first."""
        newest = self.state.line.newest
        line, index = [], newest.index if newest else -1
        while index >= 0:
            line.insert(0, self.blocks[index])
            index = line[0].parent
        return line

    def fold(self, blocks: Sequence[Block]) -> None:
        """Become the stream that made `blocks`."""
        logged = [LoggedBlock(block, boundary) for block, boundary in boundaries(blocks)]
        for each, passes in zip(logged, passes_to_restore(logged, self.rules), strict=True):
            self.take(each.block)
            self.do(self.state.restore(each, passes))
            if passes.words is not None and passes.is_made_here:
                self.means[each.block.index] = self.front.mean

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from blocks that another stream made."""
        for block in snapshot.blocks:
            self.take(block)
        self.state.resume(snapshot)

    def take(self, block: Block) -> None:
        """Know a block that was made elsewhere, and the averages that came with it."""
        self.blocks[block.index] = block
        self.means[block.index] = None if block.averages is None else int(block.averages[0])

    def again(self, block: Block) -> Block:
        """Make a logged block anew."""
        self.do(self.state.again(block))
        return self.step()


def with_recalled(rules: CacheRules, encoded: list[str], recalled: Sequence[PastBlock]) -> list[str]:
    """The latents that a recache encodes, where recalled blocks take the first places of the sink."""
    frames = [digest_of(block) for block in recalled for _ in range(block.latents.shape[1])]
    newest = frames[-min(rules.sink, len(encoded) - 1) :] if rules.sink and len(encoded) > 1 else []
    return [*newest, *encoded[len(newest) :]]


def digest_of(block: PastBlock) -> str:
    """As of the block itself."""
    return Block(block.index, -1, 0, block.latents).digest


def boundaries(blocks: Sequence[Block]) -> Iterator[tuple[Block, Boundary]]:
    """Each block of a whole line and the boundary before it."""
    conditions = FIRST
    for block in blocks:
        boundary = apply_events(conditions, block.events, block.index, DIALS)
        yield block, boundary
        conditions = boundary.conditions


def law(rules: CacheRules, terms: Terms, line: Sequence[Block]) -> Bank:
    """The bank that the last block of `line` was made with: each recache, flush and clean pass, in order."""
    since = max(place for place, block in enumerate(line) if block.start == 0)
    scene = [pair for place, pair in enumerate(boundaries(line)) if place >= since]
    bank, words, latents = Bank(rules, terms), scene[0][1].conditions.words, []
    for block, own in scene:
        del latents[block.start :]  # of its parent only what comes before it is left
        crossings = [(later, boundary) for later, boundary in scene[1:] if later.cut == block.index]
        for _, boundary in crossings:
            words, old = boundary.conditions.words, bank
            if rules.flush and not boundary.renew:
                bank.flush(block.start)
                continue
            renew = boundary.renew or not rules.keep_sink
            count = rules.frames_needed(len(latents), renew)
            if boundary.grip < 1:
                count = rules.frames_carried(len(latents), boundary.grip, bool(boundary.recalled))
            encoded = latents[len(latents) - count :] if latents else []
            encoded = with_recalled(rules, encoded, boundary.recalled)
            is_kept = len(latents) > rules.window and (not boundary.renew or boundary.keeps_averages)
            bank = Bank(rules, terms)
            bank.recache(words, encoded, len(latents), old, renew, old.mean if is_kept else None)
        if block is line[-1]:
            return bank
        end = block.start + block.latents.shape[1]
        if rules.clean_pass or any(later.seen != block.index for later, _ in crossings):
            bank.append(words, block)
        else:
            bank.take(block.start, end, ("noisy", own.conditions.words, own.conditions.seed))
        latents += [block.digest] * block.latents.shape[1]
    raise AssertionError("the last block is of another scene")
