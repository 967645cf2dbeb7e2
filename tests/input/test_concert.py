"""Concert mode: whole shows on made-up time that a set list plays by itself."""

import pytest

from input.mapper import Mapper
from input.set_list import SetList
from loop.stage.desk import CueDesk
from loop.stage.instruments import Instruments
from loop.stage.stage import OnStage
from tests.simulation.show import Plan, play

BAR_S = 2.0  # at 120 beats a minute
BARS = (1, 2, 4, 5, 9)
LINES = "".join(f"cue{bar} | words of bar {bar} | bar={bar}\n" for bar in BARS)


def night(path, **conditions):
    """A show of the set list `path`, at 120 beats a minute from the first picture on."""

    def on_stage(model):
        return OnStage(CueDesk(model, SetList(path), "off", 120.0), Instruments(), Mapper())

    return play(Plan(seconds=24.0, **conditions), on_stage=on_stage)


@pytest.fixture
def set_list(tmp_path):
    (tmp_path / "set.txt").write_text(LINES)
    return tmp_path / "set.txt"


def words_by_block(show):
    return [(card.block.index, card.words) for card in show.story.cards if card.forgotten_ns is None]


def test_each_cue_comes_with_its_bar(set_list):
    show = night(set_list, block_ms=150.0)
    errors_ms = {line["id"]: line["error_ms"] for line in show.trace.of("launched")}
    assert [line["name"] for line in show.trace.of("launch")] == [f"cue{bar}" for bar in BARS]
    met = [errors_ms[line["id"]] for line in show.trace.of("launch") if line["beat"] > 0]
    assert len(met) == len(BARS) - 1 and max(map(abs, met)) < 62.5


@pytest.mark.parametrize("block_ms", [60.0, 150.0, 235.0])
def test_two_nights_are_alike_although_no_message_takes_the_same_time(set_list, block_ms):
    one, other = (night(set_list, block_ms=block_ms, seed=seed, to_model_ms=30.0, to_window_ms=30.0) for seed in (1, 2))
    blocks = min(len(one.story.cards), len(other.story.cards))
    assert words_by_block(one)[:blocks] == words_by_block(other)[:blocks]
    assert {words for _, words in words_by_block(one)[:blocks]} >= {f"words of bar {bar}" for bar in BARS}


@pytest.mark.parametrize(("dial", "most_ms"), [("zoom", 62.5), ("brightness", 17.0)])
def test_a_dial_turns_with_its_bar_whether_it_is_the_worlds_or_the_displays(tmp_path, dial, most_ms):
    (tmp_path / "set.txt").write_text(f"turn | | turn={dial}:0.5 bar=4\n")
    show = night(tmp_path / "set.txt", block_ms=150.0)
    assert [line["beat"] for line in show.trace.of("launch")] == [12]
    (launched,) = show.trace.of("launched")
    assert abs(launched["error_ms"]) < most_ms


def test_words_and_a_dial_share_a_beat(tmp_path):
    (tmp_path / "set.txt").write_text("words | red | bar=4\nturn | | turn=zoom:0.5 bar=4\n")
    show = night(tmp_path / "set.txt", block_ms=150.0)
    assert sorted(line["name"] for line in show.trace.of("launch")) == ["turn", "words"]
    assert len(show.trace.of("launched")) == 2
