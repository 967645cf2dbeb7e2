"""Corner pinning in the windows: what the audience sees while corners are moved and afterwards, and what it costs."""

from types import SimpleNamespace

import numpy as np
import pytest

from input.gesture import Clicked, KeyDown
from loop.cli.options import parse_command_line
from loop.play import _window_options
from loop.screen.marks import Bar, Spot
from loop.screen.pinning.corners import Corners, write_corners
from tests.screen.test_programme import programme
from tests.screen.test_window import RED, drawn, picture

pygame = pytest.importorskip("pygame")

from loop.screen.pinning import projection  # noqa: E402
from loop.screen.window import Window, WindowError, WindowOptions  # noqa: E402

SMALLER = Corners((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Opens a window whose corners are kept in corners.toml."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    windows = []

    def open_window(corners=None, **options):
        if corners:
            write_corners(tmp_path / "corners.toml", corners)
        windows.append(Window(WindowOptions(size=(640, 360), corners=tmp_path / "corners.toml", **options)))
        windows[-1].poll()
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()


def press(window, *keys):
    """Press and release keys at the window; what it gives out of their presses."""
    for key in keys:
        for kind in (pygame.KEYDOWN, pygame.KEYUP):
            pygame.event.post(pygame.Event(kind, key=pygame.key.key_code(key), mod=0, scancode=0, unicode=""))
    return [gesture for gesture, _ in window.poll() if isinstance(gesture, KeyDown)]


def mouse(window, kind, pos, of=None):
    of = of or window._window
    more = {"button": 1} if kind != pygame.MOUSEMOTION else {"rel": (0, 0), "buttons": (1, 0, 0)}
    pygame.event.post(pygame.Event(kind, pos=pos, window=of, **more))
    return [gesture for gesture, _ in window.poll()]


def settle(window):
    """Show the same picture until the map for its corners is complete."""
    for _ in range(40):
        window.show(None, ())


def test_the_programme_has_the_picture_at_its_corners_and_black_around(opened):
    window = opened(SMALLER, programme=0, fit="stretch")
    window.show(picture(320, 180), ())
    seen = programme(window)
    height, width = seen.shape[:2]
    inside = seen[height // 4 : -(height // 4), width // 4 : -(width // 4)]
    assert (inside == RED).all()
    assert (seen != 0).any(axis=2).sum() == inside.shape[0] * inside.shape[1]
    assert (drawn(window) == RED).all(), "the operator sees the picture straight"


def test_a_window_without_a_programme_is_pinned_itself_and_its_overlay_is_not(opened):
    window = opened(SMALLER)
    window.show(picture(320, 180), (Bar(0, 0, 20, 20),))
    assert (drawn(window)[90:270, 160:480] == RED).all()
    assert (drawn(window)[:20, :20] == Bar(0, 0, 1, 1).color).all()
    assert not drawn(window)[300:, :100].any()


def test_corners_that_were_never_moved_cost_nothing(opened, monkeypatch):
    monkeypatch.setattr(projection, "warp_map", lambda *given: pytest.fail("a map was made"))
    monkeypatch.setattr(projection.np, "take", lambda *given, **named: pytest.fail("the picture was warped"))
    window = opened(programme=0, fit="stretch")
    window.show(picture(320, 180), ())
    assert (programme(window) == RED).all()


def test_the_pattern_is_seen_only_while_corners_are_moved(opened):
    window = opened(programme=0, fit="stretch")
    window.show(picture(320, 180), ())
    window.toggle_pinning()
    window.show(None, ())
    assert (programme(window)[:, :2] == 255).mean() > 0.9, "the outline"
    window.toggle_pinning()
    window.show(None, ())
    assert (programme(window) == RED).all()


def test_the_picture_follows_the_keys_within_a_few_ticks_and_none_of_them_makes_the_whole_map(opened, monkeypatch):
    window = opened(programme=0, fit="stretch")
    window.show(picture(320, 180), ())
    made, warp_map = [], projection.warp_map

    def counted(*given):
        for band in warp_map(*given):
            made[-1] += 1
            yield band

    monkeypatch.setattr(projection, "warp_map", counted)
    window.toggle_pinning()
    press(window, "right")
    for _ in range(40):
        made.append(0)
        window.show(None, ())
    assert max(made) == 2 and sum(made) > 10
    window.toggle_pinning()
    window.show(None, ())
    assert not programme(window)[40, 0].any() and (programme(window)[-2, -2] == RED).all()


def test_keys_of_the_mode_do_not_reach_the_show_and_others_do(opened):
    window = opened(programme=0)
    window.toggle_pinning()
    assert press(window, "left", "tab", "b") == [KeyDown("b")]
    window.start_text()
    assert KeyDown("left") in press(window, "left"), "they move the caret of an open prompt line"
    window.stop_text()
    window.toggle_pinning()
    assert KeyDown("left") in press(window, "left")


def test_corners_are_dragged_in_the_small_picture_of_the_programme(opened):
    window = opened(programme=0, fit="stretch")
    window.show(picture(320, 180), ())
    window.toggle_pinning()
    mouse(window, pygame.MOUSEBUTTONDOWN, (630, 350))
    mouse(window, pygame.MOUSEMOTION, (480, 270))
    mouse(window, pygame.MOUSEBUTTONUP, (480, 270))
    mouse(window, pygame.MOUSEMOTION, (320, 180))
    place = window._pinned_place()
    expected = (480 - place.x) / place.w, (270 - place.y) / place.h
    assert window.pinning.corners == Corners(bottom_right=expected)
    settle(window)
    assert not drawn(window)[place.bottom - 3, place.right - 3].any(), "the operator sees what the audience sees"
    window.toggle_pinning()
    settle(window)
    assert (programme(window)[10, 10] == RED).all() and not programme(window)[-3, -3].any()


def test_a_blackout_is_black_while_corners_are_moved_too(opened):
    window = opened(programme=0)
    window.show(picture(320, 180), ())
    window.toggle_pinning()
    window.show(None, (), blackout=True)
    assert not programme(window).any()


def test_the_mouse_is_shown_over_the_operators_window_only(opened, monkeypatch):
    window, shown = opened(programme=0), []
    monkeypatch.setattr(pygame.mouse, "set_visible", shown.append)
    for kind, of in (
        (pygame.WINDOWLEAVE, window._window),
        (pygame.WINDOWENTER, window._programme._window),
        (pygame.WINDOWLEAVE, window._programme._window),
        (pygame.WINDOWENTER, window._window),
    ):
        pygame.event.post(pygame.Event(kind, window=of))
        window.poll()
    assert shown == [False, True]


def test_over_a_single_full_screen_the_mouse_is_shown_only_while_corners_are_moved(opened, monkeypatch):
    window, shown = opened(), []
    monkeypatch.setattr(pygame.mouse, "set_visible", shown.append)
    window.toggle_fullscreen()
    window.toggle_pinning()
    window.toggle_pinning()
    assert shown == [False, True, False]


def test_a_click_means_what_is_drawn_there(opened):
    window = opened(programme=0)
    spots = (Spot(100, 100, 50, 20, "arm the third cue"), Spot(100, 120, 50, 20, "arm the fourth cue"))
    window.show(picture(320, 180), spots)
    assert mouse(window, pygame.MOUSEBUTTONDOWN, (149, 120)) == [Clicked("arm the fourth cue")]
    assert mouse(window, pygame.MOUSEBUTTONDOWN, (150, 120)) == [Clicked(None)]
    assert mouse(window, pygame.MOUSEBUTTONDOWN, (110, 110), window._programme._window) == []


def test_a_broken_file_of_corners_is_told_before_a_window_opens(tmp_path):
    (tmp_path / "corners.toml").write_text("top_left = 1")
    with pytest.raises(WindowError, match=r"corners\.toml: got top_left: expected"):
        Window(WindowOptions(corners=tmp_path / "corners.toml"))


def test_a_programme_keeps_its_corners_without_being_told_where(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = tmp_path / "neverblink" / "projector.toml"
    options = parse_command_line(["play", "--programme", "1"])
    assert _window_options(options).corners == kept
    assert _window_options(parse_command_line(["play"])).corners is None
    named = parse_command_line(["play", "--projector", str(tmp_path / "wall.toml")])
    assert _window_options(named).corners == tmp_path / "wall.toml"


def test_a_pinned_picture_is_the_same_for_every_way_to_lay_it_in_the_window(opened):
    window = opened(SMALLER, fit="contain")
    window.show(picture(100, 180), ())
    seen = drawn(window)
    assert (seen[180, 320] == RED).all() and not seen[180, 170].any(), "black beside a narrow picture, inside too"


def test_a_window_of_another_size_has_its_corners_at_the_same_shares(opened):
    window = opened(SMALLER, fit="stretch")
    window.show(picture(320, 180), ())
    window._window.size = (320, 200)
    window.show(picture(320, 180), ())
    lit = np.argwhere(drawn(window).any(axis=2))
    assert lit.min(axis=0).tolist() == [50, 80] and lit.max(axis=0).tolist() == [149, 239]


def test_without_a_file_the_operator_is_told_how_to_get_one():
    from loop.panels import Panels

    window = SimpleNamespace(pinning=SimpleNamespace(is_possible=False), fit="contain")
    from input.action import Command

    controls = SimpleNamespace(newest=(Command.PIN, 0))
    panels = Panels(window, SimpleNamespace(now_ns=lambda: 0))
    assert "--projector FILE" in panels._toast(SimpleNamespace(controls=controls, peers=None))
