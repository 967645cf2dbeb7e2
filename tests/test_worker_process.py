"""The model's process: what it answers, how it ends, and the made-up device of the test card."""

import threading
from collections import deque

import pytest
import torch

from loop.link.message import Beat, Close, Died, Fault, Opened, Start, Started
from loop.supervise.supervisor import ModelProcess
from loop.timing.clock import MonotonicClock
from loop.worker.process import Machine, SerialDevice, serve
from loop.worker.window_link import WindowLink
from tests.shows import wait_until
from tests.simulation.process import Rings, _WorkersRing
from world.info import WorldError
from world.options import ProbeOptions, WorldOptions
from world.probe import ProbeWorld


class Scripted:
    """A pipe that gives these messages, and after them has lost its other end."""

    def __init__(self, *coming):
        self.coming, self.told = deque(coming), []

    def send(self, message):
        self.told.append(message)

    def poll(self, timeout=0.0):
        return True

    def recv(self):
        if not self.coming:
            raise EOFError
        return self.coming.popleft()


class Jumping:
    """A clock that is at once where it is waited for."""

    def __init__(self):
        self.t_ns, self.slept, self.spun = 10**9, 0, 0

    def now_ns(self):
        return self.t_ns

    def sleep_until(self, t_ns):
        self.t_ns, self.slept = max(self.t_ns, t_ns), self.slept + 1

    def spin_until(self, t_ns):
        self.t_ns, self.spun = max(self.t_ns, t_ns), self.spun + 1


def card():
    return ProbeWorld(ProbeOptions(), (16, 16), lambda seconds: None)


def served(pipe, opening=card):
    """Serve this pipe; how often the process's memory was frozen."""
    rings, frozen = Rings(), []
    rings.create(50, (16, 16))

    def attach(name, slots, picture):
        return _WorkersRing(rings.attach(name), slots, picture, lambda: None)

    machine = Machine(
        Jumping(), attach, lambda: frozen.append(True), lambda world: True, lambda link: None, "try --tiny"
    )
    serve(WindowLink(pipe), opening, machine)
    return len(frozen)


def test_it_says_that_it_is_open_and_that_it_has_started_and_ends_when_told_to():
    start = Start("ring 0", 50, (16, 16), seed=1, prompt="red", reserve=0, mode="auto", transition=1, epoch=0)
    pipe = Scripted(start, Close())
    assert served(pipe) == 1
    assert [type(message) for message in pipe.told] == [Opened, Started]
    assert pipe.told[0].info.name == "probe" and "numpy" in pipe.told[0].versions


def test_it_ends_when_it_is_closed_before_it_is_told_to_start():
    pipe = Scripted(Close())
    assert served(pipe) == 0 and [type(message) for message in pipe.told] == [Opened]


def test_it_ends_without_a_word_when_the_window_has_gone():
    pipe = Scripted()
    served(pipe)
    assert [type(message) for message in pipe.told] == [Opened]


def test_a_world_that_cannot_be_opened_as_asked_is_the_users_to_mend():
    def opening():
        raise WorldError("there is no such folder")

    pipe = Scripted()
    served(pipe, opening)
    assert pipe.told == [Fault("there is no such folder", usage=True)]


def test_any_other_error_is_reported_and_ends_the_process():
    def opening():
        raise RuntimeError("no such kernel")

    pipe = Scripted()
    with pytest.raises(RuntimeError):
        served(pipe, opening)
    assert pipe.told == [Fault("RuntimeError: no such kernel", usage=False)]


def test_memory_that_runs_out_while_opening_is_told_in_one_line_with_what_to_try():
    def opening():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")

    pipe = Scripted()
    served(pipe, opening)
    assert pipe.told == [Fault("out of memory: try --tiny", usage=True)]


def test_work_on_the_device_follows_on_without_a_gap_and_does_not_start_in_the_past():
    clock = Jumping()
    device = SerialDevice(False, clock)
    device.spend(0.5)
    clock.t_ns += 1_000_000  # a millisecond of overhead between two pieces of work is absorbed
    device.spend(0.5)
    assert clock.t_ns == 10**9 + 10**9
    clock.t_ns += 10**9
    device.spend(0.25)
    assert clock.t_ns == 10**9 + 10**9 + 10**9 + 250_000_000


def test_no_work_takes_no_time_and_a_busy_device_spins():
    clock = Jumping()
    SerialDevice(False, clock).spend(0.0)
    assert (clock.t_ns, clock.slept) == (10**9, 0)
    SerialDevice(True, clock).spend(0.1)
    assert (clock.slept, clock.spun) == (0, 1)


def test_the_systems_clock_waits_as_long_as_it_is_told_to():
    clock = MonotonicClock()
    end_ns = clock.now_ns() + 3_000_000
    clock.sleep_until(end_ns)
    assert clock.now_ns() >= end_ns
    clock.spin_until(end_ns + 100_000)
    assert clock.now_ns() >= end_ns + 100_000


def test_a_process_of_the_system_is_heard_and_its_end_is_told_once():
    process = ModelProcess(WorldOptions("probe", threads=1))
    heard = []

    def hears(kind):
        heard.extend(process.receive())
        return any(isinstance(message, kind) for message in heard)

    wait_until(lambda: hears(Opened), "the world to open")
    process.send(Close())
    wait_until(lambda: hears(Died), "the process to end")
    others = [type(message) for message in heard if not isinstance(message, Beat)]
    assert others == [Opened, Died] and len(others) < len(heard) and process.receive() == []
    process.close()
    wait_until(
        lambda: not any(t.name in ("model reader", "model writer") for t in threading.enumerate()), "its threads"
    )
