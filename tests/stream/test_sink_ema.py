"""--sink-ema: frames that leave the window change the sink, in any world whose sink is as long as a block."""

from __future__ import annotations

import pytest

from tests.support.tiny import digests
from world.event import Prompt
from world.info import WorldError
from world.zoo import open_world

WORDS = "slow blue plasma"


def made(average: float | None, blocks: int = 10) -> list[str]:
    session = open_world("small", sink_ema=average).session(3, WORDS)
    return digests([session.step() for _ in range(blocks)])


def test_the_sink_changes_once_the_window_is_full():
    plain, averaged = made(None), made(0.9)
    assert averaged[:8] == plain[:8] and averaged[8] != plain[8]
    assert made(0.0) == plain


def test_the_average_is_kept_over_a_switch_and_a_fold_of_the_log_goes_on_with_it():
    world = open_world("small", sink_ema=0.9)
    session = world.session(3, WORDS)
    log = [session.step([Prompt("green rain")] if number == 9 else []) for number in range(12)]
    folded = world.session(3, WORDS)
    folded.fold(log)
    assert digests([folded.step()]) == digests([session.step()])


@pytest.mark.parametrize("options", [{"name": "probe", "sink_ema": 0.9}, {"sink": 2, "sink_ema": 0.9}])
def test_a_sink_that_cannot_be_averaged_is_refused_in_one_line(options):
    with pytest.raises(WorldError, match="sink") as refused:
        open_world(**options)
    assert "\n" not in str(refused.value)
