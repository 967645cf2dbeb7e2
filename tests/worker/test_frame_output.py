"""Blocks of latents become frames in the ring."""

from dataclasses import replace

import numpy as np
import pytest

from loop.link.kept import Kept
from loop.link.message import Stage
from loop.link.ring import FrameMark, FrameRing, Schedule
from loop.worker.frame_output import FrameOutput
from loop.worker.upload import HostUpload, uploader
from loop.worker.window_link import WindowLink
from tests.simulation.process import Rings
from world.block import Block
from world.info import WorldInfo

MS = 1_000_000


class SummingDecoder:
    """Each frame shows the sum of all latents so far, so that a wrong state is seen."""

    memory = 8

    def start(self):
        return 0

    def decode(self, state, latents):
        state += int(latents.sum())
        return np.full((1, 1, 2, 3), state, np.uint8), state


class SummingWorld:
    info = WorldInfo("sums", fps=10, block_frames=2, picture=(2, 1), showpiece="", memory_blocks=1)
    decoder = SummingDecoder()


class CutWorld(SummingWorld):
    """The same world, whose blocks can be cut."""

    info = replace(SummingWorld.info, cut_from=2)


class Told:
    """A pipe that keeps what was sent."""

    def __init__(self):
        self.messages = []

    def send(self, message):
        self.messages.append(message)


class Now:
    def now_ns(self):
        return 5


def block(index, *values, parent=None, start=None):
    latents = np.array(values, np.float32).reshape(1, len(values), 1, 1, 1)
    parent = index - 1 if parent is None else parent
    return Block(index, parent, 2 * parent + 2 if start is None else start, latents)


@pytest.fixture
def ring():
    return Rings().create(6, (2, 1))


@pytest.fixture
def link():
    return WindowLink(Told())


@pytest.fixture
def output(ring, link):
    return FrameOutput(SummingWorld(), ring, link, Now(), states=3)


def shown(output, made):
    """What the frames of a block show, decoded and uploaded but not published."""
    return [value for upload in output.uploads(made) for value in in_ring(output._ring, upload)]


def in_ring(ring, upload):
    upload.wait_uploaded()
    return [int(ring.slot(upload.ordinal + offset)[0, 0, 0]) for offset in range(upload.count)]


def published(output, ring, frames, *marks):
    """Frames as they come from a decoder, published."""
    output.publish(HostUpload(ring).begin(ring.written, frames), *marks)


def test_a_block_continues_its_parent_and_a_hard_cut_nothing(output):
    assert shown(output, block(0, 1, 2)) == [1, 3]
    assert shown(output, block(1, 4, 8)) == [7, 15]
    assert shown(output, block(2, 1, 1, start=0)) == [1, 2]


def test_what_is_made_instead_of_a_dropped_block_continues_the_kept_one(output):
    for index in range(3):
        shown(output, block(index, 1, 1))
    output.drop_frames(), output.forget_after(0)
    assert shown(output, block(3, 5, 5, parent=0)) == [7, 12]
    for index in range(4, 6):
        output.drop_frames(), output.forget_after(0)
        assert shown(output, block(index, 5, 5, parent=0)) == [7, 12], "its state is not crowded out"


def make(output, index, epoch=0, parent=None, start=None):
    """A block of two latent frames, decoded and published."""
    for offset, upload in enumerate(output.uploads(block(index, 1, 1, parent=parent, start=start))):
        output.publish(upload, 2 * index + offset, index, epoch)


def kept(output, newest):
    return [index for index in range(newest + 1) if output.can_continue(Kept(index))]


def test_the_states_before_the_block_on_the_screen_are_forgotten_when_the_next_one_is_decoded(output, ring):
    for index in range(3):
        make(output, index)
    ring.release(3, epoch=0)  # the first frame of block 1 is on the screen
    assert kept(output, 2) == [0, 1, 2]
    make(output, 3)
    assert kept(output, 3) == [1, 2, 3], "block 2 may be taken back, block 1 may not"


def test_no_state_is_forgotten_while_a_take_back_may_be_under_way(output, ring):
    make(output, 0), make(output, 1)
    ring.release(4, epoch=1)  # block 1 was dropped unseen, and the message is still in the pipe
    list(output.uploads(block(2, 1, 1)))
    assert kept(output, 2) == [0, 1, 2]
    output.drop_frames(), output.forget_after(0)
    make(output, 3, epoch=1, parent=0)
    ring.release(6, epoch=1)
    make(output, 4, epoch=1, parent=3, start=4)
    assert kept(output, 4) == [3, 4]


@pytest.fixture
def cutting(ring, link):
    return FrameOutput(CutWorld(), ring, link, Now(), states=3)


def test_what_is_made_after_a_block_was_cut_continues_what_is_left_of_it(cutting):
    shown(cutting, block(0, 1, 2)), shown(cutting, block(1, 4, 8))
    cutting.drop_frames(), cutting.forget_after(1)
    assert cutting.can_continue(Kept(1, 1)) and not cutting.can_continue(Kept(1, 3))
    assert shown(cutting, block(2, 16, 32, start=3)) == [23, 55]


def test_only_the_last_state_of_a_block_is_kept_where_blocks_stay_whole(output):
    shown(output, block(0, 1, 2)), shown(output, block(1, 4, 8))
    assert output.can_continue(Kept(1)) and not output.can_continue(Kept(1, 1))
    assert output.can_decode(block(2, 1)) and not output.can_decode(block(2, 1, start=3))


def test_a_session_that_resumes_can_be_cut_and_knows_what_was(cutting, output):
    blocks = [block(0, 1, 2), block(1, 4, 8), block(2, 16, 32, start=3)]
    for one in (cutting, output):
        one.resume(blocks)
        assert shown(one, block(3, 64, 64, parent=2, start=5)) == [119, 183]
    assert cutting.can_continue(Kept(2, 1)) and not output.can_continue(Kept(2, 1))


def test_a_stored_block_is_drawn_as_far_as_it_was_shown(cutting, ring):
    cutting.draw([block(0, 1, 2), block(1, 4, 8), block(2, 16, 32, start=3).until(4)], epoch=0)
    assert [ring.mark(ordinal).number for ordinal in range(ring.written)] == [4]
    assert int(ring.slot(0)[0, 0, 0]) == 1 + 2 + 4 + 16


def test_a_frame_says_which_latent_frame_it_shows(output, ring):
    for latent, upload in enumerate(output.uploads(block(0, 1, 2))):
        output.publish(upload, latent, 0, 0)
    assert [ring.mark(ordinal).latent for ordinal in (0, 1)] == [0, 1]


def test_a_session_that_resumes_goes_on_from_the_last_of_its_blocks(output):
    output.resume([block(0, 1, 2), block(1, 4, 8)])
    assert shown(output, block(2, 1, 1)) == [16, 17]


def test_a_published_frame_tells_how_many_messages_were_sent_before_it(output, ring, link):
    link.stamp("take", 3, (7, 8))
    published(output, ring, np.full((2, 1, 2, 3), 9, np.uint8), 40, 20, 1)
    assert link.pipe.messages == [Stage(7, "take", 3), Stage(8, "take", 3)]
    assert [ring.mark(ordinal) for ordinal in (0, 1)] == [
        FrameMark(0, 40, 20, 1, 5, messages=2),
        FrameMark(1, 41, 20, 1, 5, messages=2),
    ]
    assert (ring.slot(1) == 9).all()


def test_the_next_block_is_due_after_the_frames_that_have_no_due_time_yet(output, ring):
    assert not output.is_scheduled and output.due_ns is None
    ring.set_schedule(Schedule(0, 100 * MS, 10 * MS))
    published(output, ring, np.zeros((2, 1, 2, 3), np.uint8), 0, 0, 0)
    assert output.due_ns == 120 * MS and output.period_ns == 10 * MS
    output.drop_frames(), output.forget_after(-1)
    assert output.due_ns == 100 * MS, "others get the due times of frames that were dropped"


def test_nothing_is_due_while_the_picture_is_frozen(output, ring):
    ring.set_schedule(Schedule(0, 100 * MS, 10 * MS, held=True))
    assert output.is_scheduled and output.due_ns is None and output.period_ns is None


def test_there_is_room_for_a_block_until_the_ring_is_full(output, ring):
    for index in range(3):
        assert output.has_room
        published(output, ring, np.zeros((2, 1, 2, 3), np.uint8), 2 * index, index, 0)
    assert not output.has_room


def test_frames_in_host_memory_are_copied_into_their_slots():
    ring: FrameRing = Rings().create(2, (2, 1))
    upload = uploader(ring, np.zeros((1, 1, 2, 3), np.uint8))
    assert isinstance(upload, HostUpload)
    begun = upload.begin(1, np.full((1, 1, 2, 3), 3, np.uint8))
    begun.wait_decoded(), begun.wait_uploaded()
    assert (begun.ordinal, begun.count) == (1, 1)
    assert (ring.slot(1) == 3).all() and (ring.slot(0) == 0).all()


def test_on_a_cpu_a_latent_frame_is_decoded_only_when_the_one_before_was_taken(output):
    decoded = []
    decode = output._decode
    output._decode = lambda state, latents: decoded.append(float(latents.sum())) or decode(state, latents)
    uploads = output.uploads(block(0, 1, 2))
    assert next(uploads) and decoded == [1.0]
    assert next(uploads) and decoded == [1.0, 2.0]


def test_the_first_picture_is_published_before_the_others_are_drawn(output, ring):
    drawn = []

    def pictures(state, latents):
        def draw():
            for number in range(3):
                drawn.append(number)
                yield np.full((1, 1, 2, 3), number, np.uint8)

        return draw(), state + 1

    output._decoder = SummingDecoder()
    output._decoder.pictures = pictures
    for count, upload in enumerate(output.uploads(block(0, 7)), 1):
        output.publish(upload, count - 1, 0, 0)
        assert drawn == list(range(count))
        assert ring.written == count and int(ring.slot(count - 1).max()) == count - 1
    assert output._states[0].before == {1: 1} and {ring.mark(ordinal).latent for ordinal in range(3)} == {0}


def test_latents_that_the_model_still_has_are_decoded_instead_of_those_of_the_block(output, ring):
    made = block(0, 1, 2)
    uploads = output.uploads(made, made.latents + 10)
    assert [value for upload in uploads for value in in_ring(ring, upload)] == [11, 23]
