"""Worker and window on a made-up clock: real pacer, real costs, real lead; only the work itself is made up."""

from collections.abc import Callable
from dataclasses import dataclass, field

from loop.link.ring import FrameMark
from loop.timing.clock import TICK_NS
from loop.timing.costs import Costs
from loop.timing.pacer import Pacer, SustainableCost
from loop.timing.switch import lead_ns

MS = 1_000_000
FPS, FRAMES = 16, 4  # a block plays 250 ms


@dataclass
class Stage:
    """One show. cost_ms(block): up to the block's frames; its clean pass takes a quarter of that again.

    ages_ms: (second, age of each block's first frame); late: at which second a frame came after the first tick of its
    time; leads_ms: what each block was begun with.
    """

    cost_ms: Callable[[int], float]
    pacer: Pacer = field(default_factory=lambda: Pacer(FPS))
    costs: Costs = field(default_factory=Costs)
    ages_ms: list[tuple[float, float]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    leads_ms: list[float] = field(default_factory=list)
    shown: int = 0

    def play(self, seconds: float) -> "Stage":
        self._sustainable, self._was_late = SustainableCost(), False
        self._block = self._seen = self._free_ns = 0
        self._arriving, self._done = [], []
        for now in range(0, round(seconds * 1e9), TICK_NS):
            self._hear(now)
            self._look(now)
            self._work(now)
        return self

    def _work(self, now):
        """Begin the blocks whose moment lies before the next tick."""
        while (begin := self._begin_ns(now)) < now + TICK_NS:
            made = begin + round(self.cost_ms(self._block) * MS)
            self._free_ns = made + (made - begin) // 4
            self.costs.note_block(made - begin, self._free_ns - made)
            if self._block == 0:
                self.costs.note_recache(50 * MS)
            self._arriving.append((made, self._block))
            self._done.append((self._free_ns, self._free_ns - begin))
            self._block += 1

    def _begin_ns(self, now):
        schedule = self.pacer.schedule(self._seen)
        if schedule is None:
            return max(now, self._free_ns) if self._block < 3 else now + TICK_NS
        lead = lead_ns(self.costs.worst, "auto", FRAMES * schedule.period_ns)
        due = schedule.due_ns + (self._block * FRAMES - schedule.ordinal) * schedule.period_ns
        begin = max(now, self._free_ns, due - lead)
        if begin < now + TICK_NS:
            self.leads_ms.append(lead / MS)
        return begin

    def _hear(self, now):
        """What the window's process is told before it looks at its schedule."""
        while self._arriving and self._arriving[0][0] <= now:
            made, block = self._arriving.pop(0)
            self._was_late = self.pacer.ask_late()
            if self._was_late or block == 0:
                self.pacer.slow_down(round(self.cost_ms(block) * MS) * 5 // 4, FRAMES)
            for ordinal in range(block * FRAMES, (block + 1) * FRAMES):
                self.pacer.add(FrameMark(ordinal, ordinal, block, 0, made))
            self._seen += FRAMES
        while self._done and self._done[0][0] <= now:
            cost = self._done.pop(0)[1]
            self.pacer.set_cost(self._sustainable.note(cost, 0, self._was_late), FRAMES)

    def _look(self, now):
        if (tick := self.pacer.tick(now)).frame:
            self.shown += 1
            if tick.due_ns <= now - TICK_NS:
                self.late.append(now / 1e9)
            if tick.frame.ordinal % FRAMES == 0:
                self.ages_ms.append((now / 1e9, (now - tick.frame.written_ns) / MS))


def middle(values):
    """The median."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
