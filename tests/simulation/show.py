"""One simulated show: what happens in it, and everything that can be seen of it afterwards."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from input.gesture import Closed, KeyDown, KeyUp, Text
from input.script import Script
from loop.archive.opening import open_log
from loop.archive.writer import SessionWriter
from loop.controls import ShowControls
from loop.engine import Engine, Parts
from loop.output.outputs import Outputs
from loop.output.trace import Trace
from loop.stage.stage import OnStage
from loop.supervise.live_model import LiveModel
from loop.supervise.model import GoingOn, StreamOptions
from loop.timing.clock import Clock
from loop.timing.watchdog import retry_delay_ns
from loop.worker.process import SerialDevice
from tests.simulation.card import CardWorld, Story, read_card
from tests.simulation.process import Delay, Mishap, Rings, SimulatedProcess
from tests.simulation.virtual_time import START_NS, VirtualTime
from world.event import Event, from_json, to_json
from world.options import ProbeOptions, WorldOptions

FLIP_NS = 1_000  # a flip takes a moment, so that no two end at the same time


HANG_S = 10.0  # a hang of a process that opens or starts is noticed after so long, if such a step was never measured


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a show goes.

    latents: of a block that can be cut between them; 0: it stays whole. open_ms, start_ms: what it costs to open the
    world, and to begin a session. script: events, in seconds after the first flip. typed: prompts, in seconds after the
    start. keys: keys pressed, in seconds after the start, as in "b", "shift+f5", and "^b" for a key that is released.
    mishaps: of the model's process. to_model_ms, to_window_ms: how late the latest messages are. quiet_s: of the end,
    in which nothing is asked for any more, so that everything has time to be seen. completes: words are like `a3 b1`,
    slots and their values, and what they leave out stays.
    """

    seed: int = 0
    seconds: float = 10.0
    quiet_s: float = 3.0
    fps: float = 16.0
    frames: int = 4
    latents: int = 0
    block_ms: float = 100.0
    recache_ms: float = 60.0
    open_ms: float = 150.0
    start_ms: float = 0.0
    reserve: int = 0
    mode: str = "auto"
    transition: int = 1
    memory: str = "named"
    brakes: bool = False
    spare: str = "off"
    script: tuple[tuple[float, Event], ...] = ()
    typed: tuple[tuple[float, str], ...] = ()
    keys: tuple[tuple[float, str], ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    to_model_ms: float = 0.0
    to_window_ms: float = 0.0
    completes: bool = False

    @property
    def mending_s(self) -> float:
        """The longest that all mishaps together can take until new frames are shown: notices, waits, restarts."""
        begin_s = (self.open_ms + self.start_ms + 6 * (self.block_ms + self.recache_ms)) / 1e3
        waits_s = [retry_delay_ns(number + 1) / 1e9 for number in range(len(self.mishaps))]
        noticed_s = [max(HANG_S, 6 * begin_s) if mishap.kind == "hang" else 0.0 for mishap in self.mishaps]
        return sum(waits_s) + sum(noticed_s) + len(self.mishaps) * (1 + begin_s)

    def to_line(self) -> str:
        """One line that `plan_of` reads back."""
        fields = asdict(self)
        fields["script"] = [[at, to_json(event)] for at, event in self.script]
        fields["mishaps"] = [list(asdict(mishap).values()) for mishap in self.mishaps]
        return json.dumps(fields)


def plan_of(line: str) -> Plan:
    """The plan that `Plan.to_line` wrote."""
    fields = json.loads(line)
    fields["script"] = tuple((at, from_json(event)) for at, event in fields["script"])
    fields["mishaps"] = tuple(Mishap(*mishap) for mishap in fields["mishaps"])
    for name in ("typed", "keys"):
        fields[name] = tuple(map(tuple, fields[name]))
    return Plan(**fields)


class Lines(Trace):
    """A trace that stays in memory."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[dict[str, Any]] = []

    def put(self, kind: str, **fields: Any) -> None:
        self.lines.append({"kind": kind, **fields})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]


class SimulatedScreen:
    """A screen that nobody sees; keys are pressed on it at their times. cards: (time, frame number, prompts) shown."""

    size = (320, 180)

    def __init__(self, clock: VirtualTime, gestures: Sequence[tuple[int, Any]]) -> None:
        self._clock = clock
        self._gestures = sorted(gestures, key=lambda gesture: gesture[0])
        self.cards: list[tuple[int, int, int]] = []
        self.blackouts: list[tuple[int, bool]] = []  # (time, whether black was shown), at each change

    def poll(self) -> list[tuple[Any, int]]:
        found = []
        while self._gestures and self._gestures[0][0] <= self._clock.now_ns():
            t_ns, gesture = self._gestures.pop(0)
            found.append((gesture, t_ns))
        return found

    def wait(self, timeout_s: float) -> None:
        self._clock.sleep_until(self._clock.now_ns() + round(timeout_s * 1e9))

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Any], blackout: bool = False) -> int:
        self._clock.take(FLIP_NS)
        if not self.blackouts or self.blackouts[-1][1] != blackout:
            self.blackouts.append((self._clock.now_ns(), blackout))
        if pixels is not None:
            self.cards.append((self._clock.now_ns(), *read_card(pixels)))
        return self._clock.now_ns()

    def close(self) -> None:
        """There is nothing to give back."""


@dataclass
class Show:
    """What was seen of a show that has ended.

    trace: its lines. lives: the model's processes. story: the blocks that they made. ended_ns: when the engine stopped.
    """

    plan: Plan
    trace: Lines
    screen: SimulatedScreen
    engine: Engine
    model: LiveModel
    rings: Rings
    story: Story
    lives: list[SimulatedProcess] = field(default_factory=list)
    ended_ns: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether the last mishap came early enough for everything to be seen after it."""
        last_ns = max((life.mishap_ns or 0 for life in self.lives), default=0)
        return self.ended_ns - last_ns >= (self.plan.quiet_s + self.plan.mending_s) * 1e9


def play(
    plan: Plan,
    wait_s: float = 1.0,
    folder: Path | None = None,
    on_stage: Callable[[LiveModel], OnStage] = OnStage.empty,
    going_on: GoingOn | None = None,
) -> Show:
    """Play a show to its end. wait_s: the longest wait between two looks at the keys. folder: save it there.

    on_stage(model): what stands on the stage. going_on: where an earlier show was.
    """
    clock, rings, story, lives = VirtualTime(), Rings(), Story(), []
    probe = ProbeOptions(plan.fps, plan.frames, plan.block_ms, plan.recache_ms, latents=plan.latents)
    mishaps = {mishap.life: mishap for mishap in plan.mishaps}

    def opening(process_clock: Clock) -> CardWorld:
        process_clock.sleep_until(process_clock.now_ns() + round(plan.open_ms * 1e6))
        spend = SerialDevice(False, process_clock).spend
        return CardWorld(probe, plan.start_ms, spend, story, process_clock.now_ns, plan.completes)

    def launch(options: WorldOptions) -> SimulatedProcess:
        delay = Delay(random.Random(f"{plan.seed} {len(lives)}"), plan.to_model_ms, plan.to_window_ms)
        lives.append(SimulatedProcess(clock, rings, opening, mishaps.get(len(lives)), delay))
        return lives[-1]

    world = WorldOptions("probe", probe=probe)
    options = StreamOptions(
        world,
        plan.seed,
        "the first words",
        plan.reserve,
        plan.mode,
        plan.transition,
        plan.spare,
        going_on,
        memory=plan.memory,
        brakes=plan.brakes,
    )
    model = LiveModel(options, launch, clock, rings.create, patience_s=HANG_S)
    screen, trace = SimulatedScreen(clock, gestures_of(plan)), Lines()
    controls = ShowControls(screen, Script(plan.script), model, stage=on_stage(model))
    archive = SessionWriter(open_log(folder), lambda: clock.now_ns() / 1e9) if folder else None
    outputs = Outputs(trace, None, clock.now_ns, archive)
    engine = Engine(Parts(screen, model, controls, outputs, lambda engine: (), clock), None, wait_s)
    show = Show(plan, trace, screen, engine, model, rings, story, lives)
    _run(show, clock.now_ns)
    return show


def gestures_of(plan: Plan) -> list[tuple[int, Any]]:
    """The keys that are pressed in a show, with their times; the last one ends it."""
    pressed = [(at_s, gesture_of(key)) for at_s, key in plan.keys]
    for at_s, text in plan.typed:
        pressed += [(at_s, KeyDown("enter")), (at_s, Text(text)), (at_s, KeyDown("enter"))]
    return [(START_NS + round(at_s * 1e9), gesture) for at_s, gesture in (*pressed, (plan.seconds, Closed()))]


def gesture_of(key: str) -> Any:
    """What a key of a plan stands for."""
    if key.startswith("^"):
        return KeyUp(key[1:])
    *mods, name = key.split("+")
    return KeyDown(name, frozenset(mods))


def _run(show: Show, now_ns: Callable[[], int]) -> None:
    try:
        show.engine.run()
        show.ended_ns = now_ns()
    finally:
        show.model.close()
        if show.engine.out.archive:
            show.engine.out.archive.close()
