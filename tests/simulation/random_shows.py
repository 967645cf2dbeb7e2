"""Random shows: a seed becomes a plan.

`python -m tests.simulation.random_shows SEED` plays one and says what is wrong with it; so it does with the line that a
failed test prints instead of the seed.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, replace

from tests.simulation.invariants import complaints
from tests.simulation.process import Mishap
from tests.simulation.show import Plan, plan_of, play
from world.event import Dial, Event, Prompt, Scene

EVENTS_S = 3.0  # of a show, in which events come
EARLY_STEPS = 8  # of a life, in which it opens, is told to start, and starts
LATE_STEPS = 120
LATE_MS = 200.0
MOVING = 8  # blocks in which a dial gets from one end to the other, and a transition to its end


@dataclass(frozen=True)
class Allow:
    """What may happen in a random show.

    most_reserve: blocks. deaths, hangs: of the model's process. most_mishaps: in one show. events_beside_mishaps:
    events in a show in which the process dies. early_words: prompts typed before the first picture. late_to_model:
    messages to the model that are a fifth of a second late; those to the window always may be. cuts: blocks have
    several latent frames, between which they can be cut. completes: what words leave out stays.
    """

    most_reserve: int = 9
    deaths: bool = True
    hangs: bool = True
    most_mishaps: int = 5
    events_beside_mishaps: bool = True
    early_words: bool = True
    late_to_model: bool = True
    cuts: bool = False
    completes: bool = False


def random_plan(seed: int, allow: Allow) -> Plan:
    """The show of this seed."""
    chance = random.Random(seed)
    fps, frames = (
        chance.choice((12.0, 16.0, 24.0, 30.0)),
        chance.choice((6, 12, 12, 16) if allow.cuts else (1, 2, 4, 6)),
    )
    play_ms = frames / fps * 1e3
    block_ms = play_ms * (chance.uniform(0.05, 0.5) if chance.random() < 0.5 else chance.uniform(0.3, 1.2))
    recache_ms = block_ms * chance.uniform(0.0, 1.2)
    open_ms, start_ms = chance.uniform(20, 400), chance.choice((0, 0, 60, 200))
    reserve = min(chance.choice((0, 0, 0, 1, 1, 2, 3, 5, 9)), allow.most_reserve)
    mishaps = _mishaps(chance, allow)
    has_events = not mishaps or allow.events_beside_mishaps
    from_s = 0.0 if allow.early_words else (open_ms + start_ms + 2 * block_ms + recache_ms) / 1e3 + 0.2
    quiet_s = 0.8 + (reserve * play_ms + MOVING * max(play_ms, block_ms + recache_ms)) / 1e3
    plan = Plan(
        seed=seed,
        quiet_s=round(quiet_s, 3),
        fps=fps,
        frames=frames,
        latents=random.Random(-seed).choice([n for n in (2, 3, 4, 6) if frames % n == 0]) if allow.cuts else 0,
        block_ms=round(block_ms, 2),
        recache_ms=round(recache_ms, 2),
        open_ms=round(open_ms),
        start_ms=start_ms,
        reserve=reserve,
        mode=chance.choice(("auto", "auto", "leap", "snap", "inline", "overlap")),
        transition=chance.choice((1, 1, 1, 3)),
        script=_script(chance, EVENTS_S - from_s) if has_events else (),
        typed=_typed(chance, from_s, EVENTS_S) if has_events else (),
        keys=_keys(chance, from_s),
        mishaps=mishaps,
        to_model_ms=LATE_MS if allow.late_to_model else 0.0,
        to_window_ms=LATE_MS,
        spare=chance.choice(("off", "on")),
    )
    plan = _in_slots(plan) if allow.completes else plan
    return replace(plan, seconds=round(EVENTS_S + quiet_s + plan.mending_s, 3))


def _in_slots(plan: Plan) -> Plan:
    """The plan with words that fill one of three slots each."""
    chance = random.Random(plan.seed)

    def words(number: int) -> str:
        return f"{chance.choice('abc')}{number}"

    script = [
        (at_s, event if isinstance(event, Dial) else replace(event, text=words(number)))
        for number, (at_s, event) in enumerate(plan.script)
    ]
    typed = tuple((at_s, words(100 + number)) for number, (at_s, _) in enumerate(plan.typed))
    return replace(plan, script=tuple(script), typed=typed, completes=True)


def _script(chance: random.Random, until_s: float) -> tuple[tuple[float, Event], ...]:
    found: list[tuple[float, Event]] = []
    for number in range(chance.choice((0, 1, 2, 5, 12))):
        kind = chance.choice(("prompt", "prompt", "dial", "dial", "scene"))
        words = chance.choice((f"words {number}", f"words {number}", "the first words"))
        event: Event = Prompt(words) if kind == "prompt" else Scene(words)
        if kind == "dial":
            event = Dial("zoom", round(chance.uniform(-1, 1), 3))
        found.append((round(chance.uniform(0, until_s), 3), event))
    return tuple(sorted(found, key=lambda timed: timed[0]))


def _typed(chance: random.Random, from_s: float, until_s: float) -> tuple[tuple[float, str], ...]:
    count = chance.choice((0, 0, 1, 3))
    return tuple((round(chance.uniform(from_s, until_s), 3), f"typed {number}") for number in range(count))


def _keys(chance: random.Random, from_s: float) -> tuple[tuple[float, str], ...]:
    """Changes of the mode, and freezes and blackouts that end again."""
    found = [(round(chance.uniform(from_s, EVENTS_S), 3), "f2") for _ in range(chance.choice((0, 0, 1, 4)))]
    for key in ("space", "b"):
        if chance.random() < 0.3:
            begin_s = chance.uniform(from_s, EVENTS_S - 1)
            found += [(round(begin_s, 3), key), (round(begin_s + chance.uniform(0.02, 1.0), 3), key)]
    return tuple(sorted(found))


def _mishaps(chance: random.Random, allow: Allow) -> tuple[Mishap, ...]:
    kinds = ["death", "death", "broken pipe"] * allow.deaths + ["hang"] * allow.hangs
    if not kinds or chance.random() < 0.4:
        return ()
    count = chance.choice((1, 1, 1, 2, 2, 3, 4, 5))
    return tuple(
        Mishap(life, chance.choice(kinds), chance.randint(1, chance.choice((EARLY_STEPS, LATE_STEPS))))
        for life in range(min(count, allow.most_mishaps))
    )


def main(what: str) -> None:
    """Play the show of a seed, or of a line that was printed, and say what is wrong with it."""
    plan = plan_of(what) if what.startswith("{") else random_plan(int(what), Allow())
    print(plan)
    for complaint in complaints(play(plan)):
        print(complaint)


if __name__ == "__main__":
    main(sys.argv[1])
