"""The window on a real X server: real keys in, pixels of the screen out. Starts an Xvfb of its own."""

from __future__ import annotations

import shutil
import statistics
import threading
import time

import numpy as np
import pytest

from input.action import Command
from input.gesture import Closed, KeyDown, KeyUp, Resized
from input.keys import Keyboard
from loop.screen.overlay import OverlayState, layout
from world.event import Prompt, Scene

pygame = pytest.importorskip("pygame")
Xlib = pytest.importorskip("Xlib", reason="python-xlib is not installed: pip install 'neverblink[dev]'")

from Xlib import X, protocol  # noqa: E402

from loop.screen.window import Window, WindowError, WindowOptions  # noqa: E402
from tests.support.xserver import DEADLINE_S, SCREEN, Observer, serve  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed: apt install xvfb"),
]
RED, BLUE = (200, 10, 10), (10, 10, 200)


@pytest.fixture(scope="module")
def server():
    """The name of an X display with one empty screen."""
    with serve() as name:
        yield name
        pygame.display.quit()  # Xlib ends the whole process when its server goes away


class Stage:
    """A window, its keyboard and the observer."""

    def __init__(self, name: str) -> None:
        self.window = Window(WindowOptions(size=(640, 360)))
        self.observer = Observer(name)
        self.keyboard = Keyboard(lambda: "the first words", {}, self.window.ask_clipboard)
        self.asked: list = []
        self.gestures: list = []
        self.window.show(picture(), ())
        self.until(lambda: pygame.key.get_focused())

    def pump(self) -> None:
        """One turn of what the engine does with its input."""
        self.window.wait(0.01)
        for gesture, _ in self.window.poll():
            self.gestures.append(gesture)
            for asked in self.keyboard.handle(gesture):
                self.asked.append(asked)
                if asked is Command.LINE_OPENED:
                    self.window.start_text()
                elif asked is Command.LINE_CLOSED:
                    self.window.stop_text()

    def until(self, is_so) -> None:
        """Pump until `is_so()`; fails after the deadline with what came instead."""
        end = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < end, f"got {self.gestures}"
            self.pump()

    def type(self, text: str) -> None:
        """Real keys, one after the other, each awaited."""
        for char in text:
            self.observer.press(char)
            before = self.keyboard.line.text
            self.until(lambda before=before: self.keyboard.line.text != before)

    def screen(self) -> np.ndarray:
        """uint8 [Y, X, 3] of the window as it is on the screen."""
        return self.observer.look()[self.observer.place()]


def picture(color=RED) -> np.ndarray:
    return np.full((180, 320, 3), color, np.uint8)


@pytest.fixture
def stage(server, monkeypatch):
    monkeypatch.setenv("DISPLAY", server)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    pygame.display.quit()
    opened = Stage(server)
    yield opened
    opened.window.close()
    opened.observer.display.close()


def test_the_window_opens_within_a_second_and_says_what_it_waits_for(server, monkeypatch):
    monkeypatch.setenv("DISPLAY", server)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    pygame.display.quit()
    start = time.perf_counter()
    window = Window(WindowOptions(size=(640, 360)))
    state = OverlayState(status="loading the world ...", has_picture=False)
    window.show(None, layout(state, window.size, window.measure))
    took_s = time.perf_counter() - start
    observer = Observer(server)
    shown = observer.look()[300:420, 440:840]
    observer.display.close()
    window.close()
    assert (shown > 200).any(), "the words are on the screen"
    assert took_s < 1.0


def test_a_shown_picture_is_on_the_screen_when_show_returns(stage):
    for color in (RED, BLUE):
        stage.window.show(picture(color), ())
        assert (stage.screen() == color).all()


def test_blackout_turns_the_screen_black_and_back(stage):
    stage.window.show(None, (), blackout=True)
    assert (stage.screen() == 0).all()
    stage.window.show(None, ())
    assert (stage.screen() == RED).all()


@pytest.mark.parametrize("opener", ["enter", "/"])
def test_a_prompt_is_typed_and_submitted_with_real_keys(stage, opener):
    stage.observer.press(opener)
    stage.until(lambda: stage.keyboard.is_open)
    stage.type("a red fox/b")
    stage.window.show(None, layout(OverlayState(line=stage.keyboard.view()), stage.window.size, stage.window.measure))
    bottom = stage.screen()[-60:]
    assert (bottom.min(axis=2) > 200).sum() > 100, "white words"
    assert (bottom.max(axis=2) < 90).sum() > 5_000, "on a dark panel"
    stage.observer.press("enter")
    stage.until(lambda: not stage.keyboard.is_open)
    assert stage.asked == [Command.LINE_OPENED, Command.LINE_CLOSED, Prompt("a red fox/b")]


def test_shift_enter_and_ctrl_q_are_a_hard_cut_and_the_end(stage):
    stage.observer.press("shift", "enter")
    stage.observer.press("ctrl", "q")
    stage.until(lambda: len(stage.asked) == 2)
    assert stage.asked == [Scene("the first words"), Command.QUIT]


def test_shortcuts_bring_no_text_while_the_line_is_closed(stage):
    for key in ("h", "b", "space", "F1", "F3", "F9", "F11"):
        stage.observer.press(key)
    stage.until(lambda: len(stage.asked) == 7)
    shortcuts = [Command.HELP, Command.BLACKOUT, Command.FREEZE, Command.STATISTICS]
    assert stage.asked == [*shortcuts, Command.FIT, Command.RECORD, Command.FULLSCREEN]
    assert {type(gesture) for gesture in stage.gestures} <= {KeyDown, KeyUp, Resized}


def test_the_clipboard_is_pasted_into_the_line(stage):
    pygame.scrap.put_text("two\nlines")
    stage.observer.press("enter")
    stage.observer.press("ctrl", "v")
    stage.until(lambda: stage.keyboard.line.text)
    assert stage.keyboard.line.text == "two lines"


def test_a_key_held_down_repeats_and_says_so(stage):
    stage.observer.key("b", X.KeyPress)
    stage.until(lambda: KeyDown("b", repeat=True) in stage.gestures)
    stage.observer.key("b", X.KeyRelease)
    stage.until(lambda: KeyUp("b") in stage.gestures)
    assert stage.asked == [Command.BLACKOUT]


def test_a_key_held_while_the_keyboard_goes_elsewhere_is_released(stage):
    stage.observer.key("Right", X.KeyPress)
    stage.until(lambda: KeyDown("right") in stage.gestures)
    stage.observer.display.set_input_focus(X.NONE, X.RevertToNone, X.CurrentTime)
    stage.observer.display.sync()
    stage.until(lambda: KeyUp("right") in stage.gestures)
    assert stage.gestures[-1] == KeyUp("right")
    stage.observer.key("Right", X.KeyRelease)
    stage.observer.display.set_input_focus(X.PointerRoot, X.RevertToPointerRoot, X.CurrentTime)
    stage.observer.display.sync()


def test_full_screen_covers_the_display_and_gives_it_back(stage):
    stage.window.toggle_fullscreen()
    stage.until(lambda: stage.window.size == SCREEN)
    stage.window.show(None, ())
    assert (stage.observer.look() == RED).all()
    stage.window.toggle_fullscreen()
    stage.until(lambda: stage.window.size == (640, 360))
    stage.window.show(None, ())
    assert (stage.screen() == RED).all()


def test_a_window_that_is_resized_from_outside_scales_its_held_picture(stage):
    stage.observer.window().configure(width=900, height=400)
    stage.observer.display.sync()
    stage.until(lambda: Resized(900, 400) in stage.gestures)
    stage.window.show(None, ())
    shown = stage.screen()
    assert shown.shape == (400, 900, 3)
    assert (shown[:, 100:800] == RED).all()
    assert (shown[:, :90] == 0).all()


def test_a_picture_that_fills_its_window_does_so_at_every_size(stage):
    stage.window.next_fit()
    stage.window.show(None, ())
    for width, height in ((900, 300), (300, 500)):
        stage.observer.window().configure(width=width, height=height)
        stage.observer.display.sync()
        stage.until(lambda size=(width, height): stage.window.size == size)
        stage.window.show(None, ())
        assert stage.screen().shape == (height, width, 3) and (stage.screen() == RED).all()
    stage.window.toggle_fullscreen()
    stage.until(lambda: stage.window.size == SCREEN)
    stage.window.show(None, ())
    assert (stage.observer.look() == RED).all()


def test_a_window_that_was_covered_shows_its_held_picture_again(stage):
    root, where = stage.observer.root, stage.observer.window().get_geometry()
    cover = root.create_window(where.x, where.y, 300, 200, 0, X.CopyFromParent, background_pixel=0, override_redirect=1)
    cover.map()
    stage.observer.display.sync()
    assert (stage.screen()[:200, :300] == 0).all()
    cover.destroy()
    stage.observer.display.sync()
    for _ in range(20):
        stage.pump()
    stage.window.show(None, ())
    assert (stage.screen() == RED).all()


def test_closing_the_window_is_one_wish_to_close(stage):
    target = stage.observer.window()
    atom = stage.observer.display.intern_atom
    told = (32, [atom("WM_DELETE_WINDOW"), X.CurrentTime, 0, 0, 0])
    target.send_event(protocol.event.ClientMessage(window=target, client_type=atom("WM_PROTOCOLS"), data=told))
    stage.observer.display.sync()
    stage.until(lambda: Command.QUIT in stage.asked)
    stage.observer.press("b")
    stage.until(lambda: Command.BLACKOUT in stage.asked)
    assert stage.gestures.count(Closed()) == 1


def test_a_key_is_stamped_within_two_milliseconds_of_its_press(stage):
    late_ms = []
    for _ in range(21):
        pressed: list[int] = []
        waits = threading.Event()

        def press(pressed=pressed, waits=waits) -> None:
            waits.wait()
            pressed.append(time.perf_counter_ns())
            stage.observer.press("F5")

        thread = threading.Thread(target=press)
        thread.start()
        waits.set()
        stage.window.wait(DEADLINE_S)
        (_, stamp_ns), *_ = stage.window.poll()
        thread.join()
        late_ms.append((stamp_ns - pressed[0]) / 1e6)
        stage.pump()
    assert 0 < statistics.median(late_ms) < 2.0, sorted(late_ms)


def test_a_display_that_is_not_there_is_named_on_a_real_screen(server, monkeypatch):
    monkeypatch.setenv("DISPLAY", server)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    pygame.display.quit()
    with pytest.raises(WindowError, match="display 1: there is only display 0"):
        Window(WindowOptions(display=1))
