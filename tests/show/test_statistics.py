"""What the statistics panel says of a show."""

from types import SimpleNamespace

import pytest

from loop.statistics import Statistics


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.ns = 10**9

    def now_ns(self):
        return self.ns


def engine(**counts):
    """An engine of a world of 24 frames a second, with these counts."""
    counts = {"shown": 0, "skipped": 0, "repeats": 0, "tick": 0, "late": 0} | counts
    return SimpleNamespace(
        playback=SimpleNamespace(block_ms=100.0),
        model=SimpleNamespace(info=SimpleNamespace(name="small", fps=24.0), mode="auto"),
        ticks=SimpleNamespace(tick=counts["tick"], late=counts["late"]),
        out=SimpleNamespace(recordings=None, ledger=SimpleNamespace(rows=lambda: [])),
        controls=SimpleNamespace(desk=SimpleNamespace(launches=SimpleNamespace(summary=lambda: ""))),
        peers=None,
        age_ms=40.0,
        **{name: counts[name] for name in ("shown", "skipped", "repeats")},
    )


def after(seconds: float, shown: float, skipped: float, ticks: float) -> dict[str, str]:
    """The rows after so many seconds of these rates a second."""
    clock = FakeClock()
    statistics = Statistics(clock)
    for tick in range(round(60 * seconds)):
        now_s = tick / 60
        clock.ns = 10**9 + tick * 10**9 // 60
        counts = {"shown": int(shown * now_s), "skipped": int(skipped * now_s)}
        newest = engine(**counts, tick=tick, late=tick - int(ticks * now_s))
        statistics.note(newest)
    return dict(statistics.rows(newest))


def test_a_window_that_keeps_up_is_said_to():
    rows = after(5, shown=24, skipped=0, ticks=60)
    assert rows["frames a second"] in ("23.5 of 24", "24.0 of 24", "24.5 of 24")
    assert (rows["ticks a second"], rows["late ticks"]) == ("60 of 60", "0")
    assert float(rows["speed"].removesuffix("x")) == pytest.approx(1, abs=0.03)


def test_a_window_that_cannot_keep_up_tells_the_rate_that_it_shows_and_what_it_left_out():
    rows = after(5, shown=14, skipped=10, ticks=14)
    assert float(rows["frames a second"].split()[0]) == pytest.approx(14, abs=1)
    assert rows["ticks a second"] in ("14 of 60", "13 of 60")
    assert float(rows["speed"].removesuffix("x")) == pytest.approx(1, abs=0.05)
    assert rows["repeats / skipped"] == "0 / 49" and int(rows["late ticks"]) == pytest.approx(230, abs=2)


def test_a_model_at_half_speed_is_told_as_such():
    assert float(after(5, shown=12, skipped=0, ticks=60)["speed"].removesuffix("x")) == pytest.approx(0.5, abs=0.03)


def test_the_rows_change_four_times_a_second_at_most():
    clock, seen = FakeClock(), set()
    statistics = Statistics(clock)
    for tick in range(60):
        clock.ns = 10**9 + tick * 10**9 // 60
        newest = engine(tick=tick, repeats=tick)
        statistics.note(newest)
        seen.add(statistics.rows(newest))
    assert len(seen) == 4


def test_there_are_no_rows_before_a_world_is_open():
    closed = engine()
    closed.playback = None
    statistics = Statistics(FakeClock())
    statistics.note(closed)
    assert statistics.rows(closed) == ()
