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


def beating(until_ms: int) -> Watchdog:
    """A watchdog of a process that has replaced one which ran; it opens since second 10, and beats until then."""
    watchdog = running()
    watchdog.begin(Phase.OPENING, 10 * NS)
    for ms in range(10_250, until_ms + 1, 250):
        watchdog.beat(ms * NS // 1000)
    return watchdog


def test_a_process_whose_beats_stop_while_it_opens_hangs_after_three_seconds():
    watchdog = beating(until_ms=12_000)
    assert watchdog.silence_s(round(14.9 * NS)) is None and watchdog.silence_s(15 * NS) == 3.0


def test_a_running_process_is_judged_by_its_messages_not_by_its_beats():
    watchdog = running(block_ns=2 * NS)
    watchdog.beat(3 * NS)
    assert watchdog.silence_s(12 * NS) is None and watchdog.silence_s(13 * NS) == 10.0


def test_what_came_while_the_window_itself_was_stopped_is_not_missed():
    watchdog = beating(until_ms=12_000)
    watchdog.forgive(60 * NS)
    assert watchdog.silence_s(round(62.9 * NS)) is None and watchdog.silence_s(63 * NS) == 3.0


def test_a_process_that_beats_and_does_nothing_else_hangs_too():
    watchdog = beating(until_ms=30_000)
    assert watchdog.silence_s(19 * NS) is None and watchdog.silence_s(20 * NS) == 10.0


def test_beats_that_were_always_far_apart_are_waited_for_longer():
    watchdog = beating(until_ms=12_000)
    watchdog.beat(14 * NS)
    assert watchdog.silence_s(round(17.9 * NS)) is None and watchdog.silence_s(18 * NS) == 4.0


def test_after_an_alarm_that_may_be_false_the_patience_doubles_until_a_process_runs():
    watchdog = beating(until_ms=12_000)
    assert watchdog.silence_s(15 * NS) == 3.0
    watchdog.begin(Phase.OPENING, 15 * NS)
    watchdog.beat(16 * NS)
    assert watchdog.silence_s(round(21.9 * NS)) is None and watchdog.silence_s(22 * NS) == 6.0
