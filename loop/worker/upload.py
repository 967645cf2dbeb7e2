"""Decoded frames into the ring: a plain copy on the CPU; on CUDA, CuPy's own high-priority stream into pinned pages.

The only file that knows CuPy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from loop.link.ring import FrameRing

log = logging.getLogger(__name__)
_DEVICE_TO_HOST = 2  # cudaMemcpyDeviceToHost


class UploadError(RuntimeError):
    """Frames cannot be copied into the ring by CuPy; the message says why, in one line."""


@dataclass(frozen=True)
class Upload:
    """Frames on their way into the ring: `count` of them, into the slots from `ordinal` on.

    wait_decoded(), wait_uploaded(): return once the frames exist, and once they lie in their slots. It holds what the
    copy reads, so it must be kept until then.
    """

    ordinal: int
    count: int
    wait_decoded: Callable[[], None]
    wait_uploaded: Callable[[], None]


class Uploader(Protocol):
    """One way into the ring."""

    def begin(self, ordinal: int, frames: Any) -> Upload:
        """Begin to copy frames, uint8 [n, Y, X, 3], into the slots from `ordinal` on."""

    def close(self) -> None:
        """Give back what was taken of the ring, before its mapping goes."""


class HostUpload:
    """Frames in host memory: copied when they are waited for."""

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring

    def begin(self, ordinal: int, frames: np.ndarray) -> Upload:
        return Upload(ordinal, len(frames), lambda: None, lambda: _copy(frames, self._ring, ordinal))

    def close(self) -> None:
        """Nothing to give back."""


class StagedUpload:
    """Frames on a GPU, without CuPy: copied into pinned memory behind the work that makes them, and from there again.

    The first copy runs on the stream of the model's own work.
    """

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring

    def begin(self, ordinal: int, frames: Any) -> Upload:
        """frames: torch uint8 [n, Y, X, 3] on the device, finished or in flight on torch's current stream."""
        from world.dit.device import download, fence

        decoded = fence(frames.device)
        staged = download(frames)
        copied = fence(frames.device)

        def wait() -> None:
            copied()
            _copy(staged.numpy(), self._ring, ordinal)

        return Upload(ordinal, len(frames), decoded, wait)

    def close(self) -> None:
        """Nothing to give back."""


class CudaUpload:
    """Frames on a CUDA device: one asynchronous copy a frame on a stream of its own, into registered (pinned) pages.

    Raises UploadError if CuPy sees no device, or if the pages cannot be registered.
    """

    def __init__(self, ring: FrameRing) -> None:
        self._cupy, self._ring = _usable_cupy(), ring
        self._stream = self._cupy.cuda.Stream(non_blocking=True, priority=-5)  # the highest there is
        self._pages = ring.pixel_pages
        _register(self._cupy, *self._pages)

    def begin(self, ordinal: int, frames: Any) -> Upload:
        """frames: torch uint8 [n, Y, X, 3] on the device, finished or in flight on torch's current stream."""
        with self._stream:  # so that the copies wait for the frames on the stream that makes them
            source = self._cupy.from_dlpack(frames.contiguous())
        decoded = self._record()
        for offset in range(len(source)):
            slot = self._ring.slot(ordinal + offset)
            self._cupy.cuda.runtime.memcpyAsync(
                slot.ctypes.data, source[offset].data.ptr, slot.nbytes, _DEVICE_TO_HOST, self._stream.ptr
            )
        uploaded = self._record()

        def wait(_source: Any = source) -> None:  # the frames' memory must not be used again before
            uploaded.synchronize()

        return Upload(ordinal, len(source), decoded.synchronize, wait)

    def close(self) -> None:
        """Unpin the ring before its mapping goes."""
        self._stream.synchronize()
        self._cupy.cuda.runtime.hostUnregister(self._pages[0])

    def _record(self) -> Any:
        """An event that happens once the copies' stream has come this far."""
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record(self._stream)
        return event


def uploader(ring: FrameRing, frames: Any) -> Uploader:
    """The best way into the ring for frames of this kind: a NumPy array, or a tensor on a CUDA device."""
    if isinstance(frames, np.ndarray):
        return HostUpload(ring)
    try:
        return CudaUpload(ring)
    except UploadError as error:
        log.warning("frames take the slow way into the ring: %s", error)
        return StagedUpload(ring)


def describe_uploads() -> tuple[str, str]:
    """How frames of a GPU get into the ring on this machine, and why not faster ("" if they go the fast way)."""
    ring = FrameRing.create(1, (16, 16))
    try:
        upload = CudaUpload(ring)
        upload.close()
        version = _usable_cupy().__version__
    except UploadError as error:
        return "staged copies by torch", str(error)
    finally:
        ring.unlink()
        ring.close()
    return f"CuPy {version}, into pinned pages", ""


def _usable_cupy() -> ModuleType:
    """CuPy; raises UploadError where it is not installed or sees no device."""
    try:
        import cupy
    except ImportError:
        raise UploadError("CuPy is not installed: pip install 'neverblink[cuda13]' (or [cuda12])") from None
    if not cupy.is_available():
        raise UploadError(f"CuPy {cupy.__version__} sees no GPU: install the extra of torch's CUDA, cuda12 or cuda13")
    return cupy


def _register(cupy: ModuleType, address: int, size_bytes: int) -> None:
    """Pin pages of this process, so that a device can write to them by itself; raises UploadError."""
    try:
        cupy.cuda.runtime.hostRegister(address, size_bytes, 0)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise UploadError(f"the driver does not pin shared memory ({error})") from None


def _copy(frames: np.ndarray, ring: FrameRing, ordinal: int) -> None:
    for offset, frame in enumerate(frames):
        np.copyto(ring.slot(ordinal + offset), frame)
