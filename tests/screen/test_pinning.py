"""Corner pinning: the geometry, the file, the keys and the mouse, and what the audience sees of it."""

from itertools import pairwise

import numpy as np
import pytest

from input.gesture import KeyDown
from loop.screen.pinning.corners import CornerError, Corners, projected, read_corners, write_corners
from loop.screen.pinning.pinning import Pinning
from loop.screen.pinning.warp_map import ROWS, warp_map

SIZE = (320, 180)
KEYSTONE = Corners((0.1, 0.05), (0.85, 0.15), (0.95, 0.9), (0.02, 0.97))
SQUARE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def random_corners(seed):
    chance = np.random.default_rng(seed)
    return Corners(*((abs(x - chance.uniform(0, 0.3)), abs(y - chance.uniform(0, 0.3))) for x, y in SQUARE))


@pytest.mark.parametrize("corners", [Corners(), KEYSTONE, *map(random_corners, range(20))])
def test_the_projection_brings_the_corners_of_the_picture_to_those_that_are_pinned(corners):
    assert np.array(projected(corners.homography(), SQUARE)) == pytest.approx(np.array(corners.points))


@pytest.mark.parametrize("seed", range(10))
def test_straight_lines_stay_straight_and_cross_ratios_stay_what_they_are(seed):
    """Of four points in a line; that is what tells a projection from every other map."""
    shares = np.array([0.1, 0.3, 0.45, 0.9])
    at = np.array(projected(random_corners(seed).homography(), [(share, 0.2 + 0.5 * share) for share in shares]))
    along = at - at[0]
    assert along[:, 0] * along[3, 1] - along[:, 1] * along[3, 0] == pytest.approx(0, abs=1e-12)
    place = along @ along[3] / np.linalg.norm(along[3])
    assert _cross_ratio(place) == pytest.approx(_cross_ratio(shares))


def _cross_ratio(a):
    return (a[2] - a[0]) * (a[3] - a[1]) / ((a[2] - a[1]) * (a[3] - a[0]))


def test_the_middle_of_a_picture_lies_where_the_diagonals_of_the_corners_cross():
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = KEYSTONE.points
    along = np.linalg.solve([[x2 - x0, x1 - x3], [y2 - y0, y1 - y3]], [x1 - x0, y1 - y0])[0]
    middle = projected(KEYSTONE.homography(), [(0.5, 0.5)])[0]
    assert middle == pytest.approx((x0 + along * (x2 - x0), y0 + along * (y2 - y0)))


def places(corners, size=SIZE):
    """(column, row) of the picture that each pixel of the display shows, int [Y, X] each; -1 and the size: black."""
    rows = np.concatenate(list(warp_map(corners, size)))
    return rows % (size[0] + 2) - 1, rows // (size[0] + 2) - 1


def test_the_map_of_a_straight_picture_is_every_pixel_at_its_place():
    columns, rows = places(Corners())
    assert (columns == np.arange(320)).all() and (rows == np.arange(180)[:, None]).all()


@pytest.mark.parametrize("corners", [KEYSTONE, *map(random_corners, range(5))])
def test_each_pixel_shows_the_place_of_the_picture_that_is_projected_to_it(corners):
    columns, rows = places(corners)
    is_inside = (columns >= 0) & (columns < SIZE[0]) & (rows >= 0) & (rows < SIZE[1])
    assert 0.2 < is_inside.mean() < 1
    at = [((x + 0.5) / SIZE[0], (y + 0.5) / SIZE[1]) for x, y in zip(columns[is_inside], rows[is_inside], strict=True)]
    back = np.array(projected(corners.homography(), at)) * SIZE - 0.5
    shown = np.stack(np.nonzero(is_inside)[::-1], axis=1)
    # a pixel is off by half a pixel of the picture at most, which is no larger on the display but where it is stretched
    assert np.abs(back - shown).max() < 1.0


def test_what_is_outside_of_the_corners_is_black_and_nothing_inside_is():
    columns, rows = places(KEYSTONE)
    is_rim = (columns == -1) | (columns == SIZE[0]) | (rows == -1) | (rows == SIZE[1])
    y, x = np.indices(SIZE[::-1]) + 0.5
    is_in = np.ones(SIZE[::-1], bool)
    around = [*KEYSTONE.points, KEYSTONE.top_left]
    for (x0, y0), (x1, y1) in pairwise(around):
        is_in &= (x1 - x0) * SIZE[0] * (y - y0 * SIZE[1]) - (y1 - y0) * SIZE[1] * (x - x0 * SIZE[0]) > 0
    assert (is_rim == ~is_in).mean() > 0.9999


def test_a_map_is_made_in_bands_so_that_no_tick_need_wait_for_all_of_it():
    bands = list(warp_map(KEYSTONE, SIZE))
    assert [len(band) for band in bands] == [ROWS] * 5 + [180 - 5 * ROWS]


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (((0, 0), (1, 0), (1, 1), (0, 1.2)), "bottom_left is .*: expected two numbers from 0 to 1"),
        (((0, 0), (1, 0), (0.2, 0.2), (0, 1)), "no frame"),
        (((1, 0), (0, 0), (0, 1), (1, 1)), "no frame"),
        (((0, 0), (1, 1), (1, 0), (0, 1)), "no frame"),
        (((0, 0), (1, 0), (1, 0), (0, 1)), "no frame"),
    ],
)
def test_corners_that_are_no_picture_of_a_rectangle_are_refused(points, told):
    with pytest.raises(ValueError, match=told):
        Corners(*points)


def test_a_file_gives_back_what_was_written(tmp_path):
    write_corners(tmp_path / "new" / "corners.toml", KEYSTONE)
    assert read_corners(tmp_path / "new" / "corners.toml") == KEYSTONE
    assert read_corners(tmp_path / "none.toml") == Corners()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("top_left = [0, 0]", "got top_left: expected top_left, top_right, bottom_right, bottom_left"),
        ("oops", "corners.toml: "),
        ("top_left=[0]\ntop_right=[1,0]\nbottom_right=[1,1]\nbottom_left=[0,1]", r"top_left is \[0\]: expected two"),
        ("top_left=[0,true]\ntop_right=[1,0]\nbottom_right=[1,1]\nbottom_left=[0,1]", "expected two numbers"),
        ("top_left=[0,nan]\ntop_right=[1,0]\nbottom_right=[1,1]\nbottom_left=[0,1]", "expected two numbers"),
        ("top_left=[0.9,0]\ntop_right=[0.1,0]\nbottom_right=[1,1]\nbottom_left=[0,1]", "no frame"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path, text, told):
    (tmp_path / "corners.toml").write_text(text)
    with pytest.raises(CornerError, match=told) as caught:
        read_corners(tmp_path / "corners.toml")
    assert "\n" not in str(caught.value)


@pytest.fixture
def pinning(tmp_path):
    made = Pinning(tmp_path / "corners.toml")
    made.toggle()
    return made


def test_keys_move_the_chosen_corner_by_single_pixels_or_by_ten(pinning):
    pinning.press(KeyDown("tab"), SIZE)
    pinning.press(KeyDown("left"), SIZE)
    pinning.press(KeyDown("down", frozenset({"shift"})), SIZE)
    assert pinning.corners.top_right == pytest.approx((1 - 1 / 320, 10 / 180))
    pinning.press(KeyDown("up", frozenset({"shift"})), SIZE)
    pinning.press(KeyDown("right"), SIZE)
    assert pinning.corners.top_right == pytest.approx((1.0, 0.0))


def test_a_corner_stops_at_the_edge_of_the_display_and_before_it_turns_the_picture_over(pinning):
    pinning.press(KeyDown("left"), SIZE)
    assert pinning.corners == Corners()
    pinning.grab((0.1, 0.1))
    pinning.drag((0.99, 0.99))
    assert pinning.corners.top_left == pytest.approx((0.1, 0.1))


def test_the_nearest_corner_follows_the_mouse_until_its_button_is_released(pinning):
    pinning.drag((0.5, 0.5))
    assert pinning.corners == Corners(), "no button is down"
    pinning.grab((0.9, 0.8))
    pinning.drag((0.8, 0.7))
    pinning.release()
    pinning.drag((0.6, 0.6))
    assert pinning.corners == Corners(bottom_right=(0.8, 0.7))


def test_what_was_pinned_is_there_at_the_next_start(tmp_path, pinning):
    pinning.grab((0.1, 0.2))
    pinning.toggle()
    assert not pinning.is_on
    assert Pinning(tmp_path / "corners.toml").corners == Corners(top_left=(0.1, 0.2))


def test_escape_takes_back_what_was_moved_and_zero_makes_it_straight(tmp_path, pinning):
    pinning.grab((0.1, 0.2))
    pinning.toggle()
    pinning.toggle()
    pinning.press(KeyDown("0"), SIZE)
    assert pinning.corners.are_straight
    pinning.press(KeyDown("escape"), SIZE)
    assert not pinning.is_on and pinning.corners == Corners(top_left=(0.1, 0.2))


def test_other_keys_go_on_doing_what_they_do_and_all_do_so_outside_of_the_mode(pinning):
    assert not pinning.press(KeyDown("b"), SIZE) and not pinning.press(KeyDown("enter"), SIZE)
    pinning.toggle()
    assert not pinning.press(KeyDown("left"), SIZE)


def test_without_a_file_there_is_no_pinning():
    pinning = Pinning(None)
    pinning.toggle()
    assert not pinning.is_on and not pinning.is_possible


def test_a_file_that_cannot_be_written_is_told_and_the_corners_stay(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    pinning = Pinning(tmp_path / "corners.toml")
    pinning._path = tmp_path / "file" / "corners.toml"  # as if its folder had gone meanwhile
    pinning.toggle()
    pinning.grab((0.1, 0.2))
    pinning.toggle()
    assert "cannot be kept" in caplog.text
    assert pinning.corners.top_left == (0.1, 0.2)
