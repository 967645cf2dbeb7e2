"""The switch protocol by itself: random streams of terms, held against the law of state."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.stream.terms import FIRST, Terms, TermStream, boundaries, law
from world.block import Block, Conditions, Snapshot
from world.cache_rules import CacheRules
from world.cache_work import FRONT, Append, Clear, Recache, Swap
from world.event import Dial, Prompt, Rebuild, Recall, Rewind, Scene, at_boundary
from world.info import DialRange
from world.past_block import PastBlock
from world.switch_state import SwitchState

RULES = {
    "sink of a block": (CacheRules(6, 2, 6), 2),
    "no sink": (CacheRules(6, 0, 6), 2),
    "sink above a block": (CacheRules(6, 3, 6), 1),
    "uneven window": (CacheRules(7, 2, 7), 2),
    "sink made anew at each switch": (CacheRules(6, 2, 6, keep_sink=False), 2),
    "everything": (CacheRules(-1, 2, 400), 2),
    "no clean pass": (CacheRules(6, 2, 6, clean_pass=False), 2),
    "no clean pass, no sink": (CacheRules(6, 0, 6, keep_sink=False, clean_pass=False), 2),
    "averaged sink": (CacheRules(6, 2, 6, averages_sink=True, carried=2), 2),
    "averaged sink, no clean pass": (CacheRules(6, 2, 6, averages_sink=True, clean_pass=False, carried=2), 2),
    "two averages": (CacheRules(6, 2, 6, averages_window=True), 2),
    "two averages, small blocks": (CacheRules(5, 2, 5, averages_window=True), 1),
    "two averages, no clean pass": (CacheRules(6, 2, 6, averages_window=True, clean_pass=False), 2),
    "two averages, flushed": (CacheRules(7, 1, 7, averages_window=True, flush=True), 2),
    "flushed": (CacheRules(6, 1, 6, flush=True), 3),
    "flushed, no sink": (CacheRules(8, 0, 8, flush=True), 2),
    "blocks of three": (CacheRules(12, 3, 12), 3),
}
words = st.sampled_from(["first words", "b", "c"])
event = st.one_of(
    words.map(Prompt),
    st.floats(-1, 1).map(lambda value: Dial("zoom", value)),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]).map(lambda value: Dial("grip", value)),
    st.booleans().map(Rebuild),
    words.map(Scene),
    st.tuples(words, st.lists(st.integers(0, 30), min_size=1, max_size=2)),  # a Recall, as `known` makes it
)
events = st.lists(event, max_size=3)


class AnyStream(RuleBasedStateMachine):
    """Everything that can be asked of a SwitchState, in any order."""

    @initialize(name=st.sampled_from(sorted(RULES)), stores=st.booleans())
    def open(self, name: str, stores: bool) -> None:
        rules, frames = RULES[name]
        self.terms = Terms()
        self.stream, self.rules, self.frames = TermStream(rules, frames, self.terms, stores), rules, frames
        self.submitted: list = []
        self.resumed = 0  # the newest block when a process last went on from another's blocks

    def known(self, events: list) -> list:
        """The events, where pairs of words and numbers become recalls of blocks that were made, on any line."""
        blocks, found = list(self.stream.blocks.values()), []
        for event in events:
            if not isinstance(event, tuple):
                found.append(event)
            elif blocks:
                text, numbers = event
                found.append(Recall(tuple(blocks[number % len(blocks)].past for number in numbers), text))
        return found

    @rule(events=events)
    def begin(self, events: list) -> None:
        events = self.known(events)
        self.stream.begin(events)
        self.submitted += events

    @rule(events=events)
    def ahead(self, events: list) -> None:
        events = self.known(events)
        self.stream.ahead(events)
        self.submitted += events

    @precondition(lambda self: self.stream.state.can_turn)
    @rule(value=st.floats(-1, 1), step=st.integers(1, 3))
    def turn(self, value: float, step: int) -> None:
        self.stream.state.turn([Dial("zoom", value)], step)
        self.submitted.append(Dial("zoom", value))

    @precondition(lambda self: self.stream.state.flight is not None)
    @rule()
    def made(self) -> None:
        flight = self.stream.state.flight
        block = self.stream.made()
        place = block.start, block.start + self.frames
        by_law = law(self.rules, self.terms, self.stream.line())
        assert self.stream.front.seen(*place) == by_law.seen(*place), "the bank is not what the log says"
        assert flight.conditions == list(boundaries(self.stream.line()))[-1][1].conditions

    @precondition(lambda self: self.stream.state.flight is None)
    @rule()
    def after_block(self) -> None:
        self.stream.after_block()

    @precondition(lambda self: self.stream.state.flight is not None)
    @rule()
    def abandon(self) -> None:
        self.stream.state.abandon()

    @precondition(lambda self: self.stream.state.flight is not None)
    @rule()
    def distrust(self) -> None:
        self.stream.state.distrust(drop_events=False)

    @rule(back=st.integers(0, 3), latents=st.none() | st.integers(1, 3))
    def take_back(self, back: int, latents: int | None) -> None:
        line = self.stream.line()
        since = max((place for place, block in enumerate(line) if block.start == 0), default=0)
        if len(line) - 1 - back >= since:
            after = line[-1 - back].index
            try:
                self.stream.state.take_back(after, latents if self.can_cut(after, latents) else None)
            except ValueError:
                assert after < self.resumed, "only of an earlier process's blocks may too little be known"

    def can_cut(self, after: int, latents: int | None) -> bool:
        """Whether so many latent frames of block `after` can be left."""
        block, cut_from = next(made for made in self.stream.state.line if made.index == after), self.rules.cut_from
        return None not in (latents, cut_from) and latents <= block.frames and cut_from <= block.start + latents

    @precondition(lambda self: self.stream.state.flight is None)
    @rule(events=events)
    def step(self, events: list) -> None:
        events = self.known(events)
        self.stream.step(events)
        self.submitted += events

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing was taken for a block that is not made."""
        return self.stream.state.flight is None and not self.stream.state._events

    @precondition(lambda self: self.is_at_rest)
    @rule()
    def resume(self) -> None:
        """Another process goes on, as after a death or a rewind: the law holds over what both have made."""
        line, old = self.stream.line(), self.stream
        if not line:
            return
        now = list(boundaries(line))[-1][1].conditions
        since = max(place for place, block in enumerate(line) if block.start == 0)
        self.stream = TermStream(self.rules, self.frames, self.terms, old.stores)
        self.stream.blocks.update(old.blocks)
        self.resumed = line[-1].index
        place = now.seed, max(old.blocks) + 1, old.state.end
        self.stream.resume(Snapshot(*place, now.words, now.dials, tuple(line[since:])))

    @invariant()
    def the_line_is_a_chain(self) -> None:
        line = self.stream.line() if hasattr(self, "stream") else []
        for before, block in pairwise(line):
            assert block.parent == before.index < block.index
            assert block.start == 0 or before.start < block.start <= before.start + self.frames
            assert block.cut == block.index or block.start in (0, before.start + self.frames), "no cut in silence"
            assert (block.cut is None) == (block.seen is None) and block.seen in (None, block.index)
            assert block.cut in (None, block.index, before.index)

    def teardown(self) -> None:
        if not hasattr(self, "stream"):
            return
        last = self.stream.step()
        line = self.stream.line()
        self.no_event_is_lost(line)
        for block in line[:-1]:
            assert block.index < last.index
        folded = TermStream(self.rules, self.frames, self.terms)
        folded.fold(line)
        again = TermStream(self.rules, self.frames, self.terms)
        assert [again.again(block).digest for block in line] == [block.digest for block in line]
        for more in ([], [Prompt("z")], [Rebuild()], [Recall((line[0].past,), "z")], [Prompt("y")], []):
            assert facts(folded.step(more)) == facts(self.stream.step(more))

    def no_event_is_lost(self, line: list) -> None:
        """Every event is in exactly one block of the line, in the order in which it came.

        A Rebuild may be more: it stands for a sink that was lost.
        """
        logged = [event for block in line for event in block.events]
        assert [at_boundary(e) for e in logged if not isinstance(e, Rebuild)] == [
            e for e in self.submitted if not isinstance(e, Rebuild)
        ]
        assert sum(isinstance(e, Rebuild) for e in logged) >= sum(isinstance(e, Rebuild) for e in self.submitted)


def facts(block) -> tuple:
    return block.index, block.parent, block.start, block.cut, block.seen, block.events, block.digest


TestAnyStream = AnyStream.TestCase
TestAnyStream.settings = settings(max_examples=300, stateful_step_count=40, deadline=None, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_hundreds_of_streams_keep_the_law(name: str):
    blocks = [play(name, seed) for seed in range(100)]
    assert min(blocks) > 4, "each play checks the law at every block"


def play(name: str, seed: int) -> int:
    """A long random stream; how many blocks it made."""
    chance, show = random.Random(seed), AnyStream()
    show.open(name, stores=seed % 2 == 0)
    for _ in range(60):
        in_flight = show.stream.state.flight is not None
        moves = [show.after_block, lambda: show.step(drawn(chance))]
        if in_flight:
            moves = [show.made, show.made, show.abandon, show.distrust]
        elif show.is_at_rest and chance.random() < 0.2:
            moves.append(show.resume)
        if show.stream.state.can_turn:
            moves += [lambda: show.turn(chance.random(), chance.randrange(1, 4))]
        moves += [lambda: show.begin(drawn(chance)), lambda: show.ahead(drawn(chance))]
        moves += (
            [lambda: show.take_back(chance.randrange(4), chance.choice([None, 1, 2]))] if chance.random() < 0.3 else []
        )
        chance.choice(moves)()
    show.teardown()
    return len(show.stream.blocks)


def drawn(chance: random.Random) -> list:
    """Often nothing, sometimes several events."""
    texts = ["first words", "b", "c"]
    kinds = [Prompt(chance.choice(texts)), Dial("zoom", chance.random()), Rebuild(), Scene(chance.choice(texts))]
    kinds += [(chance.choice(texts), [chance.randrange(40) for _ in range(chance.choice((1, 1, 2)))])]
    return chance.choices(kinds, [6, 4, 1, 1, 2], k=chance.choice([0, 0, 0, 1, 1, 2]))


# what is to be done, in order


def started(blocks: int = 0) -> SwitchState:
    state = SwitchState(CacheRules(6, 2, 6), {"zoom": DialRange()}, FIRST)
    for _ in range(blocks):
        step(state)
    return state


def step(state: SwitchState, *events):
    state.begin(events)
    block = state.made(2)
    state.after_block()
    return block


def test_a_stream_begins_with_an_empty_bank():
    assert started().begin([]) == [Clear()]


def test_a_straight_run_is_one_clean_pass_a_block():
    state = started(4)
    assert state.begin([]) == []
    state.made(2)
    assert state.after_block() == [Append("first words", 4)]


def test_a_switch_in_line_recaches_the_window_but_its_sink_and_swaps():
    assert started(5).begin([Prompt("b")]) == [Recache("b", end=10, frames=4, renew=False), Swap()]


def test_a_switch_beside_a_block_recaches_at_once_and_swaps_at_the_next_boundary():
    state = started(4)
    state.begin([])
    assert state.ahead([Prompt("b")]) == [Recache("b", end=8, frames=4, renew=False)]
    state.made(2)
    assert state.after_block() == [Append("b", 4, to_back=True)]
    assert state.begin([]) == [Swap()]
    block = state.made(2)
    assert (block.cut, block.seen) == (4, 5)


def test_a_recache_that_waits_spares_the_clean_pass():
    state = started(4)
    state.begin([])
    state.made(2)
    assert state.ahead([Prompt("b")]) == [Recache("b", end=10, frames=4, renew=False)]
    assert state.after_block() == [] and state.begin([]) == [Swap()]


def test_a_clean_pass_that_was_not_made_is_made_up_for():
    state = started(4)
    state.begin([])
    state.made(2)
    assert state.begin([]) == [Append("first words", 4)]


def test_a_scene_needs_nothing_but_an_empty_bank():
    state = started(4)
    state.ahead([Scene("b")])
    assert state.after_block() == [] and state.begin([]) == [Clear()]
    assert (state.end, state.made(2).cut) == (0, 4)


def test_an_abandoned_scene_leaves_the_line_as_it_was():
    state = started(4)
    state.begin([Scene("b")])
    state.abandon()
    assert state.end == 8 and state.line.newest.index == 3


def test_an_abandoned_block_keeps_its_number_and_its_events():
    state = started(4)
    state.begin([Prompt("b")])
    state.ahead([Dial("zoom", 0.5)])
    state.abandon()
    state.begin([])
    block = state.made(2)
    assert (block.index, block.events) == (4, (Prompt("b"), Dial("zoom", 0.5)))


def test_a_dial_between_steps_is_in_force_from_its_step_on_and_for_what_follows():
    state = started(4)
    state.begin([Dial("zoom", 0.1)])
    state.turn([Dial("zoom", 0.5)], 2)
    assert state.flight is not None
    assert [state.flight.of_step(step).dials["zoom"] for step in range(4)] == [0.1, 0.1, 0.5, 0.5]
    block = state.made(2)
    assert block.events == (Dial("zoom", 0.1), Dial("zoom", 0.5, step=2))
    assert state.conditions.dials == {"zoom": 0.5}


def test_a_dial_of_a_block_that_is_given_up_is_in_force_from_the_boundary_of_the_next_try():
    state = started(4)
    state.begin([])
    state.turn([Dial("zoom", 0.5)], 2)
    state.begin([])
    assert state.flight is not None and state.flight.of_step(0).dials == {"zoom": 0.5}
    assert state.made(2).events == (Dial("zoom", 0.5),)


def test_no_dial_enters_a_block_once_events_were_taken_for_the_next_one():
    """A newer value would come before an older one."""
    state = started(4)
    assert not state.can_turn
    state.begin([])
    assert state.can_turn
    state.ahead([Dial("zoom", 0.5)])
    assert not state.can_turn


def test_what_was_taken_back_is_made_again_under_its_events():
    state = started(4)
    step(state, Prompt("b")), step(state, Dial("zoom", 0.5))
    state.take_back(3)
    assert state.begin([]) == [Recache("b", end=8, frames=4, renew=False), Swap()]
    block = state.made(2)
    assert (block.index, block.parent, block.events) == (6, 3, (Prompt("b"), Dial("zoom", 0.5)))
    assert block.boundary.conditions == Conditions("b", 7, {"zoom": 0.5})


def test_a_rewind_is_refused_before_anything_changes():
    state = started(4)
    with pytest.raises(ValueError, match="rewind to block 1"):
        state.ahead([Prompt("b"), Rewind(1)])
    assert state.conditions == FIRST and state.begin([]) == []


def test_a_sink_that_came_with_a_taken_back_block_is_made_anew_and_the_log_says_so():
    """A switch beside the last block of the first window makes the sink anew, and that switch is taken back."""
    state = started(3)
    state.begin([])
    state.ahead([Prompt("b")])
    state.made(2), state.after_block()
    step(state)
    state.take_back(3)
    assert state.begin([]) == [Recache("b", end=8, frames=6, renew=True), Swap()]
    assert state.made(2).events == (Prompt("b"), Rebuild())


def test_an_averaged_sink_of_a_block_that_was_given_up_is_made_anew():
    """The bank that it was to be made with holds the block before it under other words."""
    state = SwitchState(RULES["averaged sink"][0], {}, FIRST)
    for _ in range(6):
        step(state)
    state.begin([])
    state.ahead([Prompt("b")])
    state.made(2), state.after_block()
    assert state.begin([]) == [Swap()]
    assert state.begin([Prompt("c")]) == [Recache("c", end=14, frames=6, renew=True), Swap()]
    assert state.made(2).events == (Prompt("b"), Prompt("c"), Rebuild())


def averaged(blocks: int) -> SwitchState:
    state = SwitchState(RULES["two averages"][0], {}, FIRST)
    for _ in range(blocks):
        step(state)
    return state


def test_new_words_go_on_from_the_averages_of_the_bank_before():
    work = averaged(5).begin([Prompt("b")])
    assert work == [Recache("b", end=10, frames=4, renew=False, averages=FRONT), Swap()]


def test_a_stream_that_takes_blocks_back_goes_on_from_the_averages_of_the_block_it_returns_to():
    state = averaged(7)
    state.take_back(4)
    assert state.begin([]) == [Recache("first words", end=10, frames=4, renew=False, averages=4), Swap()]
    assert state.made(2).events == ()


def test_averages_of_a_block_that_was_given_up_are_those_of_the_block_before_it():
    state = averaged(6)
    state.begin([])
    state.ahead([Prompt("b")])
    state.made(2), state.after_block(), state.begin([])
    assert state.begin([Prompt("c")]) == [Recache("c", end=14, frames=4, renew=False, averages=6), Swap()]


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_stream_that_resumes_goes_on_from_stored_averages_or_begins_them_anew(is_stored: bool):
    stored = np.zeros(1) if is_stored else None
    latents = np.zeros((1, 2, 1, 1, 1))
    blocks = tuple(Block(n, n - 1, 2 * n, latents, averages=stored) for n in (3, 4, 5, 6))
    state = averaged(0)
    state.resume(Snapshot(7, 9, 14, "a", {}, blocks))
    averages = 6 if is_stored else None
    assert state.begin([]) == [Recache("a", end=14, frames=6, renew=True, averages=averages), Swap()]
    assert state.made(2).events == (Rebuild(keeps_averages=is_stored),)


def test_a_rebuild_that_somebody_asks_for_begins_averages_anew():
    state = averaged(5)
    assert state.begin([Rebuild()]) == [Recache("first words", end=10, frames=6, renew=True), Swap()]


def test_averages_that_are_to_be_kept_before_there_are_any_are_no_gap_in_the_log():
    for blocks in range(4):
        show = AnyStream()
        show.open("two averages", stores=False)
        for _ in range(blocks):
            show.step([])
        show.step([Rebuild(True)])
        asked = show.stream.line()[-1].events
        assert len(asked) == 1 and isinstance(asked[0], Rebuild)
        show.teardown()  # the log gives the same stream


def test_a_block_that_is_cut_is_continued_where_it_was_cut():
    state = started(5)
    state.take_back(4, latents=1)
    assert state.begin([]) == [Recache("first words", end=9, frames=4, renew=False), Swap()]
    block = state.made(2)
    assert (block.index, block.parent, block.start, block.cut) == (5, 4, 9, 5)


def test_a_recache_that_was_made_ahead_is_of_no_use_once_a_block_before_it_is_cut():
    state = started(5)
    state.ahead([Prompt("b")])
    state.take_back(4, latents=1)
    assert state.begin([]) == [Recache("b", end=9, frames=4, renew=False), Swap()]


def test_a_block_that_is_cut_twice_keeps_what_was_left_both_times():
    state = started(6)
    state.take_back(5, latents=2)
    assert state.begin([]) == [], "all of it was left"
    state.made(2)
    state.take_back(5, latents=1)
    with pytest.raises(ValueError, match="block 5 cannot be cut after 2 of its 1 latent frames"):
        state.take_back(5, latents=2)
    assert state.end == 11


def test_a_hard_cut_after_a_block_was_cut_needs_no_recache():
    state = started(5)
    state.take_back(4, latents=1)
    assert state.begin([Scene("b")]) == [Clear()]
    assert state.made(2).start == 0


@pytest.mark.parametrize("name", ["everything", "averaged sink", "flushed"])
def test_a_block_whose_frames_no_recache_can_do_without_stays_whole(name):
    rules, frames = RULES[name]
    state = SwitchState(rules, {}, FIRST)
    for _ in range(6):
        state.begin([]), state.made(frames), state.after_block()
    with pytest.raises(ValueError, match="block 5 cannot be cut at latent frame"):
        state.take_back(5, latents=1)
    assert state.end == 6 * frames


def test_a_block_in_a_window_that_is_not_full_stays_whole():
    state = started(3)
    with pytest.raises(ValueError, match="block 2 cannot be cut at latent frame 5"):
        state.take_back(2, latents=1)


def past_block(index: int) -> PastBlock:
    return PastBlock(index, np.zeros((1, 2, 1, 1, 1)))


def test_a_recall_makes_the_sink_anew_from_the_blocks_that_it_names():
    state, old = started(5), past_block(1)
    work = state.begin([Recall((old,), "b")])
    assert work == [Recache("b", end=10, frames=6, renew=True, recalled=(old,)), Swap()]
    block = state.made(2)
    assert (block.cut, block.seen, block.boundary.conditions.words) == (5, 5, "b")


def test_words_that_follow_a_recall_keep_its_sink():
    state = started(5)
    step(state, Recall((past_block(1),), "b"))
    assert state.begin([Prompt("c")]) == [Recache("c", end=12, frames=4, renew=False), Swap()]


def test_another_recall_for_the_same_block_needs_another_recache():
    state = started(5)
    state.ahead([Recall((past_block(1),), "b")])
    assert state.ahead([Recall((past_block(1),), "b")]) == []
    assert state.ahead([Recall((past_block(2),), "b")]) == [
        Recache("b", end=10, frames=6, renew=True, recalled=(past_block(2),))
    ]


def test_nothing_is_recalled_into_a_hard_cut_but_its_words():
    state = started(5)
    assert state.begin([Scene("b"), Recall((past_block(1),), "c")]) == [Clear()]
    assert state.made(2).boundary.conditions.words == "c"


def test_a_stream_that_resumes_knows_recalled_blocks_by_their_words_only():
    """A guest has numbers only: where it leads and takes such a block back, the words come again."""
    first, second = (Block(n, n - 1, 2 * n, np.zeros((1, 2, 1, 1, 1))) for n in (3, 4))
    second = replace(second, events=(Recall((PastBlock(1),), "b"),))
    blocks = [Block(n, n - 1, 2 * n, np.zeros((1, 2, 1, 1, 1)), (Prompt("a"),)) for n in (0, 1, 2)]
    state = started()
    state.resume(Snapshot(7, 5, 10, "b", {}, (*blocks, first, second)))
    step(state)
    state.take_back(3)
    state.begin([])
    assert state.made(2).events == (Prompt("b"), Rebuild())
