"""Traces written by hand, for tests of what is read out of them."""

import json

from loop.measure.trace.recording import MS, parse_recording

TICK = 1000 / 60
HEADER = {"kind": "header", "fps": 20, "tick_hz": 60, "block_frames": 4}  # three ticks a frame


def flips(count, frame_of=lambda tick: tick // 3, **changes):
    """`count` ticks from tick 0 on; changes: field -> (tick -> value)."""
    for tick in range(count):
        frame = frame_of(tick)
        line = {"kind": "flip", "t_ns": round(tick * TICK * MS), "tick": tick, "block": frame // 4, "frame": frame}
        line |= {"repeat": False, "queue": 2, "age_ms": 100.0, "rate": 1.0}
        yield line | {name: value(tick) for name, value in changes.items() if value(tick) is not None}


def event(number, kind, **stamps_ms):
    """An event and the lines of its stages."""
    fields = {"type": kind, "value": 0.5, "name": "zoom"} if kind == "dial" else {"type": kind, "text": "red"}
    yield {"kind": "event", "id": number, "source": "script", "event": fields, "t_ns": round(stamps_ms["pump"] * MS)}
    for stage, t_ms in stamps_ms.items():
        yield {"kind": "stage", "id": number, "stage": stage, "t_ns": round(t_ms * MS)}


def recorded(*lines):
    return parse_recording([json.dumps(line) for line in (HEADER, *lines)] + [""])


def blocks(numbers):
    for number in numbers:
        yield {
            "kind": "block",
            "block": number,
            "start": 3 * number,
            "t_begin_ns": number * MS,
            "t_end_ns": number * MS,
        }
