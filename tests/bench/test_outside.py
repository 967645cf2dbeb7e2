"""Whether the ledger can be believed: somebody outside presses real keys, watches the screen, and compares."""

from __future__ import annotations

import bisect
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from statistics import median

import pytest

from loop.measure.trace.recording import MS, Recording, read_recording
from tests.support.shows import ROOT, end_all, finish, read_trace, start, wait_until

pytest.importorskip("Xlib", reason="python-xlib is not installed: pip install 'neverblink[dev]'")

from tests.support.xserver import Observer, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed: apt install xvfb"),
]
TRIALS = 40
LIMIT_MS = 2.0
CARD = ("--world", "probe", "--probe-fps", 30, "--probe-block-ms", 20, "--probe-recache-ms", 10)
WINDOW = ("--size", "320x180", "--patch", "corner")


class Seen:
    """One show from both sides: its own trace, and what the onlooker saw of it."""

    def __init__(self, trace: Recording, told: list[dict]) -> None:
        self.trace = trace
        self.presses = [line["press_ns"] for line in told if "press_ns" in line]
        self.looks = [line for line in told if "seen_ns" in line]

    def named(self) -> list[int]:
        """For each event: the frame that the ledger says showed it first."""
        frames = {line["t_ns"]: line["frame"] for line in self.trace.flips}
        return [frames[event.stamps["flip"]] for event in self.trace.events]

    def caught(self) -> float:
        """Of the frames that the ledger names, the share that was seen: on a busy machine looks come late."""
        seen = {look["number"] for look in self.looks}
        return sum(frame in seen for frame in self.named()) / TRIALS

    def press_to_pump_ms(self) -> float:
        """The median."""
        pumps = [event.stamps["pump"] for event in self.trace.events]
        return median((pump - press) / MS for press, pump in zip(self.presses, pumps, strict=True))

    def flip_to_seen_ms(self) -> float:
        """The median."""
        turns = [after["seen_ns"] for before, after in pairwise(self.looks) if after["patch"] != before["patch"]]
        flips = [event.stamps["flip"] for event in self.trace.events]
        return median(abs(turn - flip) / MS for turn, flip in zip(turns, flips, strict=True))


@pytest.fixture(scope="module")
def server():
    """The name of an X display with one empty screen."""
    with serve() as name:
        yield name


def watched(server: str, trace, *options, **kwargs) -> Seen:
    """A show on `server` that an onlooker pressed keys at."""
    environment = os.environ | {"DISPLAY": server, "SDL_VIDEODRIVER": "x11"}
    show = start(*options, *WINDOW, "--trace", trace, env=environment, **kwargs)
    try:
        wait_until(lambda: len(read_trace(trace, "flip")) > 30, "the first frames")
        command = [sys.executable, "-m", "tests.support.onlooker", server, str(TRIALS), "1"]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
        observer = Observer(server)
        observer.press("ctrl", "q")
        status, _, errors = finish(show)
        observer.display.close()
    finally:
        end_all()
    assert status == 0, errors
    return Seen(read_recording(trace), [json.loads(line) for line in told.splitlines()])


@pytest.fixture(scope="module")
def live(server, tmp_path_factory):
    """The test card as it is played."""
    return watched(server, tmp_path_factory.mktemp("live") / "trace.jsonl", *CARD)


@pytest.fixture(scope="module")
def bare(server, tmp_path_factory):
    """The same loop and window without a model."""
    return watched(server, tmp_path_factory.mktemp("bare") / "trace.jsonl", *CARD, module="loop.measure.shows.bare")


def test_every_key_that_was_pressed_is_in_the_ledger_in_order(live):
    events = live.trace.events
    assert [event.kind for event in events] == ["scene"] * TRIALS and len(live.presses) == TRIALS
    for before, after in pairwise(zip(live.presses, events, strict=True)):
        assert before[0] < before[1].stamps["pump"] < before[1].stamps["flip"] < after[0]


def test_no_frame_is_seen_after_a_newer_one(live):
    numbers = [look["number"] for look in live.looks]
    assert numbers == sorted(numbers) and len(set(numbers)) > 10 * TRIALS / 4


def test_the_frame_that_the_ledger_names_is_the_first_one_seen_with_the_input_in_it(live):
    named = live.named()
    for look in live.looks:
        assert look["prompts"] == bisect.bisect_right(named, look["number"]), look
    assert live.caught() > 0.8


def test_the_patch_turns_on_the_very_frame_that_the_ledger_names(live):
    patches = {line["frame"]: line["patch"] for line in live.trace.flips}
    assert all(look["patch"] == patches[look["number"]] for look in live.looks)
    turns = [after["patch"] for before, after in pairwise(live.looks) if after["patch"] != before["patch"]]
    flips = [before["patch"] != after["patch"] for before, after in pairwise(live.trace.flips)]
    named = {event.stamps["flip"] for event in live.trace.events}
    turned = {line["t_ns"] for line, is_turn in zip(live.trace.flips[1:], flips, strict=True) if is_turn}
    assert len(turns) == TRIALS and turned == named


def test_the_ledgers_ends_are_within_two_milliseconds_of_what_is_seen_outside(live, bare):
    figures = {
        name: (round(seen.press_to_pump_ms(), 2), round(seen.flip_to_seen_ms(), 2))
        for name, seen in (("live", live), ("bare", bare))
    }
    told = f"median ms of (press to pump, flip to seen): {figures}"
    print(told)
    if max(figures["bare"]) > LIMIT_MS:
        pytest.skip(f"this machine is too busy to say: a bare window is over {LIMIT_MS:g} ms too; {told}")
    assert max(figures["live"]) <= LIMIT_MS, told
