"""Which events a block boundary takes, and how the window's process is answered."""

from collections import deque

from loop.link.kept import Kept
from loop.link.message import Close, Mode, Stage, Start, Submit, Transition
from loop.timing.costs import Costs
from loop.worker.dial_steps import DIAL_STEP, DialSteps
from loop.worker.inbox import Inbox
from loop.worker.window_link import WindowLink
from world.event import Blend, Dial, Prompt, Scene
from world.info import DialRange
from world.options import ProbeOptions
from world.probe import ProbeWorld
from world.prompt_mix import PromptMix

STEP = 2 * DIAL_STEP  # of a dial from -1 to 1
START = Start("", 0, (2, 2), seed=1, prompt="grey", reserve=0, mode="auto", transition=1, epoch=0)


class FakePipe:
    """A pipe whose other end is this test: `coming` is read, `told` was sent."""

    def __init__(self, *coming):
        self.coming, self.told = deque(coming), []

    def poll(self, timeout=0.0):
        return bool(self.coming)

    def recv(self):
        return self.coming.popleft()

    def send(self, message):
        self.told.append(message)


class Stopped:
    """A clock that stands still."""

    def now_ns(self):
        return 77


def reading(*messages, start=START):
    """An inbox that has read these messages, and its pipe."""
    session = ProbeWorld(ProbeOptions(), None, lambda seconds: None).session(1, "grey")
    pipe = FakePipe(*messages)
    dials = DialSteps({"zoom": DialRange(-1.0, 1.0, 0.0)}, {})
    made = Inbox(WindowLink(pipe), session, start, dials, Costs(), Stopped())
    made.receive()
    return made, pipe


def inbox(*waiting):
    """An inbox of a world whose only dial, zoom, is at 0."""
    return reading(*(Submit(number, event) for number, event in waiting))[0]


def dials(applied):
    return [event.value for _, event in applied if isinstance(event, Dial)]


def test_a_dial_arrives_in_steps_one_a_block():
    box = inbox((7, Dial("zoom", 1.0)))
    moved = [dials(box.take(block)[0]) for block in range(4)]
    assert moved == [[STEP], [2 * STEP], [1.0], []]


def test_a_dial_moves_once_for_a_block_that_takes_twice():
    """Words that are recached ahead take what waits for the next block, and its own boundary comes later."""
    box = inbox((7, Dial("zoom", 1.0)), (8, Prompt("red")))
    assert dials(box.take(4)[0]) == [STEP]
    assert box.take(4) == ([], ())
    assert dials(box.take(5)[0]) == [2 * STEP]


def test_a_newer_value_for_a_dial_that_has_moved_waits_for_the_next_block_and_is_not_lost():
    box = inbox((7, Dial("zoom", 1.0)))
    box.take(4)
    box.waiting += [(9, Dial("zoom", -1.0)), (10, Prompt("red"))]
    applied, replaced = box.take(4)
    assert applied == [(10, Prompt("red"))] and replaced == ()
    assert box.take(5) == ([(9, Dial("zoom", 0.0))], ())


def test_a_dial_enters_a_block_in_flight_by_a_step_and_the_next_one_by_the_rest():
    box = inbox((7, Dial("zoom", 1.0)))
    assert box.take_between(4) == ([(7, Dial("zoom", STEP))], ())
    assert box.take_between(4) == ([], ())
    assert dials(box.take(5)[0]) == [2 * STEP]


def test_a_dial_that_moved_at_the_boundary_of_a_block_does_not_move_between_its_steps_too():
    box = inbox((7, Dial("zoom", 0.1)))
    box.take(4)
    box.waiting.append((9, Dial("zoom", 0.2)))
    assert box.take_between(4) == ([], ())
    assert box.take(5) == ([(9, Dial("zoom", 0.2))], ())


def test_only_dials_of_the_world_that_the_model_reads_at_each_step_enter_a_block_in_flight():
    for event in (Prompt("red"), Dial("steps", 3.0), Dial("hue", 0.2)):
        box = inbox((7, Dial("zoom", 0.1)), (8, event))
        assert box.take_between(4) == ([], ())
        assert box.waiting == [(7, Dial("zoom", 0.1)), (8, event)]


def test_a_dial_that_is_meant_for_a_block_enters_no_earlier_one():
    box, _ = reading(Submit(7, Dial("zoom", 0.1), block=5))
    box.release(5)
    assert box.take_between(4) == ([], ())


def test_values_that_a_newer_one_overtook_are_replaced():
    box = inbox((7, Dial("zoom", 0.1)), (8, Dial("zoom", 0.2)))
    assert box.take(0) == ([(8, Dial("zoom", 0.2))], (7,))


def test_words_are_answered_once_they_are_encoded():
    _, pipe = reading(Submit(4, Prompt("red")))
    assert pipe.told == [Stage(4, "encoded", 77)]


def test_the_mode_is_followed_and_nothing_is_read_after_the_close():
    box, pipe = reading(Mode("inline"), Close(), Mode("snap"))
    assert (box.mode, box.closed, len(pipe.coming)) == ("inline", True, 1)


def test_of_several_take_backs_the_oldest_block_counts_and_the_newest_epoch():
    box, _ = reading(Submit(1, Prompt("red"), keep=Kept(7), epoch=1), Submit(2, Prompt("blue"), keep=Kept(5), epoch=2))
    assert box.has_take_back and box.epoch == 2
    assert box.pop_take_back() == Kept(5)
    assert not box.has_take_back and box.pop_take_back() is None


def test_words_that_were_postponed_once_are_so_until_they_are_taken():
    box = inbox((1, Prompt("red")))
    box.postpone()
    assert box.has_postponed
    box.take(3)
    assert not box.has_postponed


def test_words_and_hard_cuts_that_wait_are_told_apart():
    box = inbox((1, Prompt("red")))
    assert box.has_words and not box.has_scene
    box = inbox((1, Prompt("red")), (2, Scene("blue")))
    assert box.has_scene and not box.has_words


def test_a_transition_lets_one_mix_wait_for_each_block():
    start = Start("", 0, (2, 2), seed=1, prompt="grey", reserve=0, mode="auto", transition=2, epoch=0)
    box, _ = reading(Submit(1, Prompt("red")), start=start)
    assert box.take(0)[0] == [(1, Blend(PromptMix((("grey", 0.5), ("red", 0.5)))))]
    box.advance_transition()
    assert box.take(1)[0] == [(0, Prompt("red"))]
    box.advance_transition()
    assert box.take(2)[0] == []


def test_an_event_for_a_later_block_waits_for_it_and_is_in_no_hurry():
    box, _ = reading(Submit(3, Prompt("red"), block=2))
    box.release(0)
    assert box.take(0) == ([], ())
    box.release(1)
    assert not box.has_words and box.take(1) == ([], ())
    box.release(2)
    assert box.has_words and not box.is_urgent(0)
    assert box.take(2) == ([(3, Prompt("red"))], ())


def test_an_event_for_a_block_that_has_begun_is_for_the_next():
    box, _ = reading(Submit(3, Prompt("red"), block=2))
    box.release(7)
    assert box.take(7) == ([(3, Prompt("red"))], ())


def test_words_without_a_block_are_urgent_also_beside_those_that_have_one():
    box, _ = reading(Submit(3, Prompt("red"), block=0), Submit(4, Prompt("blue")))
    assert box.is_urgent(0)


def test_a_transition_can_be_set_while_a_show_runs():
    box, _ = reading(Transition(2), Submit(3, Prompt("red")))
    (_, event), *_ = box.take(0)[0]
    assert isinstance(event, Blend)


def test_a_stream_that_has_gone_back_forgets_what_waited_for_a_later_block():
    box, _ = reading(Submit(3, Prompt("red"), block=5))
    box.begin_again((), DialSteps({}, {}))
    box.release(9)
    assert box.waiting == []


def test_what_frames_were_dropped_for_hurries_its_block_too():
    """The schedule that the worker can see still has those frames, for up to a tick."""
    box, _ = reading(Submit(3, Prompt("red"), keep=Kept(4, 1), epoch=1))
    assert box.hurries(5) and not box.leaps_to(5)
    box.take(5)
    assert box.hurries(5) and not box.hurries(6)


def test_what_leaps_hurries_the_block_that_it_waits_for_and_no_earlier_one():
    box, _ = reading(Submit(3, Dial("zoom", 0.1), leaps=True))
    assert box.hurries(4) and not box.leaps_to(4) and not box.leaps_to(3)
    box.take(4)
    assert box.hurries(4) and box.leaps_to(4) and not box.hurries(5)


def test_what_leaps_is_urgent_unless_its_dial_has_moved_for_the_block_in_flight_already():
    box, _ = reading(Submit(3, Dial("zoom", 0.1)))
    assert not box.is_urgent(4)
    box.take(4)
    box.accept(Submit(5, Dial("zoom", 0.2), leaps=True))
    assert not box.is_urgent(4) and box.is_urgent(5) and box.hurries(5)


def test_a_stream_that_has_gone_back_is_in_no_hurry_any_more():
    box, _ = reading(Submit(3, Prompt("red"), leaps=True))
    box.take(4)
    box.begin_again((), DialSteps({}, {}))
    assert not box.hurries(0)
