"""As much of CuPy as copies frames into the ring, for a pretended device."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from tests.pretend.device import Event, PretendedDevice, Stream
from tests.pretend.tensors import PretendedTensors


def pretended_cupy(device: PretendedDevice, tensors: PretendedTensors) -> SimpleNamespace:
    """A module like cupy. Pages are taken for registered, and an address is one of the host, wherever the memory is."""
    entered: list[CuPyStream] = []
    sources: dict[int, Tensor] = {}  # what work reads, by its address

    class CuPyStream(Stream):
        """As cupy.cuda.Stream."""

        def __init__(self, non_blocking: bool, priority: int) -> None:
            super().__init__(device, priority=priority)
            self.ptr = device.streams.index(self)

        def __enter__(self) -> None:
            entered.append(self)

        def __exit__(self, *_: Any) -> None:
            entered.pop()

    class Array:
        """As cupy.ndarray: it holds the tensor that it is made of."""

        def __init__(self, tensor: Tensor) -> None:
            self._tensor, self.data = tensor, SimpleNamespace(ptr=tensor.data_ptr())
            sources[tensor.data_ptr()] = tensors.for_work(tensor)

        def __len__(self) -> int:
            return len(self._tensor)

        def __getitem__(self, at: int) -> Array:
            return Array(self._tensor[at])

    def from_dlpack(tensor: Tensor) -> Array:
        entered[-1].wait_stream(device.current)  # as torch exports it to a stream
        return Array(tensor)

    def copy(target: int, source: int, size: int, kind: int, stream: int) -> None:
        read = sources.pop(source)
        assert kind == 2 and size == read.nbytes and read.is_contiguous()
        device.streams[stream].put(lambda: ctypes.memmove(target, read.data_ptr(), size))

    runtime = SimpleNamespace(
        memcpyAsync=copy, hostRegister=lambda *_: None, hostUnregister=lambda *_: None, CUDARuntimeError=OSError
    )

    def event(disable_timing: bool) -> Event:
        return Event(device)

    cuda = SimpleNamespace(Stream=CuPyStream, Event=event, runtime=runtime)
    return SimpleNamespace(__version__="0", cuda=cuda, is_available=lambda: True, from_dlpack=from_dlpack)
