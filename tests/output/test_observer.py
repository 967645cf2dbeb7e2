"""The whole show in a real window, seen from outside: a process that presses real keys and reads the screen."""

import bisect
import os
import shutil
import time

import av
import pytest

from tests.support.shows import end_all, finish, model_pid, read_trace, start, wait_until

pytest.importorskip("Xlib", reason="python-xlib is not installed: pip install 'neverblink[dev]'")

from tests.support.xserver import Observer, serve
from world.probe import prompt_colour, read_frame

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed: apt install xvfb"),
]


@pytest.fixture(scope="module")
def server():
    """The name of an X display with one empty screen."""
    with serve() as name:
        yield name


@pytest.fixture
def stage(server, tmp_path):
    """(observer, start a show on its screen)."""
    observer = Observer(server)
    environment = os.environ | {"DISPLAY": server, "SDL_VIDEODRIVER": "x11"}
    trace = tmp_path / "trace.jsonl"

    def begin(*options):
        return start("--size", "640x360", "--trace", trace, *options, env=environment)

    yield observer, begin, trace
    end_all()
    observer.display.close()


def picture(observer):
    """uint8 [Y, X, 3] of the show's window."""
    return observer.look()[observer.place()]


def showing(observer, trace):
    """Wait until frames are on the screen."""
    wait_until(lambda: len(read_trace(trace, "flip")) > 5, "the first frames")


def write(observer, text, submit=("enter",)):
    """Open the line with a real key, type with real keys, submit."""
    observer.press("/")
    time.sleep(0.2)
    for char in text:
        observer.press(char)
        time.sleep(0.03)
    observer.press(*submit)


def test_frame_number_and_prompt_count_on_the_screen_agree_with_the_trace(stage):
    observer, begin, trace = stage
    show = begin("--world", "probe", "--seconds", 8, "--probe-block-ms", 120, "--probe-recache-ms", 60)
    showing(observer, trace)
    write(observer, "blue")
    looks, end_s = [], time.monotonic() + 3  # before the window closes
    while time.monotonic() < end_s and len(looks) < 400:
        before, pixels, after = time.perf_counter_ns(), picture(observer), time.perf_counter_ns()
        looks.append((before, read_frame(pixels), after))
        time.sleep(0.005)
    finish(show)
    flips = read_trace(trace, "flip")
    times = [line["t_ns"] for line in flips]
    compared = 0
    for before, (number, _), after in looks:
        around = flips[max(0, bisect.bisect(times, before) - 1) : bisect.bisect(times, after) + 1]
        if len({line["frame"] for line in around}) == 1:
            compared += 1
            assert number == around[0]["frame"]
    assert compared > 20
    seen = next(line for line in read_trace(trace, "stage") if line["stage"] == "flip")
    first = next(line["frame"] for line in flips if line["t_ns"] == seen["t_ns"])
    counts = {number: prompts for _, (number, prompts), _ in looks}
    assert all(prompts == (number >= first) for number, prompts in counts.items())
    assert {0, 1} <= set(counts.values())


def test_a_prompt_typed_with_real_keys_changes_the_picture(stage):
    observer, begin, trace = stage
    show = begin("--world", "probe", "--prompt", "grey")
    showing(observer, trace)
    for words in ("a blue world", "a red world"):
        write(observer, words)
        wait_until(lambda w=words: (picture(observer)[250, 20] == prompt_colour(w)).all(), f"the colour of {words!r}")
    observer.press("ctrl", "q")
    assert finish(show)[0] == 0
    assert [line["event"]["text"] for line in read_trace(trace, "event")] == ["a blue world", "a red world"]


def test_freeze_and_blackout_are_reversible_at_once(stage):
    observer, begin, trace = stage
    show = begin("--world", "probe")
    showing(observer, trace)
    observer.press("space")
    wait_until(lambda: read_trace(trace, "flip")[-1].get("held") == "freeze", "the freeze")
    frozen = read_frame(picture(observer))
    time.sleep(0.5)
    assert read_frame(picture(observer)) == frozen
    observer.press("space")
    wait_until(lambda: read_frame(picture(observer)) != frozen, "the picture to go on")
    observer.press("b")
    wait_until(lambda: not picture(observer).any(), "the blackout")
    observer.press("b")
    wait_until(lambda: picture(observer).any(), "the picture to come back")
    observer.press("ctrl", "q")
    assert finish(show)[0] == 0
    frames = list(dict.fromkeys(line["frame"] for line in read_trace(trace, "flip")))
    assert frames == list(range(frames[0], frames[-1] + 1)), "nothing was lost by the freeze"


def test_the_window_keeps_its_picture_and_says_so_when_the_model_is_killed(stage):
    observer, begin, trace = stage
    show = begin("--world", "probe", "--prompt", "red")
    showing(observer, trace)
    last = model_pid(show)
    os.kill(last, 9)
    wait_until(lambda: read_trace(trace, "fault"), "the fault")
    kept = picture(observer)
    assert (kept[300, 20] == prompt_colour("red")).all()
    wait_until(lambda: model_pid(show) not in (None, last), "another model process", 10)
    before = read_trace(trace, "flip")[-1]["frame"]
    wait_until(lambda: read_trace(trace, "flip")[-1]["frame"] > before + 8, "the show to go on", 20)
    assert (picture(observer)[300, 20] == prompt_colour("red")).all()
    observer.press("ctrl", "q")
    assert finish(show)[0] == 0


def test_escape_closes_the_line_and_never_the_show(stage, tmp_path):
    observer, begin, trace = stage
    movie = tmp_path / "show.mp4"
    show = begin("--world", "probe", "--record", movie)
    showing(observer, trace)
    observer.press("escape")
    observer.press("enter")
    observer.press("x")
    observer.press("escape")
    observer.press("escape")
    count = len(read_trace(trace, "flip"))
    wait_until(lambda: len(read_trace(trace, "flip")) > count + 30, "the show to go on")
    assert show.poll() is None and not read_trace(trace, "event")
    observer.press("ctrl", "q")
    status, out, _ = finish(show)
    with av.open(str(movie)) as recording:
        recorded = len(list(recording.decode(video=0)))
    shown = len(dict.fromkeys(line["frame"] for line in read_trace(trace, "flip")))
    assert status == 0 and recorded == shown and "0 dropped" in out
