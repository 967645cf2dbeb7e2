"""What the audience sees: the picture alone, whatever the operator does and whatever happens to the model."""

from types import SimpleNamespace

import pytest

from input.gesture import Closed, KeyDown
from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from loop.play import _window_options
from loop.screen.marks import Bar, Label
from loop.terminal import TerminalPanels
from loop.timing.clock import TICK_NS
from tests.screen.test_window import BLUE, RED, drawn, picture
from tests.show.test_panels import Desk
from tests.simulation.process import Mishap
from tests.simulation.show import Plan, play
from tests.simulation.virtual_time import START_NS

pygame = pytest.importorskip("pygame")

from loop.screen.window import Window, WindowError, WindowOptions  # noqa: E402

OVERLAY = (Bar(0, 0, 640, 360), Label("the model stopped", 10, 10, 20))


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    opened = Window(WindowOptions(size=(640, 360), fit="stretch", programme=0))
    opened.poll()
    yield opened
    opened.close()


def programme(window):
    """uint8 [Y, X, 3] of what the audience sees."""
    return pygame.surfarray.array3d(window._programme.surface).swapaxes(0, 1)


def test_the_programme_shows_the_picture_and_nothing_over_it(window):
    window.show(picture(320, 180), OVERLAY)
    assert (programme(window) == RED).all()
    assert (drawn(window) == OVERLAY[0].color).any()


def test_a_blackout_is_for_the_audience_and_the_operator_goes_on_seeing_the_picture(window):
    window.show(picture(320, 180), ())
    window.show(None, (), blackout=True)
    assert (programme(window) == 0).all() and (drawn(window) == RED).all()
    window.show(None, (), blackout=False)
    assert (programme(window) == RED).all()


def test_each_picture_replaces_the_one_before_on_both(window):
    window.show(picture(320, 180), ())
    window.show(picture(320, 180, BLUE), ())
    assert (programme(window) == BLUE).all() and (drawn(window) == BLUE).all()


def test_what_the_system_may_have_lost_is_drawn_again(window):
    window.show(picture(320, 180), ())
    window._programme.surface.fill((0, 0, 0))
    pygame.event.post(pygame.Event(pygame.WINDOWEXPOSED))
    window.poll()
    window.show(None, ())
    assert (programme(window) == RED).all()


def test_closing_one_of_the_two_windows_ends_the_show(window):
    pygame.event.post(pygame.Event(pygame.WINDOWCLOSE))
    assert Closed() in [gesture for gesture, _ in window.poll()]


def test_a_display_that_is_not_there_is_told_by_its_option(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    with pytest.raises(WindowError, match="choose one with --programme"):
        Window(WindowOptions(programme=7))


def test_with_clean_the_programme_is_the_only_window():
    options = parse_command_line(["play", "--programme", "1", "--clean"])
    how = _window_options(options)
    assert (how.display, how.fullscreen, how.programme) == (1, True, None)


def test_a_photodiode_is_not_for_the_operators_window():
    with pytest.raises(UsageError, match="--patch"):
        parse_command_line(["play", "--programme", "0", "--patch", "corner"])


def test_with_clean_each_message_is_one_line_in_the_terminal_and_nothing_is_drawn(caplog):
    desk = Desk()
    panels = TerminalPanels(desk.panels)
    caplog.set_level("INFO")
    desk.engine.model.status = "the model stopped: restarting it"
    for _ in range(3):
        assert panels.marks(desk.engine) == ()
    assert [record.message for record in caplog.records].count("the model stopped: restarting it") == 1


@pytest.mark.parametrize("kind", ["death", "hang"])
def test_blackout_and_freeze_act_within_a_tick_while_the_model_is_dead(kind):
    keys = ((3.5, "b"), (4.0, "b"), (4.3, "space"), (4.6, "space"))
    show = play(Plan(seconds=9, keys=keys, mishaps=(Mishap(0, kind, 40),), open_ms=2500), wait_s=0.002)
    assert show.lives[0].mishap_ns < START_NS + 3.5e9, "the model is dead when the keys are pressed"
    held = [line["t_ns"] - START_NS for line in show.trace.of("flip") if line.get("held") == "freeze"]
    assert 0 <= held[0] - 4.3e9 <= TICK_NS + 1_000_000
    assert [is_black for _, is_black in show.screen.blackouts] == [False, True, False]
    for (shown_ns, _), at_s in zip(show.screen.blackouts[1:], (3.5, 4.0), strict=True):
        assert 0 <= shown_ns - START_NS - at_s * 1e9 <= TICK_NS + 1_000_000


def test_blackout_acts_within_a_tick_while_the_model_is_busy():
    plan = Plan(seconds=5, block_ms=900, recache_ms=800, keys=((3.0, "b"), (3.5, "b")), typed=((2.9, "red"),))
    show = play(plan, wait_s=0.002)
    shown = [t_ns - START_NS for t_ns, _ in show.screen.blackouts[1:]]
    assert shown == pytest.approx([3.0e9, 3.5e9], abs=TICK_NS + 1_000_000)


def test_the_operator_is_told_of_a_blackout_that_only_the_audience_sees():
    desk = Desk()
    desk.panels._window = SimpleNamespace(**{**vars(desk.panels._window), "has_programme": True})
    desk.press(KeyDown("b"))
    assert "blackout" in desk.texts()
