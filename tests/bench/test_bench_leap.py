"""What `bench leap` says of a leap, and what the soak says of a world's rate."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.measure.leap.between_steps import dial_figures
from loop.measure.leap.command import _run_replay, leap_figures
from loop.measure.leap.pictures import Jump, ShownFilm
from loop.measure.shows import bench_soak
from loop.measure.trace.analysis import mean_rate
from tests.support.tiny import tiny_world
from tests.support.traces import event, flips, recorded

GREY = np.arange(120, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)  # one level more a frame


def test_a_picture_changes_as_much_to_the_next_one_and_more_in_a_period_where_frames_come_faster():
    def leaping(tick):
        return tick // 3 if tick < 60 else min(20 + tick - 60, 25) if tick < 69 else 26 + (tick - 69) // 3

    told = [*event(1, "prompt", pump=1000, flip=1150)]
    ordinary = ShownFilm(recorded(*flips(120), *told), GREY)
    fast = ShownFilm(recorded(*flips(120, leaping), *told), GREY)
    calm, jump = (shown.jump(shown_event) for shown, shown_event in ((ordinary, first(told)), (fast, first(told))))
    assert calm.to_next == jump.to_next == 1.0
    assert calm.in_a_period == 1.0 and jump.in_a_period == 3.0


def test_the_first_block_of_a_film_may_have_fewer_frames():
    told = [*event(1, "prompt", pump=1000, flip=1150)]
    whole, shorter = (ShownFilm(recorded(*flips(120), *told), film) for film in (GREY[:40], GREY[2:40]))
    jumps = [film.jump(first(told)) for film in (whole, shorter)]
    assert jumps[1].places == tuple(place - 2 for place in jumps[0].places)


def test_a_replay_that_fails_ends_the_measurement_with_its_own_last_words():
    with pytest.raises(ChildProcessError, match=r"ended with status 2: the session is gone"):
        _run_replay([sys.executable, "-c", "import sys; sys.exit(print('the session is gone', file=sys.stderr) or 2)"])


def first(lines):
    return recorded(*flips(2), *lines).events[0]


def test_both_kinds_of_change_are_compared():
    jumps = {"leap": [Jump(4.0, 9.0, ())] * 5, "whole": [Jump(4.0, 5.0, ())] * 5}
    figures = leap_figures(jumps)
    assert figures["to_next"]["leap against whole"]["value"] == 0.0
    assert figures["in_a_period"]["leap against whole"]["value"] == pytest.approx(4.0)


def test_a_world_that_is_shown_at_its_own_rate_has_the_rate_of_one():
    assert mean_rate(recorded(*flips(300))) == pytest.approx(1.0, abs=0.001)
    assert mean_rate(recorded(*flips(300, lambda tick: tick // 2))) == pytest.approx(1.5, abs=0.01)


def test_a_soak_of_the_dial_alone_has_no_switches():
    options = parse_command_line(["bench", "soak", "--minutes", "0.5", "--dial-only"])
    show = bench_soak._soak_show(options, ("zoom", -1.0, 1.0))
    assert {entry["dial"] for entry in show.script} == {"zoom"}


class PlainDecoder:
    """Three channels of the latents as pictures."""

    memory = 0

    def start(self):
        return None

    def decode(self, state, latents):
        values = np.asarray(latents, np.float32)[0, :, :3].transpose(0, 2, 3, 1)
        return (values * 40 + 128).clip(0, 255).astype(np.uint8), None


def test_a_dial_from_the_first_step_on_is_one_from_the_boundary_and_a_later_one_does_less():
    world = replace(tiny_world(), decoder=PlainDecoder())
    figures = dial_figures(world, "energy", range(2), steps=2)
    effects = {name: spread.p50 for name, spread in figures["share of the effect"].items()}
    assert effects["step 1"] == pytest.approx(1.0) and effects["step 2"] != pytest.approx(1.0, abs=0.01)
    assert list(figures["largest change"]) == ["never", "step 1", "step 2"]


def test_a_world_without_dials_has_none_to_turn_between_its_steps(capsys):
    assert main(["bench", "leap", "--between-steps", "--world", "probe"]) == 2
    assert "turns a dial of a diffusion world: the world 'probe' has none" in capsys.readouterr().err
