"""The processes that run the model, one after another, and a spare one that stands by with the world open."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from loop.link.message import Beat, Died, Fault, Opened, Ping, WarmUp
from loop.supervise.supervisor import Process
from loop.timing.clock import Clock
from loop.timing.watchdog import NS, Phase, Watchdog, retry_delay_ns
from world.options import WorldOptions

log = logging.getLogger(__name__)
SPARE_AFTER_NS = 2 * NS  # of running: what a show needs first has the processor to itself
SPARE_AGAIN_NS = 30 * NS
SPARE_SILENT_NS = 5 * NS


class ModelLives:
    """Owned by the live model. launch(options) starts a process; spare: "auto", "on" or "off"; patience_s: with a
    process that opens or starts for the first time.

    is_fed: whether a process is there that was told to start, so that messages reach it.
    """

    def __init__(
        self,
        world: WorldOptions,
        launch: Callable[[WorldOptions], Process],
        spare: str,
        clock: Clock,
        patience_s: float,
    ) -> None:
        self.is_fed = False
        self._world, self._launch, self._clock = world, launch, clock
        self._wants_spare: bool | None = {"on": True, "off": False}.get(spare)
        self._process: Process | None = launch(world)
        self._spare: Process | None = None
        self._spare_messages: list[Any] = []  # what the spare has said so far
        self._pending: list[Any] = []  # what the process said while it was the spare
        self._spare_ns: int | None = None  # when to start one
        self._spare_beat_ns = 0  # the last Beat of the spare
        self._begin_ns = 0  # when to try the next process
        self._looked_ns = clock.now_ns()
        self._watchdog = Watchdog(clock.now_ns(), round(patience_s * NS))

    def send(self, message: Any) -> None:
        """Queue a message to the process, if there is one; returns at once."""
        if self._process:
            self._process.send(message)

    def start(self, message: Any) -> None:
        """Tell the process, which has opened the world, to start."""
        self.send(message)
        self.is_fed = True
        self._watchdog.begin(Phase.STARTING, self._clock.now_ns())

    def running(self, took_ns: int) -> None:
        """The process has made a block, which took so long."""
        now_ns = self._clock.now_ns()
        if self._watchdog.phase is not Phase.RUNNING:
            self._watchdog.begin(Phase.RUNNING, now_ns)
            self._spare_ns = now_ns + SPARE_AFTER_NS
        self._watchdog.note_block(took_ns)

    def receive(self) -> list[Any]:
        """What the process has said since the last call. `Died` is the last message of each.

        A process that hangs is killed, and has died: the Fault before it says so.
        """
        now_ns = self._clock.now_ns()
        if now_ns - self._looked_ns > NS:  # this process was stopped itself, by Ctrl+Z or a debugger
            self._watchdog.forgive(now_ns)
        self._looked_ns = now_ns
        self._tend_spare(now_ns)
        if self._process is None:
            if now_ns >= self._begin_ns:
                self._process = self._launch(self._world)
                self._watchdog.begin(Phase.OPENING, now_ns)
            return []
        messages, has_beaten = _without_beats(self._process.receive())
        messages, self._pending = [*self._pending, *messages], []
        if has_beaten:
            self._watchdog.beat(now_ns)
        if messages:
            self._watchdog.hear(now_ns)
        elif (silence_s := self._watchdog.silence_s(now_ns)) is not None:
            what = f"the model's process made no progress for {silence_s:.1f} s"
            messages += [Fault(what, usage=False), Died()]
        if self._watchdog.should_ask(now_ns):
            self._process.send(Ping())
        if self._wants_spare is None and (opened := next((m for m in messages if isinstance(m, Opened)), None)):
            self._wants_spare = opened.leaves_room
        return messages

    def replace(self, deaths: int) -> float:
        """The process has died or hangs: let the spare take its place, or a new one, which is tried again later.

        deaths: how often that has happened in a row. Returns the seconds until the next try.
        """
        now_ns = self._clock.now_ns()
        self.end()
        self._process, self._pending = self._spare, self._spare_messages
        self._spare, self._spare_messages, self._spare_ns = None, [], None
        if self._process:
            self._watchdog.begin(Phase.OPENING, now_ns)
            return 0.0
        delay_ns = retry_delay_ns(deaths)
        self._begin_ns = now_ns + delay_ns
        return delay_ns / NS

    def end(self) -> None:
        """Kill the process without waiting for it."""
        self.is_fed = False
        if self._process:
            self._process.kill()
            self._process = None

    def close(self) -> None:
        """End the process, which may finish its pass, and the spare one."""
        if self._spare:
            self._spare.kill()
            self._spare = None
        if self._process:
            self._process.close()
            self._process = None

    def _tend_spare(self, now_ns: int) -> None:
        """Start a spare when it is time, and listen to it; one that dies is tried again after a while."""
        if self._spare is None:
            if self._wants_spare and self._spare_ns is not None and now_ns >= self._spare_ns:
                self._spare, self._spare_beat_ns = self._launch(self._world), 0
            return
        messages, has_beaten = _without_beats(self._spare.receive())
        if any(isinstance(message, Died) for message in messages):
            log.warning("the spare model's process ended; another one is started in %d s", SPARE_AGAIN_NS // NS)
            self._spare.kill()
            self._spare, self._spare_messages, self._spare_ns = None, [], now_ns + SPARE_AGAIN_NS
            return
        if any(isinstance(message, Opened) for message in messages):
            self._spare.send(WarmUp())
        self._spare_messages += messages
        if has_beaten:
            self._spare_beat_ns = now_ns
        elif self._spare_beat_ns and now_ns - self._spare_beat_ns > SPARE_SILENT_NS:  # it hangs
            self._spare.kill()
            self._spare, self._spare_messages = None, []


def _without_beats(messages: Sequence[Any]) -> tuple[list[Any], bool]:
    """The other messages, and whether there was a Beat among them."""
    others = [message for message in messages if not isinstance(message, Beat)]
    return others, len(others) < len(messages)
