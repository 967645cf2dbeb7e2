"""What must be true of every show. Each check gives its complaints, in words; none means that all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise

from loop.timing.clock import TICK_HZ
from tests.simulation.card import complete
from tests.simulation.show import Show
from tests.simulation.virtual_time import START_NS
from world.event import Dial, Prompt, Scene

ENDS = ("flip", "replaced", "lost")
NEAR_NS = 20_000  # the trace rounds the rate, so a due time computed from it is this far off at most


def complaints(show: Show, but: Collection[str] = ()) -> list[str]:
    """Everything that is wrong with a show, each with the name of the check that found it. but: checks to leave out."""
    checks = [check for check in CHECKS if check.__name__ not in but]
    return [f"{check.__name__}: {what}" for check in checks for what in check(show)]


def every_event_ends_once(show: Show) -> Iterator[str]:
    """A submitted event ends in exactly one of flip, replaced by a later one, or lost with a reason."""
    stages: dict[int, list[dict]] = {}
    for line in show.trace.of("stage"):
        stages.setdefault(line["id"], []).append(line)
    events = {line["id"]: line["event"] for line in show.trace.of("event")}
    for number, event in events.items():
        ends = [line["stage"] for line in stages.get(number, []) if line["stage"] in ENDS]
        if len(ends) > 1 or (not ends and show.is_settled):
            yield f"event {number} {event} ended in {ends}"
        is_words = event["type"] != "dial"
        rivals = [n for n, other in events.items() if n > number and (other["type"] != "dial") == is_words]
        if ends == ["replaced"] and not rivals:
            yield f"event {number} {event} is said to be replaced, and nothing came after it"


def new_frames_are_shown(show: Show) -> Iterator[str]:
    """No picture stands longer than a restart, or the notice of a hang and a restart, takes; frozen ones excepted."""
    plan = show.plan
    block_s = (plan.block_ms + plan.recache_ms) / 1e3 * 2 + (plan.open_ms + plan.start_ms) / 1e3
    limit_s = 0.5 + block_s + plan.mending_s
    early = [at_s for at_s, key in plan.keys if key == "space"]
    last_ns, frame = START_NS + round(max(early, default=0.0) * 1e9 if _is_frozen_at_first(show) else 0), None
    for line in (*show.trace.of("flip"), {"t_ns": show.ended_ns, "frame": -1}):
        if line.get("held") == "freeze":
            last_ns = line["t_ns"]
        elif line["frame"] != frame:
            if line["t_ns"] - last_ns > limit_s * 1e9:
                stood_s, since_s = (line["t_ns"] - last_ns) / 1e9, (last_ns - START_NS) / 1e9
                yield f"frame {frame} stood for {stood_s:.1f} s from {since_s:.1f} s on; {limit_s:.1f} s are the limit"
            last_ns, frame = line["t_ns"], line["frame"]


def the_show_goes_on(show: Show) -> Iterator[str]:
    """A show lasts until its user ends it."""
    if show.ended_ns < START_NS + show.plan.seconds * 1e9 - 1e8:
        yield f"it ended after {(show.ended_ns - START_NS) / 1e9:.1f} s of {show.plan.seconds:g}: {show.model.fault}"


def the_model_does_not_die_by_itself(show: Show) -> Iterator[str]:
    """No life of the model ends in an error."""
    for number, life in enumerate(show.lives):
        if life.task.error is not None:
            yield f"life {number}: {life.task.error!r}"


def repeats_are_counted(show: Show) -> Iterator[str]:
    """A tick is a repeat exactly if a newer frame was due at it, by the times at which frames were shown before it."""
    flips, wrong = show.trace.of("flip"), []
    due_ns: float | None = None
    is_missed = False  # a frame is missing since a tick before, a freeze since then or not
    for before, line in pairwise([{"frame": None, "tick": 0, "repeat": False}, *flips]):
        is_missed = before["repeat"] or (is_missed and before.get("held") == "freeze")
        tick_ns = START_NS + line["tick"] * 1e9 / TICK_HZ
        past_ns = 0.0 if due_ns is None else START_NS + before["tick"] * 1e9 / TICK_HZ - due_ns
        was_missed = is_missed if abs(past_ns) <= NEAR_NS else past_ns > 0
        is_repeat = False
        if line.get("held") == "freeze":
            due_ns = due_ns and due_ns + (line["tick"] - before["tick"]) * 1e9 / TICK_HZ
        elif line["frame"] != before["frame"]:
            base_ns = tick_ns if due_ns is None or was_missed else line["due_ns"]
            due_ns = base_ns + 1e9 / show.plan.fps / line["rate"]
        else:
            is_repeat = due_ns is not None and tick_ns >= due_ns
        if is_repeat != line["repeat"] and (due_ns is None or abs(tick_ns - due_ns) > NEAR_NS):
            wrong.append(line["tick"])
    counted = sum(line["repeat"] for line in flips)
    if wrong:
        yield f"{counted} repeats were counted; at {len(wrong)} ticks wrongly, from tick {wrong[0]} to {wrong[-1]}"
    if counted != show.engine.repeats:
        yield f"the trace has {counted} repeats, the verdict {show.engine.repeats}"


def frames_stay_in_order(show: Show) -> Iterator[str]:
    """No block is made twice, no older frame is shown after a newer one, and the trace names what is shown."""
    twice = [block for block, count in Counter(line["block"] for line in show.trace.of("block")).items() if count > 1]
    if twice:
        yield f"blocks {twice} were made twice"
    shown = [b for a, b in pairwise([{"frame": None}, *show.trace.of("flip")]) if a["frame"] != b["frame"]]
    for before, after in pairwise(shown):
        if after["frame"] < before["frame"] and after["block"] > 0:
            yield f"frame {after['frame']} was shown after {before['frame']}"
    cards = {t_ns: number for t_ns, number, _ in show.screen.cards}
    for line in shown:
        if cards.get(line["t_ns"]) != line["frame"] % 65536:
            yield f"frame {line['frame']} was written down while {cards.get(line['t_ns'])} was shown"


def the_first_block_is_shown_once(show: Show) -> Iterator[str]:
    """A process that dies in the midst of the first block is no reason to use its numbers again."""
    if any(b["block"] == 0 and a["frame"] > b["frame"] for a, b in pairwise(show.trace.of("flip"))):
        yield "frames of block 0 were shown again"


def dropped_frames_are_not_shown(show: Show) -> Iterator[str]:
    """What was taken back is not shown afterwards."""
    forgotten = {card.block.index: card.forgotten_ns for card in show.story.cards if card.forgotten_ns is not None}
    for before, line in pairwise([{"frame": None}, *show.trace.of("flip")]):
        if before["frame"] != line["frame"] and forgotten.get(line["block"], line["t_ns"]) < line["t_ns"]:
            yield f"frame {line['frame']} of block {line['block']} was shown after that was taken back"


def what_was_cut_away_is_not_shown(show: Show) -> Iterator[str]:
    """Of a block that was cut nothing is shown afterwards but what is left of it, and all of that."""
    each = show.plan.frames // (show.plan.latents or show.plan.frames)
    cuts = {card.block.index: card for card in show.story.cards if card.latents is not None}
    for before, line in pairwise([{"frame": None}, *show.trace.of("flip")]):
        card = cuts.get(line["block"])
        latent = (line["frame"] - line["block"] * show.plan.frames) // each
        if card and before["frame"] != line["frame"] and latent >= card.latents and line["t_ns"] > card.cut_ns:
            yield f"frame {line['frame']} was shown after block {line['block']} was cut to {card.latents} latent frames"


def a_block_goes_on_where_its_parent_was_cut(show: Show) -> Iterator[str]:
    """A block begins where its parent ends; within it only by a recache, and then what was shown ends there too."""
    blocks = {card.block.index: card.block for card in show.story.cards}
    each = show.plan.frames // (show.plan.latents or show.plan.frames)
    shown: dict[int, int] = {}
    for line in show.trace.of("flip"):
        shown[line["block"]] = (line["frame"] - line["block"] * show.plan.frames) // each
    for block in blocks.values():
        parent = blocks.get(block.parent)
        if parent is None or not block.start:
            continue
        kept, whole = block.start - parent.start, parent.latents.shape[1]
        if not 0 < kept <= whole or (kept < whole and block.cut is None):
            yield f"block {block.index} begins {kept} latent frames into block {parent.index}, by cut {block.cut}"
        if block.index in shown and shown.get(parent.index, 0) >= kept:
            yield f"latent frame {shown[parent.index]} of block {parent.index} was shown, of which {kept} are left"


def the_ledger_names_the_first_frame(show: Show) -> Iterator[str]:
    """The flip of words shows a block under them, or under later ones, and no frame before it was made under them."""
    flips, words = show.trace.of("flip"), _words(show)
    if show.plan.completes:
        return  # its words differ from those that were asked for
    later: list[str] = []
    for number, text, block, t_ns in reversed(list(_shown_words(show))):
        later.append(text)
        if words[block] not in later:
            yield f"event {number} {text!r} is said to be seen in block {block}, under {words[block]!r}"
        early = [line["frame"] for line in flips if line["t_ns"] < t_ns and words[line["block"]] == text]
        if early and _is_new(show, number, text):
            yield f"event {number} {text!r} was seen in frame {early[0]} before the flip that the ledger names"


def overtaken_words_are_replaced(show: Show) -> Iterator[str]:
    """Words that no frame was made under, because others came before their block was made, have no flip."""
    words = _words(show)
    for number, text, block, _ in _shown_words(show) if not show.plan.completes else ():
        if words[block] != text:
            yield f"event {number} {text!r} is said to be seen in block {block}, under {words[block]!r}"


def the_last_values_are_reached(show: Show) -> Iterator[str]:
    """When nothing else comes, the world gets to the last value of each dial and to the last words."""
    events = [event for _, event in show.plan.script]
    dials = {event.name: event.value for event in events if isinstance(event, Dial)}
    if not show.story.cards or not show.is_settled:
        return
    last = show.story.cards[-1]
    for name, value in dials.items():
        if abs(last.block.dials.get(name, 0.0) - value) > 1e-9:
            yield f"dial {name} came to {last.block.dials.get(name, 0.0):g} and not to {value:g}"
    if show.plan.completes:
        yield from _all_words_count(show, last.words)
    elif any(isinstance(event, Prompt | Scene) for event in events) and last.words != show.model.words:
        yield f"the last words {show.model.words!r} are not in force: {last.words!r} are"


def _all_words_count(show: Show, last: str) -> Iterator[str]:
    """Of every slot the newest value that was asked for is in force in the end."""
    words: str | None = None
    for text in (show.model.options.prompt, *(e["event"].get("text") for e in show.trace.of("event"))):
        words = complete(text, words) if text else words
    if words != last:
        yield f"in the end {words!r} should be in force: {last!r} is"


def everything_is_given_back(show: Show) -> Iterator[str]:
    """Every process that was started has ended and was closed, and no ring has a name that a crash could leave."""
    alive = [number for number, life in enumerate(show.lives) if not (life.task.has_ended and life.is_closed)]
    if alive:
        yield f"lives {alive} of the model's process were not ended"
    if show.rings.named():
        yield f"{show.rings.named()} still have names"


def _is_frozen_at_first(show: Show) -> bool:
    """Whether somebody froze the picture before there was one."""
    flips = show.trace.of("flip")
    first_ns = flips[0]["t_ns"] if flips else show.ended_ns
    return any(key == "space" and START_NS + at_s * 1e9 < first_ns for at_s, key in show.plan.keys)


def _words(show: Show) -> dict[int, str]:
    """The words that each block was made under."""
    return {card.block.index: card.words for card in show.story.cards}


def _shown_words(show: Show) -> Iterator[tuple[int, str, int, int]]:
    """Each prompt or scene that has a flip: its number, its words, the block that was shown, and when."""
    shown = {line["t_ns"]: line["block"] for line in show.trace.of("flip")}
    ends = {line["id"]: line["t_ns"] for line in show.trace.of("stage") if line["stage"] == "flip"}
    for line in show.trace.of("event"):
        if "text" in line["event"] and line["id"] in ends and show.plan.transition == 1:
            t_ns = ends[line["id"]]
            yield line["id"], line["event"]["text"], shown[t_ns], t_ns


def _is_new(show: Show, number: int, text: str) -> bool:
    """Whether nobody asked for these words before this event."""
    earlier = [e["event"].get("text") for e in show.trace.of("event") if e["id"] < number]
    return text not in (*earlier, show.model.options.prompt)


def a_leap_keeps_its_bounds(show: Show) -> Iterator[str]:
    """No frame comes sooner after another, and no more time is stolen in any second, than the header says."""
    leap = show.trace.of("header")[0]["leap"] if show.trace.of("header") else {}
    flips = show.trace.of("flip")
    shown = [b for a, b in pairwise([{"frame": None}, *flips]) if a["frame"] != b["frame"]]
    leapt = [line for line in shown if "leapt_ms" in line]
    for before, after in pairwise(shown):
        if "leapt_ms" in after and after["due_ns"] - before["due_ns"] < 1e9 / show.plan.fps / leap["most_rate"] - 2:
            yield f"frame {after['frame']} came too soon after frame {before['frame']}"
    for line in leapt:
        stolen_ms = sum(other["leapt_ms"] for other in leapt if 0 <= line["t_ns"] - other["t_ns"] < 0.999e9)
        if stolen_ms > leap["most_ms"] + 0.01:
            yield f"{stolen_ms} ms were stolen in the second before {line['t_ns']}"
    if leapt and show.plan.mode not in ("auto", "leap") and not any(key == "f2" for _, key in show.plan.keys):
        yield f"{show.plan.mode} leaps"


def no_frame_is_skipped(show: Show) -> Iterator[str]:
    """No tick is late here, so all frames of a block that is shown are shown, unless it was taken back."""
    if show.engine.skipped:
        yield f"{show.engine.skipped} frames were skipped"
    goes_back = any(line["event"]["type"] == "rewind" for line in show.trace.of("event"))
    if show.plan.mishaps or goes_back:
        return
    shown = [b for a, b in pairwise([{"frame": None}, *show.trace.of("flip")]) if a["frame"] != b["frame"]]
    frames, latents = Counter(line["block"] for line in shown), show.plan.latents or show.plan.frames
    forgotten = {card.block.index for card in show.story.cards if card.forgotten_ns is not None}
    left = {card.block.index: card.latents for card in show.story.cards if card.latents is not None}
    for block in sorted(frames)[:-1]:
        whole = show.plan.frames * left.get(block, latents) // latents
        if frames[block] != whole and block not in forgotten:
            yield f"{frames[block]} of {whole} frames of block {block} were shown"


CHECKS: tuple[Callable[[Show], Iterator[str]], ...] = (
    every_event_ends_once,
    new_frames_are_shown,
    the_show_goes_on,
    the_model_does_not_die_by_itself,
    repeats_are_counted,
    frames_stay_in_order,
    the_first_block_is_shown_once,
    dropped_frames_are_not_shown,
    what_was_cut_away_is_not_shown,
    a_block_goes_on_where_its_parent_was_cut,
    the_ledger_names_the_first_frame,
    overtaken_words_are_replaced,
    the_last_values_are_reached,
    everything_is_given_back,
    a_leap_keeps_its_bounds,
    no_frame_is_skipped,
)
