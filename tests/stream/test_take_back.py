"""Blocks that nobody saw are taken back, and the log goes on without them; any film is made again from its log."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.stream.test_ahead import LATER, in_flight, made, started
from tests.support.tiny import tiny_world
from world.block import Block, Clean, Denoised, Made, Recached, Snapshot
from world.dit.config import CacheConfig
from world.event import Dial, Event, Prompt, Rebuild, Recall, Scene


@pytest.mark.parametrize("blocks", [2, 3, 4, 9])
def test_what_was_taken_back_was_never_made(blocks):
    session, plain = started(blocks), started(blocks)
    session.step(), session.step()
    session.take_back(blocks - 1)
    plain.state.index += 2  # numbers are not used again, and the noise is a function of them
    assert session.step([Prompt("other words")]).digest == plain.step([Prompt("other words")]).digest


def test_the_next_block_continues_the_one_that_was_kept():
    session = started(6)
    session.take_back(3)
    passes = list(session.begin())
    block = next(done.block for done in passes if isinstance(done, Made))
    assert (block.index, block.parent, block.start, block.cut, block.seen) == (6, 3, 8, 6, 6)
    assert isinstance(passes[0], Recached)


def test_words_and_dials_of_forgotten_blocks_survive():
    session = started(4)
    session.step([Prompt("b"), Dial("zoom", 0.2)])
    session.step([Dial("zoom", 0.4)])
    session.take_back(3)
    block = session.step([Dial("energy", 1.0)])
    assert block.events == (Prompt("b"), Dial("zoom", 0.2), Dial("zoom", 0.4), Dial("energy", 1.0))
    assert session.conditions.words == "b" and block.dials == {"zoom": 0.4, "energy": 1.0}


def test_keeping_the_newest_block_changes_nothing():
    world = tiny_world()
    session, plain = started(4, world), started(4)
    session.take_back(3)
    before = world.dit.passes
    assert session.step().digest == plain.step().digest and world.dit.passes - before == 3


def test_a_hard_cut_after_blocks_were_taken_back_needs_no_recache():
    session = started(4)
    session.take_back(2)
    passes = list(session.begin([Scene("elsewhere", seed=3)]))
    block = next(done.block for done in passes if isinstance(done, Made))
    assert not any(isinstance(done, Recached) for done in passes)
    assert (block.parent, block.start, block.cut) == (2, 0, 4)


@pytest.mark.parametrize("kind", [Recached, Denoised, Made])
def test_blocks_are_taken_back_wherever_the_newest_was_left(kind):
    session, plain = started(5), started(4)
    passes = in_flight(session, [Prompt("b")], kind)
    passes.close()
    session.take_back(3)
    plain.state.index = session.index
    assert session.step().digest == plain.step([Prompt("b")]).digest


def test_a_hard_cut_left_in_flight_can_be_followed_by_taking_back():
    session = started(5)
    in_flight(session, [Scene("elsewhere", seed=3)]).close()
    session.take_back(3)
    block = session.step()
    assert (block.parent, block.start, block.events) == (3, 0, (Scene("elsewhere", seed=3),))


def test_a_generator_that_was_overtaken_by_taking_back_does_no_more():
    world = tiny_world()
    session = started(4, world)
    passes = in_flight(session, kind=Made)
    session.take_back(3)
    before = world.dit.passes
    assert [type(done) for done in passes] == [Clean] and world.dit.passes == before


def test_a_switch_ahead_that_lost_its_block_is_made_again():
    session, plain = started(5), started(4)
    passes = in_flight(session)
    session.ahead([Prompt("b")])
    made(passes)
    session.take_back(3)
    plain.state.index = session.index
    assert session.step().digest == plain.step([Prompt("b")]).digest


def test_eight_blocks_can_be_taken_back_and_no_more_need_be_kept():
    session = started(30)
    with pytest.raises(ValueError, match="block 20 cannot be gone back to: those that can be are 21, 22"):
        session.take_back(20)
    session.take_back(21)
    assert session.step().parent == 21


@pytest.mark.parametrize("after", [-1, 2, 5, 9])
def test_what_is_not_known_cannot_be_gone_back_to(after):
    session, plain = started(3), started(3)
    for s in (session, plain):
        s.step([Scene("elsewhere", seed=3)]), s.step(), s.step()
    session.take_back(4)
    with pytest.raises(ValueError, match=rf"block {after} cannot be gone back to: those that can be are 3, 4$"):
        session.take_back(after)


def test_a_resumed_session_goes_back_as_far_as_it_was_told():
    session = started(6)
    log = [session.step([Prompt("b")]), *(session.step() for _ in range(3))]
    other = started()
    other.resume(Snapshot(7, 10, 20, "b", {}, tuple(log)))
    other.step()
    other.take_back(8)
    assert other.step().parent == 8
    with pytest.raises(ValueError, match="those that can be are 8"):
        other.take_back(6)


@pytest.mark.parametrize("blocks", [4, 5, 9])
def test_a_block_that_is_cut_goes_on_as_if_no_more_of_it_had_been_made(blocks):
    session, plain = started(blocks), started(blocks - 1)
    session.take_back(blocks - 1, latents=1)
    half = Block(blocks - 1, blocks - 2, 2 * blocks - 2, plain.step().latents[:, :1])
    snapshot = Snapshot(7, blocks, 2 * blocks - 1, "first words", {}, (*film_of(started(blocks - 1)), half))
    resumed = plain._model.session(7, "first words")
    resumed.resume(snapshot)
    made, again = session.step([Rebuild(), Prompt("b")]), resumed.step([Prompt("b")])
    assert facts(made) == facts(again) and (made.parent, made.start) == (blocks - 1, 2 * blocks - 1)
    assert session.step().digest == resumed.step().digest


def test_a_snapshot_that_ends_within_a_block_goes_on_there():
    session, resumed = started(6), started()
    whole = film_of(session)
    session.take_back(5, latents=1)
    resumed.resume(Snapshot(7, 6, 11, "first words", {}, tuple(whole)))
    assert facts(resumed.step()) == facts(session.step([Rebuild()]))


def test_words_after_a_cut_keep_the_sink_and_the_log_tells_all():
    world = tiny_world()
    session = started(6, world)
    log = film_of(session)
    session.take_back(5, latents=1)
    log += [session.step([Prompt("b")]), session.step()]
    folded, again = world.session(7, "first words"), world.session(7, "first words")
    folded.fold(log)
    assert [facts(again.again(block)) for block in log] == [facts(block) for block in log]
    assert facts(folded.step()) == facts(again.step()) == facts(session.step())
    assert log[6].start == 11 and log[6].cut == 6 and Rebuild() not in log[6].events


def test_a_log_that_skips_latent_frames_without_a_recache_is_refused():
    world = tiny_world()
    log = film_of(started(6, world))
    torn = [*log[:5], replace(log[5], start=9)]
    with pytest.raises(ValueError, match="a block begins at latent frame 9 where 10 comes next"):
        world.session(7, "first words").fold(torn)


@pytest.mark.parametrize("blocks", LATER)
def test_a_sink_that_was_lost_with_its_block_is_renewed_in_the_open(blocks):
    """A switch beside the last block of the first window makes the sink anew, and that switch is taken back."""
    world = tiny_world()
    session = started(blocks, world)
    log = [*film_of(session)]
    passes = in_flight(session)
    session.ahead([Prompt("b")])
    log += [made(passes), session.step()]
    session.take_back(log[blocks].index)
    log = [*log[: blocks + 1], session.step([Prompt("c")])]
    assert (Rebuild() in log[-1].events) == (blocks == 3)
    folded = world.session(7, "first words")
    folded.fold(log)
    assert folded.step().digest == session.step().digest


def film_of(session) -> list[Block]:
    """The blocks of a session that ran straight, from a twin of it."""
    twin = started(0, session._model)
    return [twin.step() for _ in range(session.index)]


# the law of state, over films of everything at once


CACHES = {
    "sink of a block": CacheConfig(6, 2, 2),
    "no sink": CacheConfig(6, 0, 2),
    "sink above a block": CacheConfig(6, 3, 1),
    "uneven window": CacheConfig(7, 2, 2),
    "absolute positions": CacheConfig(6, 2, 2, positions="absolute"),
    "sink made anew at each switch": CacheConfig(6, 2, 2, keep_sink=False),
    "more slots than the window": CacheConfig(6, 2, 2, slots=9),
    "everything": CacheConfig(-1, 2, 2, slots=80),
    "no clean pass": CacheConfig(6, 2, 2, clean_pass=False),
    "averaged sink": CacheConfig(6, 2, 2, sink_average=0.7),
    "two averages": CacheConfig(6, 2, 2, averages=(0.9, 0.5)),
    "two averages, small blocks, no clean pass": CacheConfig(5, 2, 1, averages=(0.9, 0.0), clean_pass=False),
    "flushed": CacheConfig(6, 1, 2, flush=True),
    "clamped positions": CacheConfig(6, 2, 2, span=9),
    "blocks of three": CacheConfig(12, 3, 3),
}


class Film:
    """A session that is played at random: events in line, ahead and together, blocks left and taken back.

    tip: the newest block that was not taken back. taken_back, cuts: how often that was done, and how often within a
    block.
    """

    def __init__(self, session, seed: int, kinds: tuple[type, ...] = (Prompt, Dial, Rebuild, Scene, Recall)) -> None:
        self.kinds = kinds
        self.chance, self.session = random.Random(seed), session
        self.blocks: dict[int, Block] = {}
        self.tip, self.taken_back, self.cuts = -1, 0, 0
        self.knife, self.left = random.Random(seed + 1000), 0

    def play(self, blocks: int) -> list[Block]:
        """Make so many, some of which may be taken back; the line that is left."""
        while len(self.blocks) < blocks:
            if self.chance.random() < 0.15:
                self.session.ahead(self.events())
            if self.chance.random() < 0.2:
                self.take_back()
            if self.knife.random() < 0.3:
                self.cut()
            self.block()
        self.log(self.session.step())
        return self.line()

    def block(self) -> None:
        """One block, or what was made of it before it was left."""
        passes = self.session.begin(self.events())
        for done in passes:
            if isinstance(done, Made):
                self.log(done.block)
            while self.chance.random() < 0.18:
                self.session.ahead(self.events())
            if self.chance.random() < 0.06:
                passes.close()

    def take_back(self) -> None:
        line = self.line()
        since = max((i for i, block in enumerate(line) if block.start == 0), default=0)
        if line:
            after = self.chance.choice(line[since:][-4:])
            self.session.take_back(after.index)
            self.taken_back += after is not line[-1]
            self.tip = after.index

    def cut(self) -> None:
        """Leave a part of the newest block, where that can be done."""
        newest, cut_from = self.session.state.line.newest, self.session.state._rules.cut_from
        if newest is None or newest.index != self.tip or cut_from is None or newest.frames < 2:
            return
        left = self.knife.randrange(1, newest.frames)
        if newest.start + left >= cut_from:
            self.session.take_back(newest.index, left)
            self.cuts += 1
            self.left = left

    def log(self, block: Block) -> None:
        self.blocks[block.index] = block
        self.tip = block.index

    def line(self) -> list[Block]:
        """The blocks that were not taken back, oldest first."""
        line, index = [], self.tip
        while index >= 0:
            line.insert(0, self.blocks[index])
            index = line[0].parent
        return line

    def events(self) -> Sequence[Event]:
        """Often nothing, sometimes several."""
        kinds = [
            Prompt(self.chance.choice(["first words", "b", "c"])),
            Dial("zoom", self.chance.uniform(-1, 1)),
            Dial("energy", self.chance.random()),
            *([Rebuild()] if self.chance.random() < 0.2 else []),
            *([Scene("elsewhere")] if self.chance.random() < 0.1 else []),
            *([self.recall()] if self.blocks and self.chance.random() < 0.3 else []),
        ]
        kinds = [event for event in kinds if isinstance(event, self.kinds)]
        return self.chance.sample(kinds, self.chance.choice([0, 0, 0, 1, 1, 2, 3]) % (len(kinds) + 1))

    def recall(self) -> Recall:
        """One or two blocks of the past, taken back or not."""
        blocks = self.chance.choices(list(self.blocks.values()), k=self.chance.choice((1, 2)))
        return Recall(tuple(block.past for block in blocks), self.chance.choice(["b", "c"]))


def facts(block: Block) -> tuple:
    return block.index, block.parent, block.start, block.cut, block.seen, block.events, block.dials, block.digest


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cache", CACHES)
def test_any_film_goes_on_exactly_from_its_log(cache, seed):
    world = tiny_world(CACHES[cache])
    film = Film(started(0, world), seed)
    line = film.play(12)
    folded = world.session(7, "first words")
    folded.fold(line)
    for events in ([], [Prompt("z")], [Rebuild()], [Recall((line[0].past,), "y")], [Prompt("x")], []):
        assert facts(folded.step(events)) == facts(film.session.step(events))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cache", CACHES)
def test_any_film_is_made_again_from_events_and_cuts(cache, seed):
    world = tiny_world(CACHES[cache])
    again = world.session(7, "first words")
    for block in Film(started(0, world), 100 + seed).play(12):
        assert facts(again.again(block)) == facts(block)


def test_films_go_every_way_there_is():
    films = [Film(started(), seed) for seed in range(12)]
    blocks = [block for film in films for block in film.play(12)]
    beside = [block for block in blocks if block.cut not in (None, block.index)]
    assert sum(film.taken_back for film in films) > 9 and len(beside) > 4
    assert {block.cut == block.index for block in blocks if block.start} == {True, False}
    assert any(block.start == 0 and block.index for block in blocks) and sum(film.cuts for film in films) > 3
    assert sum(isinstance(event, Recall) for block in blocks for event in block.events) > 9


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("cache", CACHES)
def test_a_session_that_takes_what_others_made_is_where_they_were_at_every_block(cache, seed):
    world = tiny_world(CACHES[cache])
    follower = world.session(7, "first words")
    for block in Film(started(0, world), 200 + seed).play(12):
        assert facts(follower.rehearse(block)) == facts(block)
        follower.follow(block)
    assert follower.index == block.index + 1
