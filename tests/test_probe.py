import numpy as np
import pytest

from world.block import Made, Recached, Snapshot
from world.event import Prompt, Rebuild, Scene
from world.info import WorldError
from world.probe import prompt_colour, read_frame
from world.zoo import ProbeOptions, WorldOptions, open_world


def open_probe(**options):
    return open_world(WorldOptions(name="probe", probe=ProbeOptions(**options)))


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
    world = open_world(WorldOptions(name="probe", picture=(320, 200)))
    session = world.session(0, "x")
    session.index = 54321 // 4
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
    world = open_world(WorldOptions(name="probe", probe=ProbeOptions(block_ms=150, recache_ms=120)), spent.append)
    session = world.session(0, "a")
    session.step()
    session.step([Prompt("b")])
    assert sum(spent) == pytest.approx(0.150 + 0.120 + 0.150)


def test_a_session_goes_on_from_a_snapshot():
    session = open_probe().session(0, "a")
    session.step([Prompt("b")])
    last = session.step()
    other = open_probe().session(0, "a")
    other.resume(Snapshot(0, index=5, start=8, words="b", dials={}, blocks=(last,)))
    block = other.step()
    assert (block.index, block.parent, block.start) == (5, 1, 8)
    assert block.latents[0, 0, 1, 0, 0] == 1


def test_impossible_options_are_refused_in_one_line():
    for bad in ({"fps": 0}, {"frames": 0}, {"block_ms": -1}):
        with pytest.raises(WorldError, match="expected"):
            ProbeOptions(**bad)
    with pytest.raises(WorldError, match="at least 16x16"):
        open_world(WorldOptions(name="probe", picture=(15, 100)))
