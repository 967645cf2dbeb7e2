"""MIDI through a real port and OSC over UDP, among garbage.

`jackd -S -r -d dummy & python -m tests.trials.instruments`

For a minute a controller's knob, its pads, and an OSC client send valid messages among garbage and wrong types; then
the knob sweeps its whole range with 60 messages in a second. The trace must hold each valid message once, in order.
"""

from __future__ import annotations

import argparse
import random
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

from tests.support.shows import finish, read_trace, start, wait_until

PORT = 9137
SECONDS = 60.0
EVERY_S = 0.09
MAP = '[[map]]\ncontrol = "cc:1:20"\ndial = "zoom"\nmode = "absolute"\n' + "".join(
    f'\n[[map]]\ncontrol = "note:1:{36 + cue}"\ncue = {cue + 1}\n' for cue in range(5)
)
CUES = "".join(f"cue{number} | {words} |\n" for number, words in enumerate(
    ("red waves", "blue stripes", "green ripples", "purple rain", "orange grid")
))  # fmt: skip
WRONG = (  # address, type tags, arguments
    ("/neverblink/dial/pan_x", ",s", b"high\0\0\0\0"),
    ("/neverblink/dial/pan_x", ",", b""),
    ("/neverblink/prompt", ",f", struct.pack(">f", 1.0)),
    ("/neverblink/cue", ",i", struct.pack(">i", 99)),
    ("/neverblink/nowhere", ",i", struct.pack(">i", 1)),
)


def packed(text: str) -> bytes:
    """A string as OSC writes it: ended by a zero, filled up to four bytes."""
    raw = text.encode() + b"\0"
    return raw + b"\0" * (-len(raw) % 4)


class Hands:
    """Everything that is sent, and what of it the show must take."""

    def __init__(self) -> None:
        import rtmidi

        self._keys = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="hands")
        self._keys.open_virtual_port("keys")
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.zoom: list[float] = []
        self.pan: list[float] = []
        self.cues: list[str] = []
        self.prompts: list[str] = []
        self.garbage = 0

    def osc(self, address: str, tags: str, arguments: bytes) -> None:
        self._udp.sendto(packed(address) + packed(tags) + arguments, ("127.0.0.1", PORT))

    def knob(self, value: int) -> None:
        """Turn the knob, 0 to 127."""
        self.zoom.append(value / 127)
        self._keys.send_message([0xB0, 20, value])

    def pan_to(self, value: float) -> None:
        self.pan.append(value)
        self.osc("/neverblink/dial/pan_x", ",f", struct.pack(">f", value))

    def pad(self, cue: int) -> None:
        self.cues.append(CUES.splitlines()[cue].split(" | ")[1].rstrip(" |"))
        self._keys.send_message([0x90, 36 + cue, 100])
        self._keys.send_message([0x80, 36 + cue, 0])

    def prompt(self, words: str) -> None:
        self.prompts.append(words)
        self.osc("/neverblink/prompt", ",s", packed(words))

    def nonsense(self, chance: random.Random) -> None:
        """Random bytes, half a message, a wrong type, and MIDI that nothing is mapped to."""
        self._udp.sendto(chance.randbytes(chance.randrange(1, 400)), ("127.0.0.1", PORT))
        self._udp.sendto(packed("/neverblink/prompt") + b",s\0", ("127.0.0.1", PORT))
        self.osc(*chance.choice(WRONG))
        self._keys.send_message([0xA0, chance.randrange(128), chance.randrange(128)])
        self._keys.send_message([0xB9, 99, chance.randrange(128)])
        self.garbage += 5


def minute(hands: Hands, seconds: float) -> None:
    """Valid messages, each followed by nonsense; no value twice in a row, as such a one may be left out."""
    chance, begun, number = random.Random(0), time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        hands.knob(number * 37 % 128)
        hands.pan_to(round((number * 29 % 201) / 100 - 1, 2))
        if number % 8 == 0:
            hands.pad(number // 8 % 5)
        if number % 8 == 4:
            hands.prompt(f"{('red', 'blue', 'green')[number % 3]} waves {number}")
        hands.nonsense(chance)
        number += 1
        time.sleep(EVERY_S)


def sweep(hands: Hands) -> None:
    """The whole way of the knob in 60 messages and a second."""
    for step in range(60):
        hands.knob(round(127 * step / 59))
        time.sleep(1 / 60)


def report(trace: Path, hands: Hands) -> bool:
    """Print what was sent and what the trace has of it; whether all agree."""
    events = read_trace(trace, "event")
    low, high = read_trace(trace, "header")[0]["dials"]["zoom"]

    def dials(name: str, source: str) -> list[float]:
        found = [line["event"] for line in events if line["source"] == source]
        return [round(event["value"], 3) for event in found if event.get("name") == name]

    def words(source: str) -> list[str]:
        return [line["event"]["text"] for line in events if line["source"] == source and "text" in line["event"]]

    zoom = [round(low + value * (high - low), 3) for value in hands.zoom]
    pairs = {
        "knob by MIDI": (zoom, dials("zoom", "midi")),
        "cues by MIDI": (hands.cues, words("cue")),
        "dial by OSC": (hands.pan, dials("pan_x", "osc")),
        "prompts by OSC": (hands.prompts, words("osc")),
    }
    for what, (sent, taken) in pairs.items():
        print(f"{what}: {len(sent)} sent, {len(taken)} in the trace, {'the same' if sent == taken else 'NOT THE SAME'}")
    print(f"garbage and wrong types: {hands.garbage}; all events: {len(events)}")
    last_ns = [line["t_ns"] for line in events if line["event"].get("name") == "zoom"][-1]
    blocks = [line for line in read_trace(trace, "block") if line["t_begin_ns"] > last_ns]
    reached = [round(line["dials"]["zoom"], 3) for line in blocks[:5]]
    print(f"sweep: first block {(blocks[0]['t_begin_ns'] - last_ns) / 1e6:.0f} ms later; zoom by block {reached}")
    return all(sent == taken for sent, taken in pairs.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="small")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace, mapping, cues = folder / "t.jsonl", folder / "map.toml", folder / "set.txt"
        mapping.write_text(MAP)
        cues.write_text(CUES)
        hands = Hands()
        inputs = ("--midi", "hands", "--osc", PORT, "--map", mapping, "--set", cues)
        length_s = options.seconds + 8
        show = start(
            "--world", options.world, "--headless", "--no-save", "--trace", trace, "--seconds", length_s, *inputs
        )
        wait_until(lambda: show.poll() is not None or read_trace(trace, "flip"), "frames", 120)
        time.sleep(1.0)
        minute(hands, options.seconds)
        sweep(hands)
        status, out, err = finish(show, 60)
        print(out.strip(), err.strip(), sep="\n")
        sys.exit(status or not report(trace, hands))


if __name__ == "__main__":
    main()
