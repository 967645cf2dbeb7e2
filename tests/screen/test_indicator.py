"""The sign that a recording runs."""

import pytest

from loop.screen.marks import Label, Panel
from loop.screen.operator.indicator import recording_indicator


def measure(text: str, size: int) -> int:
    return len(text) * size // 2


def test_nothing_is_drawn_while_nothing_is_recorded():
    assert recording_indicator(None, (1280, 720), measure) == ()


@pytest.mark.parametrize("size", [(160, 90), (1280, 720), (3840, 2160), (700, 2000)])
def test_the_sign_lies_inside_the_top_right_corner(size):
    panel, dot, length = recording_indicator(12.9, size, measure)
    assert isinstance(panel, Panel) and isinstance(dot, Label) and isinstance(length, Label)
    assert size[0] // 2 < panel.x and panel.x + panel.w < size[0] and panel.y > 0 and panel.y + panel.h < size[1] // 2
    assert panel.x <= dot.x < length.x
    assert length.x + measure(length.text, length.size) <= panel.x + panel.w


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.99, "0:59"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_the_length_is_told_in_minutes_and_seconds(seconds, text):
    assert recording_indicator(seconds, (1280, 720), measure)[-1].text == text
