"""Frames of a GPU into the ring: everything is begun before anything is waited for. Checked with a device of paper."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from loop.cli.doctor import _uploads
from loop.link.ring import FrameRing
from loop.worker.frame_output import FrameOutput
from loop.worker.upload import CudaUpload, StagedUpload, describe_uploads, uploader
from loop.worker.window_link import WindowLink
from tests.simulation.process import Rings
from tests.worker.test_frame_output import Now, Told, block
from world.info import WorldInfo


class PaperDevice:
    """A device that does nothing of what it was told until it is waited for; `log` is in the order of the calls.

    refuses: whether its driver does not pin memory.
    """

    def __init__(self, refuses=False):
        self.log, self.queue, self.refuses, self.pinned = [], [], refuses, []

    def do(self, name, work=lambda: None):
        self.log.append(name)
        self.queue.append(work)

    def wait(self, upto, name):
        """Do the first `upto` pieces of all work ever queued."""
        self.log.append(name)
        for place, work in enumerate(self.queue[:upto]):
            work()
            self.queue[place] = lambda: None


class PaperFrames:
    """Frames of a latent frame on the device: their values exist once the device has come so far."""

    def __init__(self, device, value, count=2):
        self.array = np.zeros((count, 1, 2, 3), np.uint8)
        device.do("decode", lambda: self.array.fill(value))

    def contiguous(self):
        return self

    def __len__(self):
        return len(self.array)


class Error(RuntimeError):
    """As CuPy reports what the driver refuses."""


def paper_cupy(device):
    """A module like CuPy, for that device."""

    class Stream:
        ptr = 0

        def __init__(self, non_blocking, priority):
            assert non_blocking and priority < 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def synchronize(self):
            device.wait(len(device.queue), "wait for the stream")

    class Event:
        def __init__(self, disable_timing):
            self.upto = 0

        def record(self, stream):
            self.upto = len(device.queue)

        def synchronize(self):
            device.wait(self.upto, "wait")

    class Source(list):
        def __init__(self, frames):
            parts = [SimpleNamespace(data=SimpleNamespace(ptr=frame)) for frame in frames.array]
            super().__init__(parts)

    def memcpy(target, source, size_bytes, kind, stream):
        assert kind == 2 and size_bytes == source.nbytes
        slot = (np.ctypeslib.ctypes.c_uint8 * size_bytes).from_address(target)
        device.do("copy", lambda: np.copyto(np.frombuffer(slot, np.uint8), source.ravel()))

    def register(address, size_bytes, flags):
        if device.refuses:
            raise Error("cudaErrorNotSupported")
        device.pinned.append(address)

    runtime = SimpleNamespace(
        memcpyAsync=memcpy, hostRegister=register, hostUnregister=device.pinned.remove, CUDARuntimeError=Error
    )
    cuda = SimpleNamespace(Stream=Stream, Event=Event, runtime=runtime)
    return SimpleNamespace(__version__="0", cuda=cuda, is_available=lambda: True, from_dlpack=Source)


class PaperDecoder:
    """Each latent frame gives two frames that show the sum of all latents so far."""

    def __init__(self, device):
        self.device = device

    def start(self):
        return 0

    def decode_tensor(self, state, latents):
        state += int(latents.sum())
        return PaperFrames(self.device, state), state


@pytest.fixture
def device(monkeypatch):
    device = PaperDevice()
    monkeypatch.setitem(sys.modules, "cupy", paper_cupy(device))
    return device


@pytest.fixture
def ring():
    return Rings().create(6, (2, 1))


@pytest.fixture
def output(device, ring):
    info = WorldInfo("paper", fps=10, block_frames=6, picture=(2, 1), showpiece="", memory_blocks=1)
    world = SimpleNamespace(info=info, decoder=PaperDecoder(device), device=SimpleNamespace(type="cuda"))
    return FrameOutput(world, ring, WindowLink(Told()), Now(), states=3)


def test_all_latent_frames_of_a_block_are_begun_before_anything_is_waited_for(device, output):
    uploads = output.uploads(block(0, 1, 2, 4))
    assert device.log == ["decode", "copy", "copy"] * 3
    for number, upload in enumerate(uploads):
        output.publish(upload, 2 * number, block=0, epoch=0)
    assert device.log[9:] == ["wait"] * 3


def test_a_frame_is_published_after_its_copy_and_does_not_wait_for_later_ones(device, output, ring):
    seen = []
    for number, upload in enumerate(output.uploads(block(0, 1, 2, 4))):
        output.publish(upload, 2 * number, block=0, epoch=0)
        seen.append([int(ring.slot(ordinal)[0, 0, 0]) for ordinal in range(6)])
    assert seen == [[1, 1, 0, 0, 0, 0], [1, 1, 3, 3, 0, 0], [1, 1, 3, 3, 7, 7]]
    assert [ring.mark(ordinal).number for ordinal in range(6)] == list(range(6))


def test_the_first_frame_is_decoded_before_it_is_uploaded(device, output, ring):
    upload = next(iter(output.uploads(block(0, 1, 2, 4))))
    upload.wait_decoded()
    assert not ring.slot(0).any()
    upload.wait_uploaded()
    assert ring.slot(0).all()


def test_the_next_block_goes_into_the_slots_after_it(device, output, ring):
    for index in range(2):
        ring.release(6 * index, epoch=0)
        for number, upload in enumerate(output.uploads(block(index, 1, 1, 1, start=3 * index))):
            output.publish(upload, 6 * index + 2 * number, block=index, epoch=0)
    assert [int(ring.slot(ordinal)[0, 0, 0]) for ordinal in range(6, 12)] == [4, 4, 5, 5, 6, 6]


def test_the_pages_are_unpinned_before_the_ring_is_unmapped(device, output, ring):
    for upload in output.uploads(block(0, 1, 2, 4)):
        output.publish(upload, 0, block=0, epoch=0)
    assert device.pinned == [ring.pixel_pages[0]]
    output.close()
    assert device.pinned == [] and device.log[-1] == "wait for the stream"


def test_where_the_driver_does_not_pin_the_ring_frames_are_staged_and_it_is_said(device, ring, caplog):
    device.refuses = True
    assert isinstance(uploader(ring, object()), StagedUpload)
    assert "does not pin shared memory (cudaErrorNotSupported)" in caplog.text
    assert _uploads() == (
        "uploads",
        "staged copies by torch",
        "the driver does not pin shared memory (cudaErrorNotSupported)",
    )


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (None, "CuPy is not installed: pip install 'neverblink[cuda13]' (or [cuda12])"),
        (SimpleNamespace(__version__="9", is_available=lambda: False), "CuPy 9 sees no GPU"),
    ],
)
def test_without_a_cupy_that_works_frames_are_staged_and_it_is_said_why(module, why, monkeypatch, ring):
    monkeypatch.setitem(sys.modules, "cupy", module)
    assert isinstance(uploader(ring, object()), StagedUpload)
    way, told = describe_uploads()
    assert way == "staged copies by torch" and told.startswith(why)


def test_the_doctor_names_the_fast_way(device):
    assert describe_uploads() == ("CuPy 0, into pinned pages", "")
    assert device.pinned == []


def test_staged_frames_lie_in_their_slots_once_they_are_waited_for(ring):
    begun = StagedUpload(ring).begin(4, torch.full((2, 1, 2, 3), 5, dtype=torch.uint8))
    begun.wait_decoded()
    assert not ring.slot(4).any()
    begun.wait_uploaded()
    assert (ring.slot(4) == 5).all() and (ring.slot(5) == 5).all() and begun.count == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("way", [CudaUpload, StagedUpload])
def test_frames_of_a_gpu_reach_a_shared_ring(way):
    """Frames that are still being made when their copy is begun, and are forgotten at once."""
    if way is CudaUpload:
        pytest.importorskip("cupy", reason="needs CuPy")
    ring = FrameRing.create(8, (832, 480))
    ring.unlink()
    upload, square = way(ring), torch.full((2048, 2048), 1 / 2048, device="cuda")
    begun = []
    for value in range(4):
        for _ in range(20):
            square = square @ square * 2048 / 2048
        frames = (torch.ones(2, 480, 832, 3, device="cuda") * square.sum() / square.sum() * (value + 1)).round()
        begun.append(upload.begin(2 * value, frames.to(torch.uint8)))
    for value, part in enumerate(begun):
        part.wait_decoded(), part.wait_uploaded()
        assert all((ring.slot(2 * value + offset) == value + 1).all() for offset in range(2))
    upload.close()
    ring.close()
