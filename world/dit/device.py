"""The one door to CUDA: which device a world runs on, its streams, and its memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from world.info import WorldError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def resolve(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" stands for here; raises WorldError for "cuda" without a GPU."""
    if name not in ("auto", "cpu", "cuda"):
        raise WorldError(f"device {name!r}: expected auto, cpu or cuda")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise WorldError("device cuda: torch sees no GPU here; use --device cpu, or install torch's CUDA build")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def working_dtype(device: torch.device, asked: str | None = None) -> torch.dtype:
    """The dtype of a large world's weights and activations; raises WorldError when `asked` is none that it can have.

    Without `asked`: bfloat16 on a GPU, and float32 on a CPU, since not every CPU computes in bfloat16.
    """
    if asked not in (None, "float32", "bfloat16"):
        raise WorldError(f"dtype {asked!r}: expected float32 or bfloat16")
    if asked:
        return torch.float32 if asked == "float32" else torch.bfloat16
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads, in the whole process. For the owner of the process to call."""
    torch.set_num_threads(count)


def keep_freed_memory() -> None:
    """Let the whole process keep what it frees, for the next block; where the C library is not glibc, nothing changes.

    Otherwise freed memory goes back to the system at each block and comes again page by page, zeroed: 980 page faults a
    block of `tale`, a seventh of its decoder's time. For the owner of the process to call, once all is loaded.
    """
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    adjust(M_MMAP_THRESHOLD, 32 << 20)  # the most that glibc takes; what is larger is still given back
    adjust(M_TRIM_THRESHOLD, 1 << 30)


def use_gpu(number: int, count: int) -> None:
    """Let "cuda" mean GPU `number` in the calling thread, one of `count`; raises WorldError if there are fewer.

    For the owner of the process to call.
    """
    found = torch.cuda.device_count()
    if found < count:
        raise WorldError(f"{count} ranks need a GPU each, and torch sees {found} here: use --ranks {max(1, found)}")
    torch.cuda.set_device(number)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy `tensor` from the CPU to `device` without stalling the stream: a GPU reads it from pinned memory."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def download(tensor: Tensor) -> Tensor:
    """Begin to copy `tensor` to the CPU; from a GPU into pinned memory, behind the work that this thread has begun.

    Only after a `fence` made from now on may the copy be read.
    """
    if tensor.device.type != "cuda":
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


def fence(device: torch.device) -> Callable[[], None]:
    """A function that waits until `device` has done all work that this thread has begun before the call of `fence`."""
    if device.type != "cuda":
        return lambda: None
    return torch.cuda.current_stream(device).record_event().synchronize


class SideStream:
    """Side work, which runs beside the other work of a device: on a GPU on a CUDA stream of its own, of low priority.

    Until `join`, nobody else may write or free what the side work reads or writes: memory that is freed is used again
    by the stream that it was made on. On a CPU side work is done at once, in the order of the calls, and there is
    nothing to wait for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device, priority=0) if device.type == "cuda" else None
        self._done: torch.cuda.Event | None = None

    @contextmanager
    def beside(self) -> Iterator[None]:
        """What begins in this context is side work: it starts after all earlier work, and only `join` waits for it."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield
            self._done = self._stream.record_event()

    def join(self) -> None:
        """Let all work that is begun from now on start after the side work. The caller itself does not wait."""
        if self._done is not None:
            torch.cuda.current_stream(self._device).wait_event(self._done)

    @property
    def is_busy(self) -> bool:
        """Whether side work is unfinished."""
        return self._done is not None and not self._done.query()


Replay = Callable[[], Any]


def capture(function: Callable[[], Any], pool: Any = None) -> Replay:
    """A function without arguments as one CUDA graph: each call does its work again on the same memory.

    function: must wait for nothing. It is run twice first, since a graph holds no first calls, which compile, choose
    and allocate. Its tensors are returned as they are, and written again by the next call.
    pool: memory that several graphs share, so that only one of them runs at a time, as `graph_pool` gives it.
    Raises RuntimeError if the function cannot be captured.
    """
    aside, current = torch.cuda.Stream(), torch.cuda.current_stream()
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        function(), function()
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # other threads may go on using the GPU meanwhile
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        outputs = function()

    def replay() -> Any:
        graph.replay()
        return outputs

    return replay


def graph_pool(device: torch.device) -> Any:
    """Memory for graphs of which only one runs at a time; None on a CPU."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


class CapturedCall:
    """A function of tensors as one CUDA graph: called with tensors of the same shapes, it gives new tensors each time.

    function: must do the same work in every call, and wait for nothing. inputs: examples of what it is called with.
    One thread may use it, on one stream at a time. Raises RuntimeError if the function cannot be captured.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        self._replay = capture(lambda: function(*self._inputs))

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the function gives for `inputs`, in memory of its own."""
        torch._foreach_copy_(self._inputs, list(inputs))
        made = list(self._replay())
        outputs = [torch.empty_like(tensor) for tensor in made]
        torch._foreach_copy_(outputs, made)
        return tuple(outputs)


def take_precedence(device: torch.device) -> None:
    """Put the calling thread's work on a GPU before that of every `SideStream`: on a CUDA stream of higher priority.

    It stays the current stream of the thread. For the owner of the thread to call.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # weights were loaded on the stream that is left now
        torch.cuda.set_stream(torch.cuda.Stream(device, priority=-1))


def finish(device: torch.device) -> None:
    """Wait until `device` has done all work that this thread has begun. Side work goes on.

    Called between passes, never within one: what a pass costs can be measured only when it is really done, and until
    then nothing more is begun that an event would have to wait for.
    """
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def wait(device: torch.device) -> None:
    """Wait until `device` has done all its work, on every stream. For measurements only: a step never does this."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def gpu_ms(run: Callable[[], object]) -> float:
    """Milliseconds that a GPU takes for the work of a call. It waits for it: for measurements only."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def describe(device: torch.device) -> str:
    """The device's name, to be printed beside measured numbers."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def describe_cuda() -> str | None:
    """torch's CUDA version and the name of its GPU; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"


def free_gib(device: torch.device) -> float | None:
    """How much of a GPU's memory is free, other processes considered; None for a CPU."""
    return torch.cuda.mem_get_info(device)[0] / 2**30 if device.type == "cuda" else None


def fp8_is_fast(device: torch.device) -> bool:
    """Whether the device is a GPU that multiplies FP8 on its tensor cores."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)


def leaves_half(device: torch.device) -> bool:
    """Whether a GPU's free memory is a tenth more than the most that this process has taken of it."""
    free, _ = torch.cuda.mem_get_info(device)
    return free > 1.1 * torch.cuda.max_memory_reserved(device)


def forget_peak(device: torch.device) -> None:
    """Give a GPU's unused memory back to it, and let `peak_gib` count anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float | None:
    """The most GPU memory that tensors of this process took at any one time; None for a CPU."""
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
