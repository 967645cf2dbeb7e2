"""The model's process on made-up time: the worker's real code in a task that can die or hang at any of its steps."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from loop.link.message import Close, Died
from loop.link.ring import FrameMark, FrameRing, ring_bytes
from loop.timing.clock import Clock
from loop.worker.process import Machine, serve
from loop.worker.window_link import WindowLink
from tests.simulation.virtual_time import NEVER, START_NS, Killed, Task, VirtualTime
from world.block import World

PATIENCE_NS = 1_000_000_000  # as ModelProcess.close waits
MS = 1_000_000


@dataclass(frozen=True)
class Mishap:
    """What happens to a life of the model's process before its step number `step`, or the first at `at_s` or later.

    life: 0 is the first process. kind: "death", "hang" (it makes no step any more), "out of memory" (this step
    finds none), or "broken pipe" (it goes on, but neither end hears the other). at_s: in seconds after the start of
    the show.
    """

    life: int
    kind: str
    step: int = 0
    at_s: float = 1e6

    def is_due(self, step: int, now_ns: int) -> bool:
        """Whether it happens before this step."""
        return step == self.step or now_ns >= START_NS + self.at_s * 1e9


@dataclass(frozen=True)
class Delay:
    """How late messages are: mostly a fraction of a millisecond, one in fifty up to so many milliseconds.

    The threads at the pipe in the window's process are starved now and then on a busy machine.
    """

    chance: random.Random
    to_model_ms: float
    to_window_ms: float

    def arrival_ns(self, sent_ns: int, queue: deque[tuple[int, Any]], longest_ms: float) -> int:
        """When a message that is sent now arrives behind those in the queue."""
        most_ms = longest_ms if self.chance.random() < 0.02 else self.chance.choice((0.0, 0.0, 1.0))
        due_ns = sent_ns + round(self.chance.random() * most_ms * MS)
        return max(due_ns, queue[-1][0] if queue else 0)


class PlainMemory:
    """Memory for a ring that both ends reach. is_named: a crash would leave it behind."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.buf, self.is_named = name, memoryview(bytearray(size)), True

    def unlink(self) -> None:
        assert self.is_named, "a ring's name was removed twice"
        self.is_named = False

    def close(self) -> None:
        """The reader's or the writer's mapping is dropped."""


class _ReadersRing(FrameRing):
    """The window's end of the ring. unmap(): called when it is closed."""

    def __init__(self, memory: PlainMemory, slots: int, picture: tuple[int, int], unmap: Callable[[], None]) -> None:
        super().__init__(memory, slots, picture)
        self._unmap = unmap

    def close(self) -> None:
        self._unmap()
        super().close()


class Rings:
    """The shared memory of a simulated machine."""

    def __init__(self) -> None:
        self._memories: dict[str, PlainMemory] = {}
        self._mapped = self.most_at_once = 0  # rings that the window's process has mapped, now and at most

    def create(self, slots: int, picture: tuple[int, int]) -> FrameRing:
        name = f"ring {len(self._memories)}"
        self._memories[name] = PlainMemory(name, ring_bytes(slots, picture))
        self._mapped += 1
        self.most_at_once = max(self.most_at_once, self._mapped)
        return _ReadersRing(self._memories[name], slots, picture, self._unmap)

    def _unmap(self) -> None:
        self._mapped -= 1

    def attach(self, name: str) -> PlainMemory:
        assert self._memories[name].is_named, f"{name} has no name any more"
        return self._memories[name]

    def named(self) -> list[str]:
        """The rings whose names a crash would leave behind."""
        return [name for name, memory in self._memories.items() if memory.is_named]


class SimulatedProcess:
    """A Process (loop.supervise.supervisor) whose worker runs as a task, on the Clock that this is to it.

    steps: how often the worker has waited, sent, read or published. mishap_ns: when its mishap happened, if it did.
    """

    def __init__(
        self,
        time: VirtualTime,
        rings: Rings,
        opening: Callable[[Clock], World],
        mishap: Mishap | None,
        delay: Delay,
    ) -> None:
        self._time, self._rings, self._mishap, self._delay = time, rings, mishap, delay
        self.steps = 0
        self.is_closed = False
        self.mishap_ns: int | None = None
        self._to_worker: deque[tuple[int, Any]] = deque()
        self._to_window: deque[tuple[int, Any]] = deque()
        self._is_broken = self._has_told_death = False
        self._wakes_at_messages = False
        self._joining: Task | None = None
        self.task = time.start(lambda: self._work(opening))

    def send(self, message: Any) -> None:
        if self._is_broken or self.task.has_ended:
            return
        due_ns = self._delay.arrival_ns(self._time.now_ns(), self._to_worker, self._delay.to_model_ms)
        self._to_worker.append((due_ns, message))
        if self._wakes_at_messages:
            self.task.wake_ns = min(self.task.wake_ns, due_ns)

    def receive(self) -> list[Any]:
        found = []
        while self._to_window and self._to_window[0][0] <= self._time.now_ns():
            found.append(self._to_window.popleft()[1])
        if not self._to_window and (self.task.has_ended or self._is_broken) and not self._has_told_death:
            self._has_told_death = True
            found.append(Died())
        return found

    def close(self) -> None:
        assert not self.is_closed, "a process was closed twice"
        self.send(Close())
        if not self.task.has_ended:
            self._joining = self._time.running
            self._time.sleep_until(self._time.now_ns() + PATIENCE_NS)
            self._joining = None
        self.kill()

    def kill(self) -> None:
        assert not self.is_closed, "a process was ended twice"
        self._time.kill(self.task)
        self.is_closed = True

    def now_ns(self) -> int:
        return self._time.now_ns()

    def sleep_until(self, t_ns: int) -> None:
        self._step()
        self._time.sleep_until(t_ns)

    spin_until = sleep_until

    def attach(self, name: str, slots: int, picture: tuple[int, int]) -> FrameRing:
        self._step()
        return _WorkersRing(self._rings.attach(name), slots, picture, self._step)

    def _work(self, opening: Callable[[Clock], World]) -> None:
        try:
            nothing: dict[str, Any] = {"freeze": lambda: None, "leaves_room": lambda world: False}
            nothing |= {"beat": lambda link: None, "memory_advice": "try --tiny"}
            serve(WindowLink(_WorkersPipe(self)), lambda: opening(self), Machine(self, self.attach, **nothing))
        finally:
            if self._joining:
                self._joining.wake_ns = min(self._joining.wake_ns, self._time.now_ns())

    def _step(self) -> None:
        """Count a step, and meet the mishap where it is due."""
        self.steps += 1
        if self._mishap is None or self.mishap_ns is not None or not self._mishap.is_due(self.steps, self.now_ns()):
            return
        self.mishap_ns = self.now_ns()
        if self._mishap.kind == "death":
            raise Killed
        if self._mishap.kind == "out of memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")
        if self._mishap.kind == "hang":
            self._wakes_at_messages = False
            self._time.sleep_until(NEVER)
        self._is_broken = True

    def worker_sends(self, message: Any) -> None:
        self._step()
        if self._is_broken:
            raise BrokenPipeError
        due_ns = self._delay.arrival_ns(self._time.now_ns(), self._to_window, self._delay.to_window_ms)
        self._to_window.append((due_ns, message))

    def worker_polls(self, timeout_s: float) -> bool:
        self._step()
        end_ns = self._time.now_ns() + min(round(timeout_s * 1e9), NEVER)
        while not self._is_broken:
            first_ns = self._to_worker[0][0] if self._to_worker else NEVER
            if first_ns <= self._time.now_ns():
                return True
            if self._time.now_ns() >= end_ns:
                return False
            self._wakes_at_messages = True
            self._time.sleep_until(min(end_ns, first_ns))
            self._wakes_at_messages = False
        return True

    def worker_receives(self) -> Any:
        self.worker_polls(1e6)
        if self._is_broken:
            raise EOFError
        return self._to_worker.popleft()[1]


class _WorkersPipe:
    """The worker's end of the pipe."""

    def __init__(self, process: SimulatedProcess) -> None:
        self.send, self.recv = process.worker_sends, process.worker_receives
        self._poll = process.worker_polls

    def poll(self, timeout: float = 0.0) -> bool:
        return self._poll(timeout)


class _WorkersRing(FrameRing):
    """The worker's end of the ring: to publish a frame is a step."""

    def __init__(self, memory: PlainMemory, slots: int, picture: tuple[int, int], step: Callable[[], None]) -> None:
        super().__init__(memory, slots, picture)
        self._step = step

    def publish(self, mark: FrameMark) -> None:
        self._step()
        super().publish(mark)
