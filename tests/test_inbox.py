from loop.worker.inbox import DIAL_STEP, Inbox
from world.event import Dial, Prompt
from world.info import DialRange

STEP = 2 * DIAL_STEP  # of a dial from -1 to 1


def inbox(*waiting):
    """An inbox of a world whose only dial, zoom, stands at 0; no message ever comes."""
    made = Inbox(pipe=None, mode="auto")
    made.know({"zoom": DialRange(-1.0, 1.0, 0.0)}, {})
    made.waiting = list(waiting)
    return made


def dials(applied):
    return [event.value for _, event in applied if isinstance(event, Dial)]


def test_a_dial_arrives_in_steps_one_a_block():
    box = inbox((7, Dial("zoom", 1.0)))
    moved = [dials(box.taken(block)[0]) for block in range(4)]
    assert moved == [[STEP], [2 * STEP], [1.0], []]


def test_a_dial_moves_once_for_a_block_that_takes_twice():
    """Words that are recached ahead take what waits for the next block, and its own boundary comes later."""
    box = inbox((7, Dial("zoom", 1.0)), (8, Prompt("red")))
    assert dials(box.taken(4)[0]) == [STEP]
    assert box.taken(4) == ([], ())
    assert dials(box.taken(5)[0]) == [2 * STEP]


def test_a_newer_value_for_a_dial_that_has_moved_waits_for_the_next_block_and_is_not_lost():
    box = inbox((7, Dial("zoom", 1.0)))
    box.taken(4)
    box.waiting += [(9, Dial("zoom", -1.0)), (10, Prompt("red"))]
    applied, replaced = box.taken(4)
    assert applied == [(10, Prompt("red"))] and replaced == ()
    assert box.taken(5) == ([(9, Dial("zoom", 0.0))], ())


def test_values_that_a_newer_one_overtook_are_replaced():
    box = inbox((7, Dial("zoom", 0.1)), (8, Dial("zoom", 0.2)))
    assert box.taken(0) == ([(8, Dial("zoom", 0.2))], (7,))
