"""A GPU that is pretended: streams that run late and in any order, events, graphs, and memory that is used again.

What a host asks of the device lies in the queue of a stream until the device gets to it. How far which stream gets is
drawn by chance after each call; only a wait makes sure of anything. So what depends on work that nobody waited for
comes out wrong, for some seed, on any machine.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

PACES = (0, 1, 1, 8)  # of a stream, drawn anew now and then: it stands, goes on, or hurries
CHANGES = 0.02  # how often, after a call, they are
GARBAGE = 0xFF  # each byte of memory that nobody has written: NaN as a float, -1 as an integer

Work = Callable[[], object]


class Moment:
    """A place in the work of a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.is_past, self.at = stream, False, 0

    def happen(self) -> None:
        self.is_past, self.at = True, self.stream.device.done


class Stream:
    """As torch.cuda.Stream."""

    def __init__(self, device: PretendedDevice, *_: Any, priority: int = 0, **__: Any) -> None:
        self.device, self.priority = device, priority
        self.queue: deque[Work | Moment] = deque()  # a moment holds up what comes behind it
        self.pace, self.changes = 1, True
        device.streams.append(self)

    def put(self, work: Work | Moment) -> None:
        self.device.put(self, work)

    def mark(self) -> Moment:
        moment = Moment(self)
        self.put(moment.happen)
        return moment

    def record_event(self, event: Event | None = None) -> Event:
        event = event or Event(self.device)
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        if event.moment:
            self.put(event.moment)

    def wait_stream(self, other: Stream) -> None:
        self.put(other.mark())

    def synchronize(self) -> None:
        self.device.wait_for(self.mark())

    def query(self) -> bool:
        return not self.queue


class Event:
    """As torch.cuda.Event; the time between two is how many pieces of work were done."""

    def __init__(self, device: PretendedDevice, enable_timing: bool = False, **_: Any) -> None:
        self._device, self._is_timed = device, enable_timing
        self.moment: Moment | None = None

    def record(self, stream: Stream | None = None) -> None:
        self.moment = (stream or self._device.current).mark()

    def wait(self, stream: Stream | None = None) -> None:
        (stream or self._device.current).wait_event(self)

    def query(self) -> bool:
        return self.moment is None or self.moment.is_past

    def synchronize(self) -> None:
        if self.moment:
            self._device.wait_for(self.moment)

    def elapsed_time(self, end: Event) -> float:
        assert self._is_timed and end._is_timed and self.moment and end.moment
        return float(end.moment.at - self.moment.at)


class Memory:
    """Bytes of the device, which belong to a tensor for as long as it or a view of it is held.

    Afterwards others may write there as soon as `stream` comes to that place: as an allocator for each stream has it.
    """

    def __init__(self, size: int, stream: Stream, graph: Graph | None) -> None:
        self.stream, self.graph, self.is_free = stream, graph, False
        self._bytes = np.full(size, GARBAGE, np.uint8)

    def for_tensor(self) -> np.ndarray:
        """What a tensor holds; once it is gone, so is the tensor."""
        return self._bytes[:]

    def for_work(self) -> Tensor:
        """What work of the device reads and writes; it keeps nothing from being used again."""
        return torch.from_numpy(self._bytes)

    def spoil(self) -> None:
        """Somebody else writes here."""
        self._bytes.fill(GARBAGE)

    def free(self) -> None:
        """No tensor holds it any more."""
        self.is_free = True
        recording = self.stream.device.recording
        if self.graph is None:
            self.stream.queue.append(self.spoil)
        elif self.graph is recording:
            recording.work.append(self.spoil)


class Pool(list[Memory]):
    """The memory of graphs of which only one runs at a time."""


class Graph:
    """As torch.cuda.CUDAGraph."""

    def __init__(self, device: PretendedDevice) -> None:
        self._device, self.work, self.pool = device, list[Work](), Pool()
        self._left_alone: set[Memory] = set()

    def begin(self, pool: Pool | None) -> None:
        """Later captures may use all memory of the pool that nobody holds."""
        self.pool = self.pool if pool is None else pool
        self._left_alone = {memory for memory in self.pool if not memory.is_free}

    def replay(self) -> None:
        used = [m for m in self.pool if m.graph is not self and m not in self._left_alone]
        work = [*(memory.spoil for memory in used), *self.work]
        self._device.current.put(lambda: [piece() for piece in work])


class Caller(threading.local):
    """What torch keeps for each thread: its current stream, and the graph that it captures, if it does."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.recording: Graph | None = None


class PretendedDevice:
    """The device and what torch.cuda knows of it. seed: of how far its streams get."""

    def __init__(self, seed: int) -> None:
        self.streams: list[Stream] = []
        self.caller = Caller(Stream(self))
        self.done = 0  # pieces of work
        self.refuses_waits = False
        self._random = random.Random(seed)
        self._lock = threading.RLock()  # of the queues: threads call, and what nobody holds is freed anywhere

    @property
    def current(self) -> Stream:
        """The current stream of the calling thread."""
        return self.caller.stream

    @property
    def recording(self) -> Graph | None:
        """The graph that the calling thread captures."""
        return self.caller.recording

    def put(self, stream: Stream, work: Work | Moment) -> None:
        """Ask for a piece of work, which is done some time; or note it, while a graph is captured."""
        if self.recording is None:
            with self._lock:
                stream.queue.append(work)
                self._go_on()
        elif callable(work):
            self.recording.work.append(work)  # in the order of the calls, which satisfies every event

    def wait_for(self, moment: Moment) -> None:
        """What the host waits for; raises RuntimeError where it must not."""
        if self.recording:
            raise RuntimeError("operation not permitted when stream is capturing")
        if self.refuses_waits:
            raise RuntimeError("called a synchronizing CUDA operation")
        with self._lock:
            while not moment.is_past:
                self._step(self._first_held_up(moment))

    def synchronize(self, _: Any = None) -> None:
        for stream in list(self.streams):
            stream.synchronize()

    def allocate(self, size: int) -> Memory:
        """Memory for a tensor that is made on the current stream."""
        memory = Memory(size, self.current, self.recording)
        if self.recording:
            self.recording.pool.append(memory)
        return memory

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        """As torch.cuda.stream."""
        before, self.caller.stream = self.current, stream
        try:
            yield
        finally:
            self.caller.stream = before

    @contextmanager
    def capture(self, graph: Graph, pool: Pool | None = None, **_: Any) -> Iterator[None]:
        """As torch.cuda.graph."""
        self.synchronize()
        graph.begin(pool)
        with self.on(Stream(self)):
            self.caller.recording = graph
            try:
                yield
            finally:
                self.caller.recording = None

    def stand_still(self, stream: Stream) -> None:
        """Let a stream get on only where it is waited for."""
        stream.pace, stream.changes = 0, False

    def use(self, stream: Stream) -> None:
        """As torch.cuda.set_stream."""
        self.caller.stream = stream

    def set_sync_debug_mode(self, mode: str) -> None:
        self.refuses_waits = mode == "error"

    def _go_on(self) -> None:
        if self._random.random() < CHANGES:
            for stream in filter(lambda stream: stream.changes, self.streams):
                stream.pace = self._random.choice(PACES)
        for stream in self._random.sample(self.streams, len(self.streams)):
            for _ in range(self._random.randint(0, stream.pace)):
                self._step(stream)

    def _first_held_up(self, moment: Moment) -> Stream:
        """The stream that has to go on first, that this moment can come."""
        first = moment.stream.queue[0]
        return moment.stream if callable(first) or first.is_past else self._first_held_up(first)

    def _step(self, stream: Stream) -> None:
        """One piece of a stream's work, if there is one and nothing holds it up."""
        while stream.queue and isinstance(stream.queue[0], Moment) and stream.queue[0].is_past:
            stream.queue.popleft()
        if stream.queue and callable(work := stream.queue[0]):
            stream.queue.popleft()
            self.done += 1
            work()
