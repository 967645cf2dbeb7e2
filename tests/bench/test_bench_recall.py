"""The recall benchmark: how alike pictures are, old places brought back in every way, and what saving costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.measure.shows.bench_save import block_times_ms, print_save_figures, save_figures
from loop.measure.steer.likeness import layout_correlation, shared_colours
from loop.measure.steer.recall_command import GAIN, recall_table
from loop.measure.steer.returns import LATER_S, WAYS, ReturnTest
from loop.measure.steer.switches import PromptSwitch, switches_of_place
from tests.support.tiny import tiny_world
from tests.support.traces import MS, flips, recorded
from world.compact.model import shape
from world.compact.small import SMALL
from world.compact.world import CompactWorld
from world.event import Prompt, Recall
from world.train.story.form import TALE
from world.zoo import open_world

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_a_picture_is_like_itself_and_a_mirrored_one_has_its_colours_only():
    mirrored = PICTURE[:, ::-1]
    assert shared_colours(PICTURE, PICTURE) == shared_colours(PICTURE, mirrored) == pytest.approx(1.0)
    assert (
        layout_correlation(PICTURE, PICTURE) == pytest.approx(1.0) and abs(layout_correlation(PICTURE, mirrored)) < 0.5
    )


def test_the_negative_of_a_picture_has_the_opposite_layout_and_an_even_one_has_none():
    assert layout_correlation(PICTURE, 255 - PICTURE) == pytest.approx(-1.0, abs=1e-6)
    assert layout_correlation(PICTURE, np.full_like(PICTURE, 80)) == 0.0


def test_pictures_without_a_common_colour_are_not_alike():
    assert shared_colours(np.zeros_like(PICTURE), np.full_like(PICTURE, 255)) == 0.0


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An untrained world of the size of a test."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("world") / "small.safetensors"
    CompactWorld(shape(64, 1, SMALL), SMALL).save(path)
    return open_world(str(path), device="cpu")


def test_every_way_goes_on_from_the_same_past():
    world = tiny_world()
    test = ReturnTest(world)
    switch, seen = PromptSwitch("slow blue plasma", "fast green rain"), {}
    session = world.session(5, switch.before)
    past = [session.step() for _ in range(3)]
    past += [session.step([Prompt(switch.after)] if n == 0 else []) for n in range(3)]
    for way in WAYS:
        first = next(test._go_on(way, switch, 5, past, 3))
        seen[way] = first
        assert (first.index, first.parent) == (6, 2 if way == "rewind" else 5)
    assert seen["stay"].digest == session.step().digest
    assert len({block.digest for block in seen.values()}) == len(WAYS)
    (recall,) = seen["recall"].events
    assert (
        isinstance(recall, Recall) and [block.index for block in recall.blocks] == [2] and recall.text == switch.before
    )
    assert seen["words"].events == (Prompt(switch.before),)


def test_a_row_for_every_way_and_one_for_what_a_recall_adds(world):
    test = ReturnTest(world, first_s=0.5, away_s=0.5)
    trials = [test.trial(PromptSwitch("slow blue plasma", "fast green rain"), seed) for seed in (1,)]
    table = recall_table(trials)
    assert list(table) == [*WAYS, GAIN] and len(table["recall"]) == 2 * len(LATER_S)
    for column, gain in table[GAIN].items():
        assert gain.value == pytest.approx(table["recall"][column].value - table["words"][column].value)


@pytest.mark.parametrize("form", [SMALL, TALE])
def test_places_are_the_examples_of_the_world(form):
    info = form.info("world")
    switches = switches_of_place(info)
    assert [one.before for one in switches] == [info.showpiece, *info.examples]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--world", "probe"], "'probe' has no memory"),
        (["--prompt", "words"], "--prompts FILE"),
        (["--prompts", "nowhere.txt"], "nowhere.txt"),
        (["--trials", "0"], "--trials"),
    ],
)
def test_a_mistake_is_told_in_one_line(capsys, arguments, told):
    assert main(["bench", "recall", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1


def timed(cost_ms: float, count: int = 20):
    """A recording whose blocks take so long, and one with a recache that took ten times as long."""
    lines = [
        {"kind": "block", "block": n, "start": n, "switch": n == 3, "t_begin_ns": n * 100 * MS}
        | {"t_end_ns": round((n * 100 + cost_ms * (10 if n == 3 else 1)) * MS)}
        for n in range(count)
    ]
    return recorded(*flips(600), *lines)


def test_saving_costs_what_blocks_take_longer_with_it(capsys):
    sides = {"saved": [timed(31), timed(32)], "not saved": [timed(30), timed(31)]}
    assert block_times_ms(sides["saved"][0]) == pytest.approx([31.0] * 19)
    print_save_figures(save_figures(sides))
    assert "saving adds to a block (median of segments, 95 %, bootstrap): 1.00 (" in capsys.readouterr().out
