"""Made-up time, and several threads that live on it: one runs at a time, always the one that wakes first."""

from __future__ import annotations

import threading
from collections.abc import Callable

NEVER = 1 << 62
START_NS = 1_000_000_000


class Killed(BaseException):
    """Raised in a task that was killed, where it waits."""


class Task:
    """A thread on made-up time. wake_ns: when it goes on. error: what it ended with."""

    def __init__(self, wake_ns: int) -> None:
        self.wake_ns = wake_ns
        self.is_killed = self.has_ended = False
        self.error: BaseException | None = None
        self.baton = threading.Lock()
        self.baton.acquire()


class VirtualTime:
    """A Clock (loop.timing.clock) and the tasks that share it.

    A task runs until it waits; then the time jumps to the next moment at which a task wakes, and that one runs. The
    first task is the thread that made the clock. Nothing depends on the real time or on the system's scheduler.
    """

    def __init__(self) -> None:
        self._now_ns = START_NS
        self._running = Task(START_NS)
        self._tasks = [self._running]

    def now_ns(self) -> int:
        return self._now_ns

    @property
    def running(self) -> Task:
        """The task that calls this."""
        return self._running

    def sleep_until(self, t_ns: int) -> None:
        """Wait until `t_ns`, or until the running task's `wake_ns` has been set to an earlier time by another one."""
        me = self._running
        if me.is_killed:
            raise Killed
        if t_ns > self._now_ns:
            me.wake_ns = t_ns
            self._run(self._first(), me)

    spin_until = sleep_until

    def take(self, ns: int) -> None:
        """Let the running task work for so long; the others do not notice."""
        self._now_ns += ns

    def start(self, body: Callable[[], None]) -> Task:
        """A new task, which runs `body` from the moment at which all others wait."""
        task = Task(self._now_ns)
        self._tasks.append(task)
        threading.Thread(target=self._live, args=(task, body), daemon=True).start()
        return task

    def kill(self, task: Task) -> None:
        """End another task where it waits, and return when it has ended."""
        if not task.has_ended:
            task.is_killed, task.wake_ns = True, self._now_ns - 1
            me, me.wake_ns = self._running, self._now_ns
            self._run(task, me)

    def _first(self) -> Task:
        return min(self._tasks, key=lambda task: task.wake_ns)

    def _run(self, task: Task, me: Task | None) -> None:
        """Let `task` run, and wait, if `me` is given, until it is that task's turn again."""
        self._now_ns = max(self._now_ns, task.wake_ns)
        if task is me:
            return
        self._running = task
        task.baton.release()
        if me:
            me.baton.acquire()
            if me.is_killed:
                raise Killed

    def _live(self, task: Task, body: Callable[[], None]) -> None:
        task.baton.acquire()
        try:
            if not task.is_killed:
                body()
        except Killed:
            pass
        except BaseException as error:
            task.error = error
        task.has_ended = True
        self._tasks.remove(task)
        self._run(self._first(), None)
