"""Prompt switches in whole shows: every mode, at random moments, with and without a reserve."""

import json
import random
from itertools import pairwise

import pytest

from tests.support.shows import end_all, finish, read_trace, start

PROBE = ("--world", "probe", "--headless", "--probe-block-ms", 150, "--probe-recache-ms", 120)
TICK_MS = 1000 / 60


@pytest.fixture(autouse=True)
def no_show_outlives_its_test():
    yield
    end_all()


def switches(tmp_path, count, seed, gap_s=(0.5, 1.1)):
    """A script of prompts at random moments, and its length in seconds."""
    chance, at_s, lines = random.Random(seed), 1.0, []
    for number in range(count):
        lines.append(json.dumps({"at_s": round(at_s, 3), "prompt": f"prompt {number}"}))
        at_s += chance.uniform(*gap_s)
    path = tmp_path / "script.jsonl"
    path.write_text("\n".join(lines))
    return path, at_s + 1


def show(tmp_path, *options, count=8, seed=1):
    """The trace of a show with `count` switches."""
    script, seconds = switches(tmp_path, count, seed)
    trace = tmp_path / ("-".join(map(str, options)) + ".jsonl")
    status, _, err = finish(start(*PROBE, "--script", script, "--seconds", seconds, "--trace", trace, *options), 120)
    assert (status, err) == (0, "")
    return trace


def new_frames(trace):
    """The flips that showed another frame than the one before."""
    flips = read_trace(trace, "flip")
    return [b for a, b in zip([{"frame": None}, *flips], flips, strict=False) if a["frame"] != b["frame"]]


def latencies_ms(trace):
    """From pump to flip, of every event that was seen."""
    stamps = {}
    for line in read_trace(trace, "stage"):
        stamps.setdefault(line["id"], {})[line["stage"]] = line["t_ns"]
    return [(event["flip"] - event["pump"]) / 1e6 for event in stamps.values() if "flip" in event]


@pytest.mark.parametrize(
    ("mode", "reserve"),
    [
        ("auto", 0),
        ("auto", 2),
        *[pytest.param(mode, n, marks=pytest.mark.slow) for mode in ("inline", "overlap", "snap") for n in (0, 2)],
    ],
)
def test_every_switch_reaches_the_screen_and_frames_stay_in_order(tmp_path, mode, reserve):
    trace = show(tmp_path, "--switch", mode, "--reserve", reserve, count=5)
    frames = [line["frame"] for line in new_frames(trace)]
    assert frames == sorted(set(frames)), "no frame twice, none out of order"
    assert len(latencies_ms(trace)) == 5


@pytest.mark.slow
def test_a_block_says_where_its_switch_cut_and_where_it_was_seen(tmp_path):
    for mode in ("inline", "overlap"):
        blocks = [line for line in read_trace(show(tmp_path, "--switch", mode, "--reserve", 1), "block")]
        blocks = [line for line in blocks if line["switch"]]
        assert len(blocks) == 8
        assert all(line["seen"] == line["block"] and line["cut"] <= line["seen"] for line in blocks)
        assert any(line["cut"] < line["seen"] for line in blocks) == (mode == "overlap")


@pytest.mark.slow
def test_what_nobody_saw_is_taken_back_in_snap_and_not_in_line(tmp_path):
    shown = {mode: show(tmp_path, "--switch", mode, "--reserve", 2) for mode in ("inline", "snap")}
    made = {mode: {line["block"] for line in read_trace(trace, "block")} for mode, trace in shown.items()}
    seen = {mode: {line["block"] for line in read_trace(trace, "flip")} for mode, trace in shown.items()}
    ends = {mode: max(blocks) for mode, blocks in seen.items()}
    assert not {block for block in made["inline"] - seen["inline"] if block < ends["inline"]}
    unseen = {block for block in made["snap"] - seen["snap"] if block < ends["snap"]}
    abandoned = sum(line["abandoned"] for line in read_trace(shown["snap"], "block"))
    assert len(unseen) >= 4 and len(unseen) + abandoned >= 8, (
        "each of the eight finds a block in reserve, or one in flight"
    )


@pytest.mark.slow
def test_taking_back_is_faster_by_most_of_the_reserve(tmp_path):
    middle = {}
    for mode in ("inline", "snap", "auto"):
        found = sorted(latencies_ms(show(tmp_path, "--switch", mode, "--reserve", 2, count=16)))
        middle[mode] = found[len(found) // 2]
    assert middle["snap"] < middle["inline"] - 250 and middle["auto"] < middle["inline"] - 250


@pytest.mark.slow
def test_a_hard_cut_during_a_switch_and_ten_prompts_in_one_block_are_survived(tmp_path):
    script, trace = tmp_path / "script.jsonl", tmp_path / "trace.jsonl"
    lines = [{"at_s": 1.0, "prompt": "a"}, {"at_s": 1.05, "prompt": "b"}, {"at_s": 1.1, "scene": "c"}]
    lines += [{"at_s": 2.0 + i / 1000, "prompt": f"p{i}"} for i in range(10)]
    lines += [{"at_s": 3.0, "prompt": "p9"}]
    script.write_text("\n".join(map(json.dumps, lines)))
    status, _, err = finish(start(*PROBE, "--script", script, "--seconds", 4.5, "--trace", trace))
    assert (status, err) == (0, "")
    ends = {}
    for line in read_trace(trace, "stage"):
        if line["stage"] in ("flip", "replaced"):
            ends[line["id"]] = line["stage"]
    texts = {line["id"]: line["event"]["text"] for line in read_trace(trace, "event")}
    assert len(ends) == len(texts), "every event either was seen or gave way to another"
    assert [texts[i] for i in sorted(ends) if ends[i] == "flip"][-2:] == ["p9", "p9"]
    frames = [line["frame"] for line in new_frames(trace)]
    assert frames == sorted(set(frames))


def test_a_transition_takes_its_blocks_with_one_recache_each(tmp_path):
    script, trace = tmp_path / "script.jsonl", tmp_path / "trace.jsonl"
    script.write_text(json.dumps({"at_s": 1.0, "prompt": "blue"}))
    options = ("--script", script, "--seconds", 4, "--trace", trace, "--transition", 4, "--prompt", "red")
    status, _, err = finish(start("--world", "probe", "--headless", *options))
    assert (status, err) == (0, "")
    switched = [line["block"] for line in read_trace(trace, "block") if line["switch"]]
    assert switched == list(range(switched[0], switched[0] + 4))
    assert len(latencies_ms(trace)) == 1


@pytest.mark.slow
def test_a_model_at_half_speed_is_shown_in_even_slow_motion_through_its_switches(tmp_path):
    script, seconds = switches(tmp_path, 8, seed=2)
    trace = tmp_path / "trace.jsonl"
    costs = ("--probe-block-ms", 500, "--probe-recache-ms", 200)
    options = ("--script", script, "--seconds", seconds + 4, "--trace", trace)
    assert finish(start("--world", "probe", "--headless", *costs, *options), 120)[0] == 0
    shown = new_frames(trace)
    settled = [line for line in shown if line["t_ns"] > shown[0]["t_ns"] + 4e9]
    holds = sorted((b["t_ns"] - a["t_ns"]) / 1e6 for a, b in pairwise(settled))
    middle = holds[len(holds) // 2]
    assert 120 < middle < 200
    assert sum(abs(hold - middle) <= 2.1 * TICK_MS for hold in holds) >= 0.9 * len(holds)
