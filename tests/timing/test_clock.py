from loop.timing.clock import TICK_HZ, FixedStep


def test_ticks_come_sixty_times_a_second_without_drift():
    clock = FixedStep(start_ns=0)
    ticks = sum(clock.advance(now) for now in range(0, 10_000_000_000, 1_000_000))
    assert ticks == 10 * TICK_HZ
    assert clock.late == 0


def test_nothing_is_due_before_its_time():
    clock = FixedStep(start_ns=1_000)
    assert not clock.advance(999)
    assert clock.advance(1_000)
    assert not clock.advance(1_001)


def test_late_ticks_are_dropped_and_counted_not_replayed():
    clock = FixedStep(start_ns=0)
    clock.advance(0)
    assert clock.advance(100_000_000)  # six ticks later
    assert clock.late == 5
    assert not clock.advance(100_000_001)
    assert clock.tick == 6


def test_a_tick_is_due_at_the_very_nanosecond_at_which_it_is_said_to_be():
    clock = FixedStep(start_ns=7)
    for tick in range(200):
        assert not clock.advance(clock.next_ns - 1)
        assert clock.advance(clock.next_ns) and clock.tick == tick
    assert clock.late == 0
