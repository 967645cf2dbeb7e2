"""The window on a driver without a screen: what it draws, what it hands out, how it says no."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from input.gesture import Closed, Composing, KeyDown, KeyUp, Resized, Text
from input.help import help_rows
from input.textline import LineView
from loop.screen.marks import Label
from loop.screen.overlay import OverlayState, layout

pygame = pytest.importorskip("pygame")

from loop.screen.canvas import placement  # noqa: E402
from loop.screen.opening import displays  # noqa: E402
from loop.screen.window import Window, WindowError, WindowOptions  # noqa: E402

RED, BLUE = (200, 10, 10), (10, 10, 200)


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    opened = Window(WindowOptions(size=(640, 360)))
    opened.poll()
    yield opened
    opened.close()


def picture(width: int, height: int, color=RED) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def drawn(window: Window) -> np.ndarray:
    """uint8 [Y, X, 3] of what the window holds."""
    return pygame.surfarray.array3d(window._window.get_surface()).swapaxes(0, 1)


def test_a_picture_fills_the_window_and_the_time_of_its_flip_comes_back(window):
    before = time.perf_counter_ns()
    flip_ns = window.show(picture(320, 180), ())
    assert before < flip_ns <= time.perf_counter_ns()
    assert (drawn(window) == RED).all()


@pytest.mark.parametrize(
    ("size", "inside"), [((200, 200), (slice(0, 360), slice(140, 500))), ((640, 100), (slice(130, 230), slice(0, 640)))]
)
def test_the_aspect_is_kept_with_black_around(window, size, inside):
    window.show(picture(*size), ())
    expected = np.zeros((360, 640, 3), np.uint8)
    expected[inside] = RED
    assert (drawn(window) == expected).all()


def test_scaling_is_smooth(window):
    pixels = picture(2, 1)
    pixels[0, 1] = BLUE
    window.show(pixels, ())
    assert len(np.unique(drawn(window)[180, :, 0])) > 20, "a ramp between the two, not a step"


def test_a_picture_is_not_referenced_after_it_is_shown(window):
    pixels = picture(320, 180)
    window.show(pixels, ())
    pixels[:] = BLUE
    window.show(None, (), blackout=True)
    window.show(None, ())
    assert (drawn(window) == RED).all()


def test_a_picture_that_is_not_contiguous_is_shown_right(window):
    window.show(picture(320, 180)[:, ::-1], ())
    assert (drawn(window) == RED).all()


def test_no_picture_is_the_last_one_again_and_black_before_the_first(window):
    window.show(None, ())
    assert (drawn(window) == 0).all()
    window.show(picture(320, 180), ())
    window.show(None, ())
    assert (drawn(window) == RED).all()


def test_blackout_hides_the_picture_and_leaves_the_overlay(window):
    window.show(picture(320, 180), (Label("fox", 100, 100, 30),), blackout=True)
    lit = drawn(window).max(axis=2) > 0
    assert lit[100:130, 100:160].any()
    lit[90:140, 90:170] = False
    assert not lit.any()


def test_a_wrong_picture_is_refused_with_its_shape(window):
    with pytest.raises(ValueError, match=r"float32 \[4, 4, 3\]: expected uint8"):
        window.show(np.zeros((4, 4, 3), np.float32), ())


class FlipCounter:
    """A pygame window whose flips are counted."""

    def __init__(self, window: Window) -> None:
        self._inner = window._window
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def flip(self) -> None:
        self.count += 1
        self._inner.flip()


@pytest.fixture
def flips(window, monkeypatch) -> FlipCounter:
    counter = FlipCounter(window)
    window.show(picture(320, 180), ())
    monkeypatch.setattr(window, "_window", counter)
    yield counter
    monkeypatch.undo()


def test_a_tick_that_changes_nothing_is_neither_drawn_nor_flipped_and_has_its_time(window, flips):
    window._window.get_surface().fill(BLUE)
    before = time.perf_counter_ns()
    assert before <= window.show(None, ()) <= time.perf_counter_ns()
    assert flips.count == 0
    assert (drawn(window) == BLUE).all()


def test_every_change_is_drawn_and_flipped_once(window, flips):
    label = (Label("fox", 100, 100, 30),)
    for pixels, overlay, blackout in (
        (picture(320, 180), (), False),
        (None, label, False),
        (None, (), False),
        (None, (), True),
        (None, label, True),
        (None, label, False),
    ):
        before = flips.count
        for _ in range(3):
            window.show(pixels, overlay, blackout)
            pixels = None
        assert flips.count == before + 1
        assert tuple(drawn(window)[0, 0]) == ((0, 0, 0) if blackout else RED)


@pytest.mark.parametrize("damage", [pygame.WINDOWEXPOSED, pygame.WINDOWSHOWN, pygame.WINDOWRESTORED])
def test_a_window_that_may_have_lost_its_picture_is_flipped_again(window, flips, damage):
    posted(window, (damage, {}))
    window.show(None, ())
    assert flips.count == 1


def test_pictures_under_a_blackout_are_not_flipped_and_the_newest_is_shown_after_it(window, flips):
    window.show(None, (), blackout=True)
    for _ in range(5):
        window.show(picture(320, 180, BLUE), (), blackout=True)
    assert flips.count == 1
    window.show(None, ())
    assert (drawn(window) == BLUE).all()


def test_what_lay_over_the_borders_is_gone_when_it_is_not_shown_any_more(window):
    window.show(picture(200, 200), (Label("fox", 10, 100, 60),))
    assert drawn(window)[:, :140].any()
    window.show(picture(200, 200), ())
    assert not drawn(window)[:, :140].any()


@pytest.mark.parametrize(
    ("fit", "window_size", "part", "place"),
    [
        ("contain", (640, 360), (0, 0, 224, 128), (5, 0, 630, 360)),
        ("contain", (360, 640), (0, 0, 224, 128), (0, 217, 360, 206)),
        ("fill", (640, 360), (0, 1, 224, 126), (0, 0, 640, 360)),
        ("fill", (360, 640), (76, 0, 72, 128), (0, 0, 360, 640)),
        ("fill", (10_000, 1), (0, 64, 224, 1), (0, 0, 10_000, 1)),
        ("stretch", (360, 640), (0, 0, 224, 128), (0, 0, 360, 640)),
        ("contain", (224, 128), (0, 0, 224, 128), (0, 0, 224, 128)),
        ("contain", (10_000, 1), (0, 0, 224, 128), (4999, 0, 2, 1)),
    ],
)
def test_where_the_picture_lies(fit, window_size, part, place):
    assert tuple(map(tuple, placement((224, 128), window_size, fit))) == (part, place)


def test_the_next_fit_is_seen_at_once_and_the_third_is_the_first_again(window):
    pixels = picture(100, 100)
    pixels[:20] = pixels[-20:] = BLUE
    window.show(pixels, ())
    contained = drawn(window)
    assert not contained[:, :140].any() and tuple(contained[10, 320]) == BLUE
    window.next_fit()
    window.show(None, ())
    assert (drawn(window)[10:350] == RED).all(), "filled: the blue top and bottom are cut off"
    window.next_fit()
    window.show(None, ())
    stretched = drawn(window)
    assert (stretched[:60] == BLUE).all() and (stretched[100:260] == RED).all()
    window.next_fit()
    window.show(None, ())
    assert (drawn(window) == contained).all()


def test_a_fit_that_there_is_not_is_refused():
    with pytest.raises(WindowError, match="fit 'cover': expected one of contain, fill, stretch"):
        WindowOptions(fit="cover")


def test_resizing_scales_the_held_picture_anew_and_reports_drawable_pixels(window):
    window.show(picture(320, 180), ())
    window._window.size = (800, 450)
    assert (Resized(800, 450)) in [gesture for gesture, _ in window.poll()]
    assert window.size == (800, 450)
    window.show(None, ())
    assert drawn(window).shape == (450, 800, 3)
    assert (drawn(window) == RED).all()


def test_full_screen_covers_the_display_and_goes_back(window):
    window.toggle_fullscreen()
    window.poll()
    assert window.is_fullscreen
    assert window.size == displays()[0]
    window.toggle_fullscreen()
    window.poll()
    assert window.size == (640, 360)


def posted(window: Window, *events) -> list:
    for kind, fields in events:
        pygame.event.post(pygame.event.Event(kind, fields))
    return [gesture for gesture, _ in window.poll()]


def key(code: int, mod: int = 0, scancode: int = 0) -> dict:
    return {"key": code, "mod": mod, "scancode": scancode}


def test_events_of_the_window_system_become_gestures(window):
    assert posted(
        window,
        (pygame.KEYDOWN, key(pygame.K_RETURN, pygame.KMOD_LSHIFT | pygame.KMOD_NUM)),
        (pygame.KEYUP, key(pygame.K_RETURN)),
        (pygame.TEXTINPUT, {"text": "é"}),
        (pygame.TEXTEDITING, {"text": "に", "start": 1, "length": 0}),
        (pygame.MOUSEMOTION, {"pos": (1, 1), "rel": (1, 1), "buttons": (0, 0, 0), "window": None}),
        (pygame.QUIT, {}),
    ) == [KeyDown("enter", frozenset({"shift"})), KeyUp("enter"), Text("é"), Composing("に", 1), Closed()]


def test_a_key_that_goes_down_twice_repeats_until_it_is_released(window):
    down, up = (pygame.KEYDOWN, key(pygame.K_b)), (pygame.KEYUP, key(pygame.K_b))
    pressed = [g.repeat for g in posted(window, down, down, up, down) if isinstance(g, KeyDown)]
    assert pressed == [False, True, False]


@pytest.mark.parametrize(
    ("code", "scancode", "name"),
    [(pygame.K_F11, 68, "f11"), (pygame.K_KP_ENTER, 88, "kp_enter"), (pygame.K_KP_DIVIDE, 84, "kp_/"),
     (pygame.K_PAGEUP, 75, "pageup"), (pygame.K_LEFTBRACKET, 47, "["), (ord("и"), 5, "b"),
     (pygame.K_PERIOD, 55, "."), (pygame.K_COMMA, 54, ","), (pygame.K_0, 39, "0"), (pygame.K_KP_0, 98, "kp_0")],
)  # fmt: skip
def test_keys_have_the_names_the_keyboard_expects(window, code, scancode, name):
    assert posted(window, (pygame.KEYDOWN, key(code, scancode=scancode))) == [KeyDown(name)]


def test_waiting_ends_at_a_gesture_and_keeps_it_with_its_time(window):
    pygame.event.post(pygame.event.Event(pygame.TEXTINPUT, {"text": "a"}))
    window.wait(60.0)
    waited_ns = time.perf_counter_ns()
    pygame.event.post(pygame.event.Event(pygame.TEXTINPUT, {"text": "b"}))
    (first, first_ns), (second, second_ns) = window.poll()
    assert (first, second) == (Text("a"), Text("b"))
    assert first_ns <= waited_ns <= second_ns


def test_waiting_ignores_what_is_no_gesture_and_ends_in_time(window):
    pygame.event.post(
        pygame.event.Event(pygame.MOUSEMOTION, {"pos": (1, 1), "rel": (1, 1), "buttons": (0, 0, 0), "window": None})
    )
    start = time.perf_counter()
    window.wait(0.01)
    assert time.perf_counter() - start >= 0.01
    assert window.poll() == []


@pytest.mark.parametrize(
    "text", ["fox 🦊 👨‍👩‍👧 🇫🇷", "日本語 한글 عربى", "\x00\x1b\n\ud800", "\u200d", "\u0301", "", "\U0010ffff"]
)
def test_any_text_is_drawn_without_a_fault(window, text):
    window.show(None, (Label(text, 10, 10, 20),))
    assert window.measure(text, 20) >= 0
    if any(ord(c) > 32 and c not in "\ud800\u200d" for c in text):
        assert (drawn(window) > 0).any(), "at least a box says that something was typed"


def test_what_is_measured_is_what_is_drawn(window):
    window.show(None, (Label("MMMMMMMM", 10, 10, 40),))
    columns = np.flatnonzero(drawn(window).max(axis=(0, 2)))
    assert columns[-1] - columns[0] + 1 == pytest.approx(window.measure("MMMMMMMM", 40), abs=6)


def test_capitals_stand_in_the_middle_of_a_labels_height(window):
    window.show(None, (Label("MMMM", 10, 100, 60),))
    rows = np.flatnonzero(drawn(window).max(axis=(1, 2)) > 128)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(130, abs=2)


def test_the_whole_overlay_can_be_drawn(window):
    state = OverlayState(line=LineView("a fox", 5), hint="unknown: fox", help=help_rows({}), statistics=(("a", "b"),))
    window.show(picture(320, 180), layout(state, window.size, window.measure))
    assert len(np.unique(drawn(window).reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("module", ["window", "canvas", "painter"])
def test_importing_pygame_through_the_screen_prints_no_greeting(module):
    code = f"import loop.screen.{module}"
    root = Path(__file__).parent.parent.parent
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env={"PATH": "/bin"})
    assert (told.stdout, told.stderr) == ("", "")


def test_a_display_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    with pytest.raises(WindowError, match="display 3: there is only display 0; choose one with --display"):
        Window(WindowOptions(display=3))


def test_a_window_of_no_size_is_refused():
    with pytest.raises(WindowError, match="window size 0x5: expected"):
        WindowOptions(size=(0, 5))


def test_without_a_display_the_user_is_told_what_to_do():
    code = (
        "from loop.screen.window import Window, WindowError, WindowOptions\n"
        "try: Window(WindowOptions())\n"
        "except WindowError as error: print(error)"
    )
    root = Path(__file__).parent.parent.parent
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env={"PATH": "/bin"})
    assert told.stdout == "no display was found: set DISPLAY, or play with --headless\n", told.stderr


def test_closing_twice_is_closing_once(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    window = Window(WindowOptions(size=(64, 36)))
    window.close()
    window.close()
    assert not pygame.display.get_init()
