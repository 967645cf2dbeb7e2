"""What the display dials do to a picture, when they do it, and how an event is seen to arrive."""

from __future__ import annotations

import json
from itertools import pairwise

import av
import numpy as np
import pytest

from loop.link.message import Taken
from loop.link.ring import FrameMark
from loop.output.ledger import Ledger
from loop.output.trace import Trace
from loop.screen.display_dials import MAX_LUMINANCE_STEP, DisplayDials
from loop.screen.effects import blended, brightened, folded, hue_rotated, luminance, magnified, mirrored, postered
from loop.screen.photodiode import PhotodiodePatch
from tests.support.shows import end_all, finish, read_trace, start
from world.event import Dial, Prompt

BLACK, GREY, WHITE = (np.full((36, 64, 3), level, np.uint8) for level in (0, 100, 255))


def noise(width: int = 64, height: int = 36) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def dials() -> DisplayDials:
    return DisplayDials()


@pytest.mark.parametrize("width", [64, 63, 1])
def test_a_mirror_exchanges_left_and_right_or_repeats_the_left_half(width):
    pixels = noise(width)
    assert (mirrored(pixels) == pixels[:, ::-1]).all()
    halves = folded(pixels)
    assert (halves == halves[:, ::-1]).all()
    assert (halves[:, : width // 2] == pixels[:, : width // 2]).all()


@pytest.mark.parametrize(("factor", "grey", "white"), [(0, 0, 0), (0.5, 50, 128), (1, 100, 255), (2, 200, 255)])
def test_brightness_multiplies_and_stops_at_white(factor, grey, white):
    assert (brightened(GREY, factor) == grey).all()
    assert (brightened(WHITE, factor) == white).all()
    assert (hue_rotated(GREY, 90, factor) == grey).all()


@pytest.mark.parametrize("tones", [4, 8])
def test_a_poster_has_so_many_evenly_spaced_tones_and_each_value_takes_the_one_of_its_share(tones):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    cut = postered(ramp, tones)
    assert len(np.unique(cut)) == tones and cut.min() == 0 and cut.max() == 255
    even = np.arange(256) * tones // 256 * 255 / (tones - 1)
    assert np.abs(cut.reshape(-1, 3)[:, 0] - even).max() < 1
    assert (cut[..., 1] == cut[..., 0]).all() and (ramp.reshape(-1, 3)[:, 2] == np.arange(256)).all()


def test_the_poster_dial_cuts_the_picture_after_its_colours_were_turned(dials):
    pixels = noise()
    dials.turn("poster", 2)
    assert (dials.picture(pixels) == postered(pixels, 4)).all()
    dials.turn("brightness", 0.5)
    assert (dials.picture(None) == postered(brightened(pixels, 0.5), 4)).all()
    dials.turn("poster", 1)
    dials.turn("hue", 90)
    assert (dials.picture(None) == postered(hue_rotated(pixels, 90, 0.5), 8)).all()
    dials.turn("poster", 0.4)
    assert (dials.picture(None) == hue_rotated(pixels, 90, 0.5)).all()


def test_a_third_of_a_turn_makes_red_green_and_green_blue_and_blue_red():
    pixels = noise()
    assert (hue_rotated(pixels, 120) == np.roll(pixels, 1, axis=2)).all()
    assert (hue_rotated(pixels, -120) == np.roll(pixels, -1, axis=2)).all()


def test_greys_have_no_hue_and_half_a_turn_is_the_same_either_way():
    assert all((hue_rotated(GREY, degrees) == GREY).all() for degrees in range(-180, 181, 30))
    assert (hue_rotated(noise(), 180) == hue_rotated(noise(), -180)).all()


def test_magnifying_keeps_the_middle_and_the_size():
    pixels = noise()
    larger = magnified(pixels, 4)
    assert larger.shape == pixels.shape
    middle = pixels[17:19, 31:33].mean()
    assert larger[17:19, 31:33].mean() == pytest.approx(middle, abs=1.5)
    assert (magnified(pixels, 1) == pixels).all() and (magnified(GREY, 3.3) == GREY).all()


def test_a_slow_zoom_moves_an_edge_evenly_between_pixels():
    ramp = np.zeros((40, 200, 3), np.uint8)
    ramp[:] = np.arange(200)[None, :, None]
    values = [int(magnified(ramp, 1 + step / 100)[20, 0, 0]) for step in range(100)]
    assert values[0] == 0 and values[-1] == pytest.approx(49, abs=1)
    assert all(0 <= after - before <= 1 for before, after in pairwise(values))


def test_blending_goes_its_share_of_the_way_in_light():
    start, end = noise(), mirrored(noise()) // 2
    there = luminance(start) + 0.3 * (luminance(end) - luminance(start))
    assert luminance(blended(start, end, 0.3)) == pytest.approx(there, abs=0.002)


def test_at_rest_the_picture_is_as_it_came_and_is_shown_once(dials):
    pixels = noise()
    assert (dials.picture(pixels) == pixels).all()
    assert dials.picture(None) is None


def test_a_dial_acts_on_a_picture_that_is_held(dials):
    dials.picture(GREY)
    dials.turn("brightness", 0.5)
    assert (dials.picture(None) == 50).all()
    assert dials.picture(None) is None
    dials.turn("brightness", 1.0)
    assert (dials.picture(None) == GREY).all(), "nothing of the picture is lost"


def test_a_dial_before_the_first_picture_acts_on_it(dials):
    dials.turn("brightness", 0.0)
    assert dials.picture(None) is None
    assert not dials.picture(WHITE).any()


def test_a_picture_may_be_written_over_once_it_was_given(dials):
    pixels = GREY.copy()
    dials.picture(pixels)
    pixels[:] = 0
    dials.turn("mirror", 1.0)
    assert (dials.picture(None) == GREY).all()


def test_values_outside_a_dials_limits_are_the_limits(dials):
    dials.turn("brightness", -3.0)
    dials.turn("magnify", 1e9)
    assert dials.values["brightness"] == 0.0 and dials.values["magnify"] == 4.0


def test_all_dials_together_are_the_effects_one_after_the_other(dials):
    for name, value in (("mirror", 2.0), ("magnify", 1.5), ("hue", 40.0), ("brightness", 1.2)):
        dials.turn(name, value)
    assert (dials.picture(noise()) == hue_rotated(magnified(folded(noise()), 1.5), 40.0, 1.2)).all()


def brightness_over(ticks: int, dials: DisplayDials, picture_at) -> list[float]:
    """The true relative luminance (sRGB) of what is on the screen at each tick."""
    values, shown = [], None
    for tick in range(ticks):
        new = dials.picture(picture_at(tick))
        shown = shown if new is None else new
        encoded = shown / 255
        light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
        values.append(float(light.mean(axis=(0, 1)) @ (0.2126, 0.7152, 0.0722)))
    return values


def changes(values: list[float], least: float = 0.1) -> int:
    """How often the brightness went at least `least` up or down: an upper limit on opposite changes."""
    count, low, high = 0, values[0], values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
        if value - low >= least or high - value >= least:
            count, low, high = count + 1, value, value
    return count


@pytest.mark.parametrize("ticks_each", [1, 2, 5, 10, 15])
def test_the_guard_lets_no_more_than_three_flashes_through_in_a_second(dials, ticks_each):
    def flashing(tick: int) -> np.ndarray:
        return WHITE if tick // ticks_each % 2 else BLACK

    assert changes(brightness_over(60, DisplayDials(), flashing)) >= 3, "without the guard they are there"
    dials.turn("guard", 1.0)
    values = brightness_over(240, dials, flashing)
    assert all(changes(values[second : second + 60]) <= 6 for second in range(0, 181, 10))
    assert sum(abs(after - before) for before, after in pairwise(values[120:180])) < 0.7


def test_the_guard_goes_on_from_tick_to_tick_until_the_picture_is_all_there(dials):
    dials.turn("guard", 1.0)
    values = brightness_over(200, dials, lambda tick: (BLACK, WHITE)[min(tick, 1)] if tick < 2 else None)
    assert values[-1] == 1.0
    assert all(0 <= after - before < 2 * MAX_LUMINANCE_STEP for before, after in pairwise(values))
    assert dials.picture(None) is None


def test_the_guard_leaves_alone_what_is_as_bright_as_before(dials):
    dials.turn("guard", 1.0)
    dials.picture(noise())
    assert (dials.picture(mirrored(noise())) == mirrored(noise())).all()


def ledger() -> tuple[Ledger, list]:
    lines = []
    trace = Trace(None)
    trace.put = lambda kind, **fields: lines.append((kind, fields))
    return Ledger(trace), lines


def stages(lines: list, number: int) -> list[str]:
    return [fields["stage"] for kind, fields in lines if kind == "stage" and fields["id"] == number]


def test_a_display_dial_arrives_with_the_next_flip_whatever_that_shows():
    book, lines = ledger()
    number = book.submitted(Dial("brightness", 0.5), "keys", 1, 2)
    book.turned(number, "brightness")
    assert book.arrivals(None) == (number,)
    book.flipped(None, 3)
    assert stages(lines, number) == ["pump", "submit", "flip"]
    assert book.arrivals(None) == ()


def test_of_two_values_before_one_flip_the_first_is_replaced():
    book, lines = ledger()
    first, second, other = (
        book.submitted(Dial(name, value), "keys", 1, 2) for name, value in (("hue", 1.0), ("hue", 2.0), ("mirror", 1.0))
    )
    for number, name in ((first, "hue"), (second, "hue"), (other, "mirror")):
        book.turned(number, name)
    book.flipped(None, 3)
    assert [stages(lines, number)[-1] for number in (first, second, other)] == ["replaced", "flip", "flip"]


def test_words_arrive_with_the_first_frame_of_their_block_and_only_once():
    book, lines = ledger()
    number = book.submitted(Prompt("red"), "keys", 1, 2)
    book.taken(Taken(5, (number,), (), 3))
    before, first, second = (FrameMark(n, n, block, 0, 0) for n, block in ((19, 4), (20, 5), (21, 5)))
    assert book.arrivals(None) == book.arrivals(before) == ()
    assert book.arrivals(first) == (number,)
    book.flipped(first, 4)
    assert book.arrivals(second) == () and stages(lines, number)[-1] == "flip"


def test_the_patch_is_in_the_corner_over_a_blackout_and_turns(monkeypatch):
    pygame = pytest.importorskip("pygame")
    from loop.screen.window import Window, WindowOptions

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    window, patch = Window(WindowOptions(size=(640, 360))), PhotodiodePatch()
    for lit in (0, 255):
        window.show(WHITE, (patch.mark(window.size),), blackout=True)
        screen = pygame.surfarray.array3d(window._window.get_surface()).swapaxes(0, 1)
        assert (screen[:30, 610:] == lit).all()
        assert not screen[30:].any() and not screen[:, :610].any()
        patch.turn()
    window.close()


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    """(trace, pictures of the recording [Y, X, 3], stderr) of a show whose dials are turned by a script."""
    folder = tmp_path_factory.mktemp("show")
    script, trace, movie = folder / "script.jsonl", folder / "trace.jsonl", folder / "show.mp4"
    entries = [
        {"at_s": 0.5, "dial": "brightness", "value": 0.5},
        {"at_s": 0.8, "dial": "nobody", "value": 0.5},
        {"at_s": 0.9, "dial": "nobody", "value": 0.6},
        {"at_s": 1.0, "prompt": "red"},
        {"at_s": 1.7, "dial": "brightness", "value": 0.0},
    ]
    script.write_text("\n".join(map(json.dumps, entries)))
    files = ("--script", script, "--trace", trace, "--record", movie)
    played = ("--world", "probe", "--headless", "--seconds", 2.2, "--patch", "corner", "--prompt", "grey")
    try:
        status, _, err = finish(start(*played, *files))
    finally:
        end_all()
    assert status == 0, err
    with av.open(str(movie)) as recording:
        pictures = [frame.to_ndarray(format="rgb24") for frame in recording.decode(video=0)]
    return trace, pictures, err


def arrived(trace) -> list[tuple[dict, dict]]:
    """(event, its stamps) of all that were shown, in order."""
    events = []
    for line in read_trace(trace, "event"):
        stamps = {at["stage"]: at["t_ns"] for at in read_trace(trace, "stage") if at["id"] == line["id"]}
        events.append((line["event"], stamps))
    return events


def test_a_display_dial_is_shown_at_the_first_tick_after_it_came(show):
    turned_to = {event["value"]: stamps for event, stamps in arrived(show[0]) if event["type"] == "dial"}
    assert set(turned_to) == {0.5, 0.0}
    times = [line["t_ns"] for line in read_trace(show[0], "flip")]
    for stamps in turned_to.values():
        assert list(stamps) == ["pump", "submit", "flip"]
        assert stamps["flip"] == min(t_ns for t_ns in times if t_ns > stamps["submit"])


def test_the_patch_turns_with_the_flip_of_each_event_and_with_no_other(show):
    named = {stamps["flip"] for _, stamps in arrived(show[0])}
    flips = read_trace(show[0], "flip")
    turns = {after["t_ns"] for before, after in pairwise(flips) if after["patch"] != before["patch"]}
    assert len(named) == 3 and turns == named


def test_what_is_shown_is_what_is_recorded(show):
    floors = [int(picture[-20:].max()) for picture in show[1]]
    full, half = floors[0], floors[12]
    assert full > 100 and half == pytest.approx(full / 2, abs=8)
    assert floors[-1] < 8


def test_a_dial_that_nobody_has_is_warned_of_once_and_goes_nowhere(show):
    assert show[2].count("nobody") == 1 and "expected one of brightness, hue" in show[2]
    assert all(event.get("name") != "nobody" for event, _ in arrived(show[0]))
