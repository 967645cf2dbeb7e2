import mmap
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loop.link.ring import FrameMark, FrameRing, Schedule, ring_bytes
from tests.support.shows import segments, wait_until


@pytest.fixture
def ends():
    reader = FrameRing.create(slots=4, picture=(8, 6))
    writer = FrameRing.attach(reader.name, slots=4, picture=(8, 6))
    reader.unlink()
    yield reader, writer
    writer.close()
    reader.close()


def write(writer, number, block=0):
    writer.slot(writer.written)[:] = number
    writer.publish(FrameMark(writer.written, number, block, epoch=2, written_ns=number, messages=11))


def test_what_is_written_at_one_end_is_seen_at_the_other(ends):
    reader, writer = ends
    write(writer, 7, block=3)
    mark = reader.mark(0)
    assert mark == FrameMark(ordinal=0, number=7, block=3, epoch=2, written_ns=7, messages=11)
    assert (reader.slot(0) == 7).all() and reader.slot(0).shape == (6, 8, 3)


def test_a_slot_is_free_again_only_after_its_release(ends):
    reader, writer = ends
    for number in range(4):
        write(writer, number)
    assert writer.free == 0
    reader.release(2, epoch=0)
    assert writer.free == 2
    write(writer, 4)
    assert (reader.slot(4) == 4).all() and (reader.slot(3) == 3).all()


def test_a_writer_that_has_not_heard_of_a_drop_knows_of_no_frame_that_was_shown(ends):
    reader, writer = ends
    reader.release(2, epoch=1)
    assert (writer.passed(epoch=1), writer.passed(epoch=0)) == (2, 0), "the others may have been dropped unseen"


def test_the_schedule_is_none_until_the_first_frame_was_shown(ends):
    reader, writer = ends
    assert writer.schedule is None
    reader.set_schedule(Schedule(ordinal=5, due_ns=1_000, period_ns=40, held=True))
    assert writer.schedule == Schedule(5, 1_000, 40, True)


def test_an_unlinked_ring_leaves_no_name_behind(ends):
    reader, _ = ends
    with pytest.raises(FileNotFoundError):
        FrameRing.attach(reader.name, slots=4, picture=(8, 6))


def test_pixels_are_not_copied_on_the_readers_side(ends):
    reader, writer = ends
    view = reader.slot(0)
    writer.slot(0)[:] = 9
    assert np.shares_memory(view, reader.slot(0)) and (view == 9).all()


def test_the_pixels_have_whole_pages_to_themselves(ends):
    _, writer = ends
    address, size_bytes = writer.pixel_pages
    assert address % mmap.PAGESIZE == 0 and size_bytes % mmap.PAGESIZE == 0 and size_bytes >= 4 * 8 * 6 * 3
    assert address == writer.slot(0).ctypes.data
    assert ring_bytes(4, (8, 6)) == 2 * mmap.PAGESIZE, "one page of marks, one of pixels"


DIES_WHILE_IT_MAKES_A_RING = """
import os, signal
from multiprocessing import shared_memory
from loop.link.ring import FrameRing

shared_memory.mmap.mmap = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # the segment has its name by then
FrameRing.create(4, (32, 16))
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="only Linux lists shared memory as files")
def test_a_window_that_dies_while_it_makes_a_ring_leaves_no_segment():
    window = subprocess.Popen([sys.executable, "-c", DIES_WHILE_IT_MAKES_A_RING])
    assert window.wait() == -signal.SIGKILL
    wait_until(lambda: not segments(window.pid), "the removal of its segment")
    assert not segments(window.pid)
