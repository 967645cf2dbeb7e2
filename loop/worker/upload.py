"""Decoded frames into the ring: a plain copy on the CPU; on CUDA, CuPy's own high-priority stream into pinned pages.

The only file that knows CuPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loop.link.ring import FrameRing


class HostUpload:
    """Frames in host memory; a GPU's are fetched first, which waits for it: without CuPy there is no other way."""

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring

    def write(self, ordinal: int, frames: Any) -> None:
        """frames uint8 [n, Y, X, 3] into the slots from `ordinal` on; they can be published when this returns."""
        frames = frames if isinstance(frames, np.ndarray) else frames.cpu().numpy()
        for offset, frame in enumerate(frames):
            np.copyto(self._ring.slot(ordinal + offset), frame)

    def close(self) -> None:
        """Nothing to give back."""


class CudaUpload:
    """Frames on a CUDA device: one asynchronous copy a frame on a stream of its own, into registered (pinned) pages."""

    def __init__(self, ring: FrameRing) -> None:
        import cupy

        self._cupy = cupy
        self._ring = ring
        self._stream = cupy.cuda.Stream(non_blocking=True, priority=-5)
        self._pages = ring.slot(0).ctypes.data, ring.slots * ring.slot(0).nbytes
        cupy.cuda.runtime.hostRegister(*self._pages, 0)

    def write(self, ordinal: int, frames: Any) -> None:
        """frames: torch uint8 [n, Y, X, 3] on the device, finished or in flight on torch's current stream."""
        with self._stream:  # so that the copies wait for the frames on the stream that makes them
            source = self._cupy.from_dlpack(frames.contiguous())
        for offset in range(len(source)):
            slot = self._ring.slot(ordinal + offset)
            self._cupy.cuda.runtime.memcpyAsync(
                slot.ctypes.data, source[offset].data.ptr, slot.nbytes, _DEVICE_TO_HOST, self._stream.ptr
            )
        self._stream.synchronize()  # the copies' stream alone: the model's streams run on

    def close(self) -> None:
        """Unpin the ring before its mapping goes."""
        self._cupy.cuda.runtime.hostUnregister(self._pages[0])


_DEVICE_TO_HOST = 2  # cudaMemcpyDeviceToHost


def uploader(ring: FrameRing, frames: Any) -> HostUpload | CudaUpload:
    """The uploader for frames of this kind: a NumPy array, or a tensor on a CUDA device."""
    return HostUpload(ring) if isinstance(frames, np.ndarray) or not cupy_version() else CudaUpload(ring)


def cupy_version() -> str | None:
    """CuPy's version where it is installed and sees a device, else None."""
    try:
        import cupy
    except ImportError:
        return None
    return cupy.__version__ if cupy.is_available() else None
