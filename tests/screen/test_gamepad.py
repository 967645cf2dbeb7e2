"""Gamepads, plugged in and out: SDL makes one up, and the window cannot tell it from a real one."""

from __future__ import annotations

import pytest

from input.action import Command, ControlMoved
from input.mapper import Mapper
from tests.support.virtual_gamepad import VirtualGamepad, loaded_sdl
from world.event import Dial
from world.info import DialRange

pygame = pytest.importorskip("pygame")

from loop.screen.window import Window, WindowOptions  # noqa: E402


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    opened = Window(WindowOptions(size=(320, 180), gamepad=True))
    moves(opened)
    yield opened
    opened.close()
    pygame.joystick.quit()


@pytest.fixture
def plug():
    """Plugs in a gamepad; those that are left are unplugged at the end."""
    sdl = loaded_sdl()
    if sdl is None:
        pytest.skip("SDL's library is not found in this process")
    yield lambda: VirtualGamepad(sdl)


def moves(window):
    """The moves since the last call. A gamepad is noticed at one look and heard at the next."""
    found = [*window.poll(), *window.poll()]
    return [gesture for gesture, _ in found if isinstance(gesture, ControlMoved)]


def test_sticks_buttons_and_hats_are_controls(window, plug):
    pad = plug()
    moves(window)
    pad.axis(1, 32767)
    assert moves(window) == [ControlMoved("pad:axis:1", 1.0)]
    pad.button(2, True)
    assert moves(window) == [ControlMoved("pad:button:2", 1.0)]
    pad.button(2, False)
    assert moves(window) == [ControlMoved("pad:button:2", 0.0)]
    pad.hat(0, 2)
    assert moves(window) == [ControlMoved("pad:hat:x", 1.0)]
    pad.unplug()


def test_a_hat_that_is_let_go_is_in_its_middle_again(window, plug):
    pad = plug()
    moves(window)
    pad.hat(0, 2)
    moves(window)
    pad.hat(0, 2 + 1)
    assert moves(window) == [ControlMoved("pad:hat:y", 1.0)]
    pad.hat(0, 1)
    assert moves(window) == [ControlMoved("pad:hat:x", 0.5)]
    pad.hat(0, 0)
    assert moves(window) == [ControlMoved("pad:hat:y", 0.5)]
    pad.unplug()


def test_a_stick_near_its_middle_is_silent(window, plug):
    pad = plug()
    moves(window)
    for value in (100, -900, 1500, 0):
        pad.axis(0, value)
        assert moves(window) == []
    pad.unplug()


def test_the_sticks_of_two_gamepads_are_in_places_of_their_own(window, plug):
    one, other = plug(), plug()
    moves(window)
    one.axis(0, 32767)
    moves(window)
    other.axis(0, 32767)
    assert moves(window) == [ControlMoved("pad:axis:0", 1.0)]
    other.unplug()
    one.unplug()


def test_a_gamepad_that_comes_back_is_heard_again(window, plug):
    pad = plug()
    moves(window)
    pad.unplug()
    moves(window)
    pad = plug()
    moves(window)
    pad.button(0, True)
    assert moves(window) == [ControlMoved("pad:button:0", 1.0)]
    pad.unplug()


def test_what_is_held_when_a_gamepad_is_unplugged_is_let_go(window, plug):
    pad = plug()
    moves(window)
    pad.button(0, True)
    pad.axis(0, 32767)
    moves(window)
    pad.unplug()
    assert set(moves(window)) == {ControlMoved("pad:button:0", 0.0), ControlMoved("pad:axis:0", 0.5)}


def test_a_gamepad_turns_dials_and_taps_as_the_mapping_file_says(window, plug, tmp_path):
    (tmp_path / "map.toml").write_text(
        '[[map]]\ncontrol = "pad:axis:0"\ndial = "hue"\nmode = "absolute"\n\n'
        '[[map]]\ncontrol = "pad:button:1"\naction = "tap"\n'
    )
    mapper, pad, found = Mapper(tmp_path / "map.toml"), plug(), []
    moves(window)
    pad.axis(0, -32768)
    pad.button(1, True)
    for move in moves(window):
        found += mapper.moved(move, {"hue": DialRange(-180.0, 180.0, 0.0)}, {})
    assert found == [Dial("hue", -180.0), Command.TAP]
    pad.unplug()
