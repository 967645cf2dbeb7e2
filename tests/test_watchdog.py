from loop.timing.watchdog import NS, Phase, Watchdog, retry_delay_ns

FIRST_NS = 300 * NS


def running(block_ns: int = NS // 10) -> Watchdog:
    """A watchdog of a process that opened in 1 s, started in 2 s, and runs since second 3."""
    watchdog = Watchdog(0, FIRST_NS)
    watchdog.begin(Phase.STARTING, 1 * NS)
    watchdog.begin(Phase.RUNNING, 3 * NS)
    watchdog.note_block(block_ns)
    return watchdog


def test_a_process_that_is_silent_for_two_seconds_hangs():
    watchdog = running()
    assert watchdog.silence_s(round(4.9 * NS)) is None
    assert watchdog.silence_s(5 * NS) == 2.0


def test_any_message_is_a_sign_of_life():
    watchdog = running()
    watchdog.hear(4 * NS)
    assert watchdog.silence_s(round(5.9 * NS)) is None and watchdog.silence_s(6 * NS) == 2.0


def test_a_slow_model_has_five_of_its_longest_blocks():
    watchdog = running(block_ns=NS)
    assert watchdog.silence_s(round(7.9 * NS)) is None and watchdog.silence_s(8 * NS) == 5.0


def test_a_world_that_opens_for_the_first_time_may_take_minutes():
    watchdog = Watchdog(0, FIRST_NS)
    assert watchdog.silence_s(299 * NS) is None and watchdog.silence_s(FIRST_NS) == 300.0


def test_the_next_process_is_measured_by_those_before_it():
    watchdog = running()
    watchdog.begin(Phase.OPENING, 10 * NS)
    assert watchdog.silence_s(19 * NS) is None and watchdog.silence_s(20 * NS) == 10.0
    watchdog.begin(Phase.STARTING, 20 * NS)
    assert watchdog.silence_s(29 * NS) is None and watchdog.silence_s(30 * NS) == 10.0, "five times the 2 s it took"


def test_a_silent_process_is_asked_for_a_sign_of_life_twice_a_second():
    watchdog = running()
    asked = [ms for ms in range(3000, 5000, 10) if watchdog.should_ask(ms * NS // 1000)]
    assert asked == [3500, 4000, 4500]


def test_nobody_is_asked_while_it_opens():
    assert not Watchdog(0, FIRST_NS).should_ask(10 * NS)


def test_dead_processes_are_tried_again_for_ever_at_growing_intervals():
    delays_s = [retry_delay_ns(deaths) / NS for deaths in range(1, 12)]
    assert delays_s == [0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30]
