import numpy as np
import pytest

from tests.stream.test_take_back import CACHES, Film
from tests.support.tiny import tiny_world
from world.block import Made, Recached, Snapshot
from world.event import Prompt, Rebuild, Rewind, Scene
from world.info import WorldError
from world.options import ProbeOptions, WorldOptions
from world.probe import ProbeSession, prompt_colour, read_frame
from world.zoo import open_options, open_world


def open_probe(**options):
    return open_world("probe", probe=ProbeOptions(**options))


def prompts_of(block) -> int:
    return int(block.latents[0, 0, 1, 0, 0])


def frames(world, session, events=()):
    return world.decoder.decode(None, session.step(events).latents)[0]


def test_every_frame_says_its_number():
    world = open_probe()
    session = world.session(0, "a test card")
    shown = np.concatenate([frames(world, session) for _ in range(3)])
    assert [read_frame(frame)[0] for frame in shown] == list(range(12))


def test_every_frame_says_how_many_prompts_were_applied():
    world = open_probe()
    session = world.session(0, "a test card")
    counts = [read_frame(frames(world, session, events)[0])[1] for events in ((), [Prompt("red")], (), [Scene("blue")])]
    assert counts == [0, 1, 1, 2]


def test_a_prompt_equal_to_the_current_one_costs_nothing():
    world = open_probe()
    session = world.session(0, "same")
    session.step()
    block = session.step([Prompt("same")])
    assert block.cut is None and read_frame(world.decoder.decode(None, block.latents)[0][0])[1] == 0


def test_the_card_below_the_cells_has_the_prompts_colour():
    world = open_probe()
    frame = frames(world, world.session(0, "a neon tunnel"))[0]
    assert (frame[-1, 0] == prompt_colour("a neon tunnel")).all()


def test_the_cells_can_be_read_from_a_scaled_picture():
    world = open_world("probe", picture=(320, 200))
    session = world.session(0, "x")
    session.state.index = 54321 // 4
    frame = frames(world, session)[1]
    assert read_frame(frame.repeat(3, 0).repeat(3, 1)) == (54321, 0)


def test_a_switch_is_a_recache_and_two_facts():
    session = open_probe().session(0, "a")
    session.step()
    passes = list(session.begin([Prompt("b")]))
    assert isinstance(passes[0], Recached)
    block = next(p.block for p in passes if isinstance(p, Made))
    assert (block.cut, block.seen) == (1, 1)
    assert session.step([Rebuild()]).cut == 2


def test_a_hard_cut_has_no_recache():
    session = open_probe().session(0, "a")
    session.step()
    assert not any(isinstance(p, Recached) for p in session.begin([Scene("b")]))


def test_costs_are_those_of_one_serial_device():
    spent = []
    world = open_options(WorldOptions(name="probe", probe=ProbeOptions(block_ms=150, recache_ms=120)), spent.append)
    session = world.session(0, "a")
    session.step()
    session.step([Prompt("b")])
    assert sum(spent) == pytest.approx(0.150 + 0.120 + 0.150)


def test_a_pace_in_turn_stretches_block_and_recache_alike():
    paced = ProbeOptions(block_ms=100, recache_ms=60, pace=(2.0, 0.5), pace_every_s=0.5)
    spent = []
    session = open_options(WorldOptions(name="probe", probe=paced), spent.append).session(0, "a")
    costs = []
    for number in range(6):
        session.step([Prompt(f"words {number}")] if number in (1, 3) else ())
        costs.append(sum(spent) * 1e3 - sum(costs))
    assert costs == pytest.approx([125, 125 + 75, 500, 500 + 300, 125, 125])  # a block plays 250 ms: two at each pace


def test_without_a_pace_the_costs_are_those_given():
    assert ProbeOptions(block_ms=100).slowness(7) == 1.0


def test_a_session_goes_on_from_a_snapshot():
    session = open_probe().session(0, "a")
    session.step([Prompt("b")])
    last = session.step()
    other = open_probe().session(0, "a")
    other.resume(Snapshot(0, index=5, start=8, words="b", dials={}, blocks=(last,)))
    block = other.step()
    assert (block.index, block.parent, block.start) == (5, 1, 8)
    assert block.latents[0, 0, 1, 0, 0] == 1


def test_a_resumed_stream_shows_its_cut_and_pays_for_it():
    session, spent = open_probe().session(0, "a"), []
    last = session.step([Prompt("b")])
    options = WorldOptions(name="probe", probe=ProbeOptions(recache_ms=120))
    other = open_options(options, spent.append).session(0, "a")
    other.resume(Snapshot(0, index=1, start=4, words="b", dials={}, blocks=(last,)))
    block = other.step()
    assert (block.events, block.cut, sum(spent)) == ((Rebuild(),), 1, 0.120)


def test_a_switch_ahead_spends_its_recache_at_once():
    spent = []
    world = open_options(WorldOptions(name="probe", probe=ProbeOptions(block_ms=150, recache_ms=120)), spent.append)
    session = world.session(0, "a")
    session.step()
    passes = session.begin()
    next(passes)
    before = sum(spent)
    session.ahead([Prompt("b")])
    assert sum(spent) - before == pytest.approx(0.120)
    old, new = [next(p.block for p in list(passes) if isinstance(p, Made)), session.step()]
    assert [prompts_of(block) for block in (old, new)] == [0, 1]
    assert (old.cut, new.cut, new.seen) == (None, 1, 2)
    assert sum(spent) == pytest.approx(3 * 0.150 + 0.120)


def test_taking_back_restores_the_words_and_the_count_of_prompts():
    session = open_probe().session(0, "a")
    session.step(), session.step([Prompt("b")]), session.step([Prompt("c")])
    session.take_back(0)
    assert session.conditions.words == "c"
    passes = list(session.begin([Prompt("d")]))
    block = next(p.block for p in passes if isinstance(p, Made))
    assert isinstance(passes[0], Recached)
    assert (block.index, block.parent, block.start, block.cut, prompts_of(block)) == (3, 0, 4, 3, 1)
    assert block.events == (Prompt("b"), Prompt("c"), Prompt("d"))


def test_words_that_are_taken_back_and_return_are_no_prompt():
    session = open_probe().session(0, "a")
    session.step(), session.step([Prompt("b")])
    session.take_back(0)
    block = session.step([Prompt("a")])
    assert prompts_of(block) == 0 and block.cut == 2


def test_the_card_cannot_rewind_by_itself_either():
    session = open_probe().session(0, "a")
    with pytest.raises(ValueError, match="rewind to block 3: resume from a snapshot"):
        session.ahead([Prompt("b"), Rewind(3)])
    assert session.conditions.words == "a"


def test_what_the_card_does_not_know_cannot_be_gone_back_to():
    session = open_probe().session(0, "a")
    session.step(), session.step([Scene("b")]), session.step()
    for after in (-1, 0, 9):
        with pytest.raises(ValueError, match=f"block {after} cannot be gone back to: those that can be are 1, 2"):
            session.take_back(after)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cache", CACHES)
def test_the_card_and_a_real_world_give_the_same_facts_to_every_block(cache, seed, monkeypatch):
    """The same random script: switches in line and ahead, rebuilds, scenes, blocks abandoned and taken back."""
    monkeypatch.setattr(ProbeSession, "steps", 2)  # those of the tiny world
    real, spent = tiny_world(CACHES[cache]), []
    config, kinds = real.config.cache, (Prompt, Rebuild, Scene)
    options = ProbeOptions(frames=config.block, block_ms=90, recache_ms=70)
    card = ProbeSession(options, 7, "first words", spent.append, config.rules)
    films = [Film(real.session(7, "first words"), seed, kinds), Film(card, seed, kinds)]
    for film in films:
        film.play(20)
    facts = [[(b.index, b.parent, b.start, b.cut, b.seen, b.events) for b in film.blocks.values()] for film in films]
    assert facts[0] == facts[1] and len(spent) == real.dit.passes


def test_impossible_options_are_refused_in_one_line():
    for bad in ({"fps": 0}, {"frames": 0}, {"block_ms": -1}, {"pace": (1.0,)}, {"pace": (2.0, 0.0), "block_ms": 9}):
        with pytest.raises(WorldError, match="expected"):
            ProbeOptions(**bad)
    with pytest.raises(WorldError, match="at least 16x16"):
        open_world("probe", picture=(15, 100))
