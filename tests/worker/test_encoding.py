import threading
from dataclasses import replace
from multiprocessing import Pipe

import pytest

from loop.link.cost import Cost
from loop.link.kept import Kept
from loop.link.message import NOBODY, Stage, Start, Submit
from loop.timing.clock import MonotonicClock
from loop.timing.costs import Costs
from loop.timing.switch import Waiting, keep, ready_ns
from loop.worker.dial_steps import DialSteps
from loop.worker.encoding import Encoding
from loop.worker.inbox import Inbox
from loop.worker.window_link import WindowLink
from tests.support.tiny import digests, encode, tiny_world
from world.event import Blend, Dial, Prompt, Scene
from world.prompt_mix import PromptMix

LONG_S = 30  # a wait that something ends at once


class SlowText:
    """A text encoder that a test lets through, prompt by prompt."""

    def __init__(self):
        self.asked, self.begun, self.let_through = [], threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, text):
        if threading.current_thread().name == "encode words":
            self.asked.append(text)
            self.begun.release()
            self.let_through.acquire()
        return encode(text)


def connected(transition=1):
    """A session whose words are slow, its inbox, and the window's end of the pipe."""
    text = SlowText()
    session = replace(tiny_world(), encode=text, slow_words=True).session(1, "a")
    ours, theirs = Pipe()
    start = Start("", 0, (2, 2), seed=1, prompt="a", reserve=0, mode="auto", transition=transition, epoch=0)
    clock = MonotonicClock()
    return session, Inbox(WindowLink(theirs), session, start, DialSteps({}, {}), Costs(), clock), ours, text


@pytest.fixture
def show():
    return connected()


def deliver(inbox, window, *submits):
    for submit in submits:
        window.send(submit)
    inbox.receive(LONG_S)


def encoded(inbox, text, count=1):
    """Let so many prompts through, and wait until they are there."""
    for _ in range(count):
        text.let_through.release()
    inbox.encoding.ready.poll(LONG_S)
    inbox.receive(0.0)


def test_blocks_go_on_while_words_are_encoded_and_take_them_at_the_first_boundary_after(show):
    session, inbox, window, text = show
    deliver(inbox, window, Submit(1, Prompt("b")))
    assert inbox.waiting == [] and not inbox.has_words
    block = session.step([event for _, event in inbox.take(session.index)[0]])
    assert block.events == () and not window.poll()
    encoded(inbox, text)
    assert inbox.has_words and isinstance(window.recv(), Stage)
    block = session.step([event for _, event in inbox.take(session.index)[0]])
    assert (block.index, block.events) == (1, (Prompt("b"),))


def test_words_encoded_beside_make_the_same_block_as_words_encoded_at_once(show):
    session, inbox, window, text = show
    deliver(inbox, window, Submit(1, Prompt("b | c")))
    first = session.step()
    encoded(inbox, text, count=2)
    beside = [first, session.step([event for _, event in inbox.take(1)[0]])]
    plain = tiny_world().session(1, "a")
    assert digests(beside) == digests([plain.step(), plain.step([Prompt("b | c")])])


def test_the_end_of_an_encoding_ends_the_wait_for_a_boundary(show):
    _, inbox, window, text = show
    deliver(inbox, window, Submit(1, Prompt("b")))
    text.let_through.release()
    inbox.receive(LONG_S)
    assert inbox.waiting == [(1, Prompt("b"))]


def test_dials_do_not_wait_for_words(show):
    _, inbox, window, _ = show
    deliver(inbox, window, Submit(1, Prompt("b")), Submit(2, Dial("zoom", 0.1)))
    inbox.receive(0.0)
    assert inbox.waiting == [(2, Dial("zoom", 0.1))]


def test_of_words_that_queue_up_only_the_newest_are_encoded_and_none_is_lost(show):
    _, inbox, window, text = show
    deliver(inbox, window, Submit(1, Prompt("b")))
    assert text.begun.acquire(timeout=LONG_S)
    deliver(inbox, window, *(Submit(n, Prompt(f"p{n}")) for n in range(2, 9)))
    encoded(inbox, text)
    assert inbox.waiting == [(1, Prompt("b"))]
    encoded(inbox, text)
    assert text.asked == ["b", "p8"]
    assert inbox.take(0) == ([(8, Prompt("p8"))], tuple(range(1, 8)))


def test_a_hard_cut_that_newer_words_overtook_while_they_were_encoded_is_kept(show):
    _, inbox, window, text = show
    deliver(inbox, window, Submit(1, Prompt("b")))
    assert text.begun.acquire(timeout=LONG_S)
    deliver(inbox, window, Submit(2, Scene("c", 7)), Submit(3, Prompt("d")))
    encoded(inbox, text), encoded(inbox, text)
    assert inbox.take(0)[0] == [(3, Scene("d", 7))]


def test_blocks_are_dropped_at_once_for_words_that_still_have_to_be_encoded(show):
    _, inbox, window, _ = show
    deliver(inbox, window, Submit(1, Prompt("b"), keep=Kept(4), epoch=1))
    assert (inbox.pop_take_back(), inbox.epoch) == (Kept(4), 1)


def test_a_transition_waits_for_its_goal_and_begins_with_a_mix():
    session, inbox, window, text = connected(transition=2)
    deliver(inbox, window, Submit(1, Prompt("b")))
    encoded(inbox, text)
    assert inbox.waiting == [(1, Blend(PromptMix((("a", 0.5), ("b", 0.5)))))]
    session.step([event for _, event in inbox.take(0)[0]])
    inbox.advance_transition()
    assert inbox.waiting == [(NOBODY, Prompt("b"))]


def test_a_fault_in_the_thread_is_raised_where_the_words_are_asked_for():
    def broken(event):
        raise RuntimeError("the encoder is out of memory")

    encoding = Encoding(broken, MonotonicClock())
    encoding.begin(Submit(1, Prompt("b")))
    assert encoding.ready.poll(LONG_S)
    with pytest.raises(RuntimeError, match="out of memory"):
        encoding.finished()


def test_no_block_is_taken_back_for_words_that_cannot_be_ready_in_time():
    queue = [Waiting(4, 60, True), Waiting(5, 500_000_000, False)]
    assert keep(queue, ready_ns(Cost(10**8, 10**8, 0), 0)) == Kept(4)
    assert keep(queue, ready_ns(Cost(10**8, 10**8, 0, encoding_ns=3 * 10**9), 0)) is None


def test_what_an_encoding_took_is_part_of_the_costs():
    costs = Costs()
    costs.note_block(10, 1), costs.note_encoding(3000)
    assert costs.worst.encoding_ns == 3000
