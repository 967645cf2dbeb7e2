"""The switch protocol: under which conditions each block is made, and what has to happen to the caches for it.

Pure, and without torch. A SwitchState is told what comes (events, blocks made, abandoned or taken back) and returns
what has to be done, in order; whoever drives it does so before the next call. A session does it with real caches, the
test card spends what it would cost, and both give the same numbers, cuts and parents to their blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace

from world.block import Block, Conditions, Snapshot
from world.block_line import BlockLine, MadeBlock
from world.boundary import Boundary, apply_events, in_range
from world.cache_rules import CacheRules
from world.cache_work import FRONT, Append, BankState, Clear, Flush, Recache, Remake, Swap, Work
from world.event import Dial, Event, Rebuild, Recall, at_boundary, without_latents
from world.fold import LoggedBlock, Passes
from world.info import DialRange

SPARE = 8  # blocks that can be taken back, if nobody asks for more


class SwitchState:
    """The one owner of what is in force, in flight, ahead and taken back, and of what each bank holds.

    A block is in flight from `begin` to `made`. Abandoned in between, it leaves its events in force: the next `begin`
    makes the block of the same number, under them and its own.

    index: the number of the next block, or of the block in flight. line: the newest blocks, of which `spare` can be
    taken back. flight: the boundary before the block in flight, and what came between its denoising steps. begun: how
    often a block was begun.
    """

    def __init__(
        self, rules: CacheRules, dials: Mapping[str, DialRange], conditions: Conditions, spare: int = SPARE
    ) -> None:
        self.index = self.begun = 0
        self.line = BlockLine(rules, spare)
        self.flight: Boundary | None = None
        self._rules, self._dials = rules, dials
        self._front, self._back = BankState(None), BankState(None)
        self._before = conditions  # in force before the events that wait for the next block
        self._events: tuple[Event, ...] = ()  # of the next block, or of the block in flight
        self._ahead: tuple[Event, ...] = ()  # of the block after the one in flight

    @property
    def conditions(self) -> Conditions:
        """What the next block is made under; while one is in flight, the block after it."""
        return self._boundary.conditions

    @property
    def end(self) -> int:
        """The latent frame that comes next, counted since the beginning of the scene."""
        newest = self.line.newest
        return 0 if newest is None or (self.flight is not None and self.flight.scene) else newest.end

    def copy(self) -> SwitchState:
        """Another one that is where this one is."""
        twin = copy(self)
        twin.line = self.line.copy()
        return twin

    def begin(self, events: Sequence[Event]) -> list[Work]:
        """Begin the next block under `events`; what must be done before its first denoising step."""
        self.abandon()
        boundary = self._take(events)
        work = self._catch_up(boundary)
        self.flight = self._boundary
        self.begun += 1
        return work

    @property
    def can_turn(self) -> bool:
        """Whether dials may still enter the block in flight: not once events were taken for the block after it."""
        return self.flight is not None and not self._ahead and self._rules.clean_pass

    def turn(self, dials: Sequence[Dial], step: int) -> None:
        """Let `dials` enter the block in flight, of which `step` denoising steps are done."""
        assert self.flight is not None and self.can_turn, "no block is in flight that dials may enter"
        late = tuple(replace(dial, step=step) for dial in dials)
        turned = apply_events(self.flight.conditions, late, self.index, self._dials)
        self._events += late
        self.flight = replace(self.flight, conditions=turned.conditions, earlier=self.flight.earlier + turned.earlier)

    def made(self, frames: int) -> MadeBlock:
        """The block in flight was made, of `frames` latent frames; its place in the stream and in the log."""
        flight, start = self.flight, self.end
        assert flight is not None, "no block is in flight"
        cut = self._front.cut if start else self.index if flight.is_cut else None
        seen = None if cut is None else self.index
        block = MadeBlock(self.index, self._parent, start, start + frames, self._events, flight, cut, seen)
        self.line.add(block)
        # without a clean pass, the bank is up to date already
        held = self._front.end if self._rules.clean_pass else block.end
        self._front = replace(self._with_average(self._front, block.end), end=held, cut=None)
        self._go_on(self.index + 1, flight.conditions, self._ahead)
        return block

    def after_block(self) -> list[Work]:
        """The clean pass of the newest block, unless the next block begins with a recache or a scene anyway."""
        boundary = self._boundary
        if boundary.scene:
            return []
        return self._finish_front() if self._is_flush(boundary) else self._clean_pass(boundary)

    def ahead(self, events: Sequence[Event]) -> list[Work]:
        """Take `events` for the next block, or for the one after the block in flight; the recache that they need.

        The block in flight is finished as it was begun. Words that return to those in force need nothing, nor does a
        hard cut, nor a flush.
        """
        boundary = self._take(events)
        if boundary.scene or self._is_flush(boundary):
            self._back = BankState(None)
            return []
        if any(bank.matches(boundary, self._seen) for bank in (self._front, self._back)):
            return []
        return [self._recache(self._with_sink(boundary))]

    def abandon(self) -> None:
        """Give up the block in flight, if there is one: all events that were taken go to the next try."""
        if self.flight is not None:
            self._events = tuple(at_boundary(event) for event in (*self._events, *self._ahead))
            self._ahead, self.flight = (), None
            self._back = BankState(None)

    def lose_back(self) -> None:
        """The back bank is used for something else: a recache that was begun in it is made again when it is needed."""
        self._back = BankState(None)

    def distrust(self, drop_events: bool) -> None:
        """Give up a block in flight that came out unusable, and trust no bank: the next try makes them from latents.

        The recache is a Rebuild among the events, so that the log shows it. drop_events: the events that were taken are
        given up as well.
        """
        self.abandon()
        self._events = () if drop_events else self._events
        self._front, self._back = BankState(None), BankState(None)
        if self.end:
            self._events += (Rebuild(),)

    def take_back(self, after: int, latents: int | None = None) -> None:
        """Forget the blocks newer than `after`, unseen; the next block continues `after` and carries their events.

        latents: cut `after` itself so that this many of its latent frames are left; None: all. The next block then
        begins where the last of them ends, and has a `cut`. Raises ValueError where a recache could not follow.
        """
        self.abandon()
        before = self.end
        forgotten = self.line.take_back(after, latents)
        if self.end != before:
            newest = self.line.newest
            assert newest is not None and newest.boundary is not None, "nobody can return to a block of unknown words"
            self._before = newest.boundary.conditions
            events = [at_boundary(event) for block in forgotten for event in block.events]
            kept = self._rebuild()  # the averages after `after` may not be known
            self._events = (*(kept if event == Rebuild(True) else event for event in events), *self._events)
            self._front, self._back = replace(self._front, words=None, cut=None), BankState(None)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`; the next block carries a Rebuild before its own events, so that the log shows the cut.

        Raises ValueError when the snapshot holds too few latent frames.
        """
        self.abandon()
        now = Conditions(snapshot.words, snapshot.seed, in_range(snapshot.dials, self._dials))
        self.line.clear()
        self._front, self._back = BankState(None), BankState(None)
        for block, words in snapshot.line():
            dials = in_range(block.dials, self._dials) or now.dials
            boundary = None if words is None else Boundary(Conditions(words, now.seed, dials))
            end = block.start + block.latents.shape[1]
            events, has_averages = tuple(without_latents(event) for event in block.events), block.averages is not None
            made = MadeBlock(block.index, block.parent, block.start, end, events, boundary, has_averages=has_averages)
            self.line.add(made)
        self.line.require(snapshot.start, self._rules.frames_needed(snapshot.start, renew=True))
        self._go_on(snapshot.index, now, (self._rebuild(),) if snapshot.start else ())

    def skip_to(self, index: int) -> None:
        """Let the next block have the number `index`; raises ValueError for one that may be in use."""
        if self.flight is not None or index < self.index:
            raise ValueError(f"block {self.index} comes next, not {index}: numbers are never used again")
        self.index = index

    def restore(self, logged: LoggedBlock, passes: Passes) -> list[Work]:
        """Take the next block of a log as made; what makes its state again (world.fold). Raises ValueError at a gap."""
        block, work = logged.block, list[Work]()
        if block.start == 0:
            self.line.clear()
            self._front = BankState(logged.boundary.conditions.words, 0, block.index)
            work.append(Clear())
        if logged.is_recached:
            self._cut_at(block.start)
        if self.line.newest and block.start != self.end:
            come = f"a block begins at latent frame {block.start} where {self.end} comes next"
            raise ValueError(f"{come}: blocks are missing")
        for later in passes.recaches:
            self.index = later.block.index
            if self._is_flush(later.boundary):
                work.append(Flush(block.start))
                self._front = replace(self._front, words=later.boundary.conditions.words)
                continue
            is_first = later is passes.recaches[0]
            work += [self._recache(later.boundary, block.start, passes.from_stored and is_first), Swap()]
            self._front, self._back = replace(self._back, cut=None), BankState(None)
        end, conditions = block.start + block.latents.shape[1], logged.boundary.conditions
        self.index = block.index
        has_averages = block.averages is not None or (passes.words is not None and passes.is_made_here)
        place = block.index, self._parent, block.start, end
        self.line.add(MadeBlock(*place, block.events, logged.boundary, has_averages=has_averages))
        if passes.words is not None:
            is_kept_noisy = passes.is_made_here and not self._rules.clean_pass
            again = Remake(block.index, block.start, conditions) if is_kept_noisy else Append(passes.words, block.index)
            work.append(again)
            self._front = replace(self._with_average(self._front, end), end=end)
        self._go_on(block.index + 1, conditions, ())
        return work

    def again(self, block: Block) -> list[Work]:
        """Get ready to make a logged block anew, after its parent: `begin` then needs no recache of its own.

        Where it begins before its parent ends, the parent was cut there, and is cut now. Its events are all that it was
        made under: those that wait, as after blocks were taken back, are among them.
        """
        self.abandon()
        self.index, self._events = block.index, ()
        boundary = self._take(block.events)
        if not block.start or block.cut is None or self._is_flush(boundary):
            return []
        self._cut_at(block.start)
        later = [made for made in self.line if made.index >= block.cut]
        recache = self._recache(boundary, self.end - sum(made.frames for made in later))
        words = boundary.conditions.words
        self._front, self._back = replace(self._back, end=self.end, cut=block.cut), BankState(None)
        return [recache, Swap(), *(Append(words, made.index) for made in later)]

    def _cut_at(self, end: int) -> None:
        """Let the newest block end where one of the log, whose cache was made anew, continues it."""
        newest = self.line.newest
        if newest and newest.start < end < newest.end:
            self.line.end_at(end)

    # -- the block that comes next --

    @property
    def _seen(self) -> int:
        """The number of the block that events are taken for now."""
        return self.index + (self.flight is not None)

    @property
    def _boundary(self) -> Boundary:
        """The boundary before that block."""
        if self.flight is not None:
            return apply_events(self.flight.conditions, self._ahead, self._seen, self._dials)
        return apply_events(self._before, self._events, self._seen, self._dials)

    @property
    def _parent(self) -> int:
        return self.line.newest.index if self.line.newest else -1

    def _take(self, events: Sequence[Event]) -> Boundary:
        """Let `events` take effect on that block; raises ValueError before anything has changed."""
        apply_events(self.conditions, events, self._seen, self._dials)
        lost = [number for event in events if isinstance(event, Recall) for number in event.missing]
        if lost:
            raise ValueError(f"block {lost[0]} is recalled, and its latents did not come with the event: read them too")
        if self.flight is not None:
            self._ahead += tuple(events)
        else:
            self._events += tuple(events)
        return self._boundary

    def _go_on(self, index: int, conditions: Conditions, events: tuple[Event, ...]) -> None:
        """Block `index` comes next, after one that was made under `conditions`; `events` are taken for it already."""
        self.index, self._before = index, conditions
        self._events, self._ahead, self.flight = events, (), None

    # -- the banks --

    def _catch_up(self, boundary: Boundary) -> list[Work]:
        """Bring the front bank under the next block's words and up to the newest block."""
        if boundary.scene or not self.end:
            self._front, self._back = BankState(boundary.conditions.words, 0, self.index), BankState(None)
            return [Clear()]
        if self._front.matches(boundary, self.index):
            work = self._clean_pass(boundary)
        elif self._is_flush(boundary) and self._front.words is not None:
            work = [*self._finish_front(), Flush(self.end)]
            self._front = replace(self._front, words=boundary.conditions.words, cut=self.index)
        elif self._back.matches(boundary, self.index):
            work = [*self._clean_pass(boundary), Swap()]
            self._front = self._back
        else:
            work = [self._recache(self._with_sink(boundary)), Swap()]
            self._front = self._back
        self._back = BankState(None)
        return work

    def _clean_pass(self, boundary: Boundary) -> list[Work]:
        """What the bank that matches the next block lacks of the newest one; nothing where neither bank matches."""
        words, newest = boundary.conditions.words, self._parent
        if self._front.matches(boundary, self._seen):
            is_missing, self._front = self._front.end != self.end, replace(self._front, end=self.end)
            return [Append(words, newest)] if is_missing else []
        if self._back.matches(boundary, self._seen):
            is_missing = self._back.end != self.end
            if is_missing:
                self._back = replace(self._with_average(self._back, self.end), end=self.end)
            return [Append(words, newest, to_back=True)] if is_missing else []
        return []

    def _is_flush(self, boundary: Boundary) -> bool:
        """Whether the cache follows this boundary by forgetting all but its sink and its newest frames."""
        return self._rules.flush and boundary.switch and not boundary.renew

    def _finish_front(self) -> list[Work]:
        """What the front bank lacks of the newest block, under the words that it was made under."""
        words, is_missing = self._front.words, self._front.end != self.end
        self._front = replace(self._front, end=self.end)
        return [Append(words, self._parent)] if is_missing and words is not None else []

    def _with_average(self, bank: BankState, end: int) -> BankState:
        """`bank` after a block that ends at latent frame `end` was written to it, for block number `index`.

        A sink that is an average is another one after each block that pushed frames out of the window. Written again to
        a bank that was made beside it, under other words, it is the sink of the block that is made with that bank.
        """
        is_changed = self._rules.averages_sink and end > self._rules.window
        return replace(bank, sink_since=self.index) if is_changed else bank

    def _recache(self, boundary: Boundary, end: int | None = None, from_stored: bool = False) -> Recache:
        """Let the back bank be filled for the next block, from what comes before latent frame `end`.

        from_stored: go on from the averages that are stored with the block before, whatever the front bank's are.
        """
        end, words = self.end if end is None else end, boundary.conditions.words
        makes_sink = self._rules.makes_sink(end, boundary.renew)
        since = self._seen if makes_sink else self._front.sink_since
        averages = self._averages_before(end, boundary, from_stored)
        self._back = BankState(words, end, since, self.index, boundary.recalled, boundary.grip, boundary.keeps_averages)
        renew = boundary.renew or not self._rules.keep_sink
        is_short, frames = boundary.grip < 1, self._rules.frames_needed(end, renew)
        if is_short:
            frames = self._rules.frames_carried(end, boundary.grip, bool(boundary.recalled))
        self.line.require(end, frames)
        return Recache(words, end, frames, renew, boundary.recalled, is_short, averages)

    def _averages_before(self, end: int, boundary: Boundary, from_stored: bool) -> int | None:
        """Whose averages a recache of what comes before latent frame `end` goes on from; as in Recache."""
        is_anew = boundary.renew and not boundary.keeps_averages
        if not self._rules.averages_window or end <= self._rules.window or is_anew:
            return None
        if self._has_front_averages and not from_stored:
            return FRONT
        before = next(block for block in self.line if block.end == end)
        if not before.has_averages:
            raise ValueError(f"the averages after block {before.index} are not known: make them anew with a Rebuild")
        return before.index

    @property
    def _has_front_averages(self) -> bool:
        """Whether the front bank's averages are those of the line, and not of what was taken back or given up.

        The latter are those of a bank that the newest block was written to again, for a block that was never made.
        """
        newest, cut = self._parent, self._front.cut
        is_given_up = self.flight is None and cut is not None and cut <= newest
        return self._front.words is not None and not is_given_up

    def _rebuild(self) -> Rebuild:
        """What makes the cache anew of latents, with the averages after the newest block where they are known."""
        newest = self.line.newest
        return Rebuild(self._rules.averages_window and newest is not None and newest.has_averages)

    def _with_sink(self, boundary: Boundary) -> Boundary:
        """The same boundary, or one more event: a Rebuild, where the sink that should be kept is not of this line.

        Such a sink came with a block that was taken back. It is made anew, and the event says so in the log. So is
        every cache that is made of latents although new words would only flush it, and one whose averages are lost.
        """
        newest = self._parent if self.flight is None else self.index
        is_of_the_line = self._rules.makes_sink(self.end, boundary.renew) or self._front.sink_since <= newest
        needs_event = self._rules.flush and not boundary.renew
        if needs_event or not is_of_the_line or self._lost_averages(boundary):
            return self._take([self._rebuild()])
        return boundary

    def _lost_averages(self, boundary: Boundary) -> bool:
        """Whether the averages that should be kept are not those of the front bank, nor known of the newest block."""
        keeps = self._rules.averages_window and not boundary.renew and self.end > self._rules.window
        newest = self.line.newest
        return keeps and not self._has_front_averages and not (newest and newest.has_averages)
