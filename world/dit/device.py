"""The one door to CUDA: which device a world runs on, and how small things get there and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from world.info import WorldError


def resolve(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" stands for; raises WorldError where there is none."""
    if name not in ("auto", "cpu", "cuda"):
        raise WorldError(f"device {name!r}: expected auto, cpu or cuda")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise WorldError("device cuda: torch sees no GPU here; use --device cpu, or install torch's CUDA build")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def working_dtype(device: torch.device, asked: str | None = None) -> torch.dtype:
    """What weights and activations of a large world are in; raises WorldError for what cannot be `asked` for.

    Not every CPU computes in bfloat16: where none is asked for it gets float32, the same on all of them.
    """
    if asked not in (None, "float32", "bfloat16"):
        raise WorldError(f"dtype {asked!r}: expected float32 or bfloat16")
    if asked:
        return getattr(torch, asked)
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def use_threads(count: int) -> None:
    """Let torch work with `count` threads of the CPU."""
    torch.set_num_threads(count)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` (on the CPU) on `device`, without stopping the stream: a GPU reads it from pinned memory."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class SideStream:
    """Work beside the rest of a device: on a GPU a stream of its own, which gives way to what `take_precedence` began.

    On a CPU everything is done in order at once, and there is nothing to wait for. What is read or written beside must
    not be freed or written by others before `join`.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device, priority=0) if device.type == "cuda" else None
        self._done: torch.cuda.Event | None = None

    @contextmanager
    def beside(self) -> Iterator[None]:
        """What is asked for within begins after all that was asked for before; nothing waits for it but `join`."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield
            self._done = self._stream.record_event()

    def join(self) -> None:
        """What is asked for from now on begins after it; the caller does not wait."""
        if self._done is not None:
            torch.cuda.current_stream(self._device).wait_event(self._done)

    @property
    def is_busy(self) -> bool:
        """Whether some of it is still to be done."""
        return self._done is not None and not self._done.query()


def take_precedence(device: torch.device) -> None:
    """Let what this thread asks of a GPU go before every `SideStream`: a stream of higher priority than theirs."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # what was loaded so far was loaded on another stream
        torch.cuda.set_stream(torch.cuda.Stream(device, priority=-1))


def finish(device: torch.device) -> None:
    """Return when `device` has done what this thread has asked of it so far; a `SideStream` runs on.

    Between passes, never within one: a pass that was only asked for is no pass that is done, neither for what it costs
    nor for what may come before the next one.
    """
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def wait(device: torch.device) -> None:
    """Return when `device` has done all that was asked of it: for measurements only, a step never waits."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(device: torch.device) -> str:
    """The device's name, for what is printed beside numbers."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def describe_cuda() -> str | None:
    """torch's CUDA version and the GPU it sees, None without one."""
    if not torch.cuda.is_available():
        return None
    return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"


def memory_gib(device: torch.device) -> float | None:
    """All the memory that a GPU has; None for a CPU, whose memory is not counted here."""
    return torch.cuda.get_device_properties(device).total_memory / 2**30 if device.type == "cuda" else None


def peak_gib(device: torch.device) -> float | None:
    """The most memory of a GPU that was in use at once; None for a CPU, whose memory is not counted here."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
