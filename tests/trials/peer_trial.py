"""Peers as real processes of this machine, measured.

`python -m tests.trials.peer_trial together|relay|kill|attack|join`

The traces of all processes lie on one clock, so what is compared is when the same frame was shown, and where.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from net.guest import Guest, Introduction
from net.transport import connect
from tests.peers.peer_show import pictures, psnr_db
from tests.support.shows import ROOT

WORLD = ("--world", "small", "--headless", "--no-save", "--overwrite")
MARGIN_NS = 100_000_000  # around an attack, for what it has left in the buffers
QUIET_S = 4.0  # at the beginning of a guest, in which its delay settles
RELAY = ("--delay-ms", "80", "--jitter-ms", "20", "--drops", "5", "--drop-after-s", "7")


@dataclass
class Machine:
    """A show as a process. trace, pixels: what it writes."""

    name: str
    process: subprocess.Popen[str]
    trace: Path
    pixels: Path
    said: Path

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The lines of its trace of this kind; one that was not written to its end is left out."""
        if not self.trace.exists():
            return []
        found = [json.loads(line) for line in self.trace.read_text().splitlines() if line.endswith("}")]
        return [line for line in found if line["kind"] == kind]

    def shown(self) -> dict[int, int]:
        """When each frame was shown for the first time, by number."""
        times: dict[int, int] = {}
        for line in self.lines("flip"):
            times.setdefault(line["frame"], line["t_ns"])
        return times


class Trial:
    """Starts machines and ends them. folder: where they write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines: dict[str, Machine] = {}
        self._others: list[subprocess.Popen[str]] = []

    def start(self, name: str, *options: str, script: Sequence[tuple[float, str]] = ()) -> Machine:
        trace, pixels, said = (self.folder / f"{name}.{ending}" for ending in ("jsonl", "rgb", "log"))
        lines = [json.dumps({"at_s": at_s, "prompt": words}) for at_s, words in script]
        (self.folder / f"{name}.script").write_text("\n".join(lines))
        asked = ("--script", str(self.folder / f"{name}.script")) if script else ()
        command = [
            sys.executable,
            "-m",
            "tests.peers.peer_show",
            str(pixels),
            *WORLD,
            "--trace",
            str(trace),
            *options,
            *asked,
        ]
        process = subprocess.Popen(command, cwd=ROOT, stderr=said.open("w"), text=True)
        self.machines[name] = Machine(name, process, trace, pixels, said)
        return self.machines[name]

    def host(self, *options: str, script: Sequence[tuple[float, str]] = ()) -> int:
        """Start the host; the port that it listens on."""
        host = self.start("host", "--host", "0", "--seed", "3", "--seconds", "900", *options, script=script)
        port = self._read_port(host.said)
        self.wait_for_pictures("host")
        return port

    def wait_for_pictures(self, *names: str) -> None:
        """Wait until these machines show their first frame."""
        deadline_s = time.monotonic() + 120
        while not all(self.machines[name].lines("flip") for name in names):
            assert time.monotonic() < deadline_s, f"not all of {', '.join(names)} show a picture"
            time.sleep(0.2)

    def also(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
        self._others.append(process)
        return process

    def wait(self, *names: str) -> None:
        for name in names:
            self.machines[name].process.wait(300)

    def interrupt(self, *names: str) -> None:
        """End these machines as Ctrl+C does."""
        for name in names:
            self.machines[name].process.send_signal(signal.SIGINT)
        self.wait(*names)

    def close(self) -> None:
        for process in [*(machine.process for machine in self.machines.values()), *self._others]:
            process.kill()
            process.wait()

    def _read_port(self, said: Path) -> int:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            if found := re.search(r"hosting on [\d.]+:(\d+)", said.read_text()):
                return int(found[1])
            time.sleep(0.1)
        raise AssertionError(f"the host does not listen: {said.read_text()}")


def together(trial: Trial, seconds: float, through_relay: bool) -> None:
    """A host, two guests by latents and one by video; prompts at each of them."""
    port = trial.host(script=[(12.0, "blue rain")])
    if through_relay:
        trial.also(sys.executable, "-m", "tests.peers.relay", "7588", f"127.0.0.1:{port}", *RELAY)
        port = 7588
        time.sleep(1)
    for name, follow, at_s in (("ada", "latents", 6.0), ("bob", "latents", 9.0), ("vera", "video", 8.0)):
        script = [(at_s + n * 9.0, f"{colour} waves") for n, colour in enumerate(("red", "green", "blue", "white"))]
        joining = ("--join", f"127.0.0.1:{port}", "--follow", follow, "--name", name, "--seconds", str(seconds))
        trial.start(name, *joining, script=script)
    trial.wait("ada", "bob", "vera")
    trial.interrupt("host")
    host = trial.machines["host"]
    tell_prompts(host)
    for name in ("ada", "bob", "vera"):
        tell_together(host, trial.machines[name])


def tell_together(host: Machine, guest: Machine) -> None:
    """By how much later the guest showed the same frames, how alike they are, and what became of its prompts."""
    ours, theirs = host.shown(), guest.shown()
    since_ns = min(theirs.values()) + QUIET_S * 1e9
    later = sorted((t_ns - ours[n]) / 1e6 for n, t_ns in theirs.items() if n in ours and t_ns > since_ns)
    made, got = pictures(host.pixels), pictures(guest.pixels)
    alike = sorted(psnr_db(made[number], pixels) for number, pixels in got.items() if number in made)
    stages = {line["id"]: line["stage"] for line in guest.lines("stage")}
    print(f"{guest.name}: {len(later)} frames, later than on the host's screen by {spread(later)} ms")
    print(f"  PSNR p50 {share(alike, 0.5):.1f} dB, p5 {share(alike, 0.05):.1f} of {len(alike)} frames")
    meanwhile = [number for number in ours if min(theirs) <= number <= max(theirs)]
    shared = f"{len(set(meanwhile) & set(theirs))} of the {len(meanwhile)} frames that the host showed meanwhile"
    print(f"  {shared}, and {len(set(theirs) - set(ours))} others; ends of its prompts: ", end="")
    print(", ".join(stages[line["id"]] for line in guest.lines("event")))
    print(f"  {guest.said.read_text().splitlines()[-1]}")


def tell_prompts(host: Machine) -> None:
    """Every prompt that reached the host, in the order of its ledger."""
    asked = [(line["source"], line["event"]["text"]) for line in host.lines("event") if "text" in line["event"]]
    print(f"{len(asked)} prompts at the host, {len(set(asked))} different: {asked}")


def kill(trial: Trial, seconds: float) -> None:
    """Kill the host; how long until a guest has made a block of its own, and whether the other follows it."""
    port = trial.host()
    for name in ("ada", "bob"):
        trial.start(name, "--join", f"127.0.0.1:{port}", "--follow", "latents", "--name", name, "--seconds", "900")
        trial.wait_for_pictures(name)
    time.sleep(seconds / 4)
    trial.machines["host"].process.kill()
    killed_ns = time.perf_counter_ns()
    time.sleep(seconds)
    trial.interrupt("ada", "bob")
    host, ada, bob = (trial.machines[name] for name in ("host", "ada", "bob"))
    newest = max(line["block"] for line in host.lines("block"))
    made = next(line for line in ada.lines("block") if line["block"] > newest + 8)
    begun_s = (made["t_begin_ns"] - killed_ns) / 1e9
    print(f"killed at block {newest}; the successor's first block, {made['block']}, was begun {begun_s:.2f} s later")
    first = next(line for line in ada.lines("flip") if line["block"] == made["block"])
    print(f"and shown {(first['t_ns'] - killed_ns) / 1e9:.2f} s after the kill")
    of_host, of_ada = pictures(host.pixels), pictures(ada.pixels)
    common = [number for number in of_ada if number in of_host]
    same = sum(bool((of_ada[number] == of_host[number]).all()) for number in common)
    print(f"frames up to the kill that are the same, byte for byte: {same} of {len(common)}")
    later = sorted(
        (bob.shown()[n] - t) / 1e6 for n, t in ada.shown().items() if n in bob.shown() and n >= first["frame"]
    )
    print(f"after it, the other guest showed {len(later)} frames later than the successor by {spread(later)} ms")


def attack(trial: Trial, messages: int) -> None:
    """All kinds of attack, one after another, with quiet in between: the host's flips, memory and log."""
    key = trial.folder / "key"
    key.write_text("a long secret\n")
    port = trial.host("--key", str(key))
    host = trial.machines["host"]
    time.sleep(15)
    before_kb = memory_kb(host.process.pid)
    begun_ns = time.perf_counter_ns()
    told = (str(port), "--key", str(key), "--messages", str(messages))
    attacker = trial.also(sys.executable, "-m", "tests.peers.hostile", *told)
    said, _ = attacker.communicate(timeout=800)
    ended_ns = time.perf_counter_ns()
    after_kb = memory_kb(host.process.pid)
    time.sleep(20)
    trial.interrupt("host")
    flips = [line["t_ns"] for line in host.lines("flip")]
    print(f"host without an attack: {gaps([t for t in flips if not begun_ns < t < ended_ns])}")
    for line in said.splitlines():
        name, first_ns, last_ns = line.split()
        print(f"{name}: {gaps([t for t in flips if int(first_ns) - MARGIN_NS < t < int(last_ns) + MARGIN_NS])}")
    print(f"memory of the window's process: {before_kb / 1024:.1f} MB before, {after_kb / 1024:.1f} MB after")
    tell_refusals(host.said.read_text())


def tell_refusals(log: str) -> None:
    """How long the log is, and why peers were refused, without what they said."""
    lines = log.splitlines()
    found = re.findall(r"refused \S+(?: at \S+)?: (.*)", log)
    longest = max(map(len, lines))
    print(f"{len(lines)} lines in the log, {len(found)} of them refusals, the longest of {longest} characters")
    print("a traceback" if "Traceback" in log else "no traceback", "in it;", lines[-1])
    for reason, count in Counter(re.split(r"[:,'\"({]| \d", why)[0] for why in found).most_common(20):
        print(f"{count:6} {reason}")


def join(trial: Trial, seconds: float) -> None:
    """The host's ticks and blocks while ten guests are there, seven by latents and three by video, against none."""
    port = trial.host()
    host = trial.machines["host"]
    time.sleep(seconds)
    begun_ns = time.perf_counter_ns()
    readers = [trial.also(sys.executable, "-m", "tests.trials.peer_trial", "reader", "--port", str(port))]
    time.sleep(seconds)
    for reader in readers:
        reader.send_signal(signal.SIGTERM)
    ended_ns = time.perf_counter_ns()
    time.sleep(seconds)
    trial.interrupt("host")
    flips, blocks = [line["t_ns"] for line in host.lines("flip")], host.lines("block")
    for name, is_in in (("none", False), ("ten", True)):
        took = sorted(
            (b["t_end_ns"] - b["t_begin_ns"]) / 1e6 for b in blocks if (begun_ns < b["t_begin_ns"] < ended_ns) == is_in
        )
        print(
            f"{name} guests: {gaps([t for t in flips if (begun_ns < t < ended_ns) == is_in])}; blocks {spread(took)} ms"
        )
    print(sum("has come" in line for line in host.said.read_text().splitlines()), "guests have come")


def reader(trial: Trial, port: int) -> None:
    """Ten guests that join, one after another, and only read: they cost this machine next to nothing."""
    visit = Guest(connect, ("127.0.0.1", port), Introduction(b"v" * 16, "v", "viewer", "nothing"), time.monotonic_ns)
    weights = ""
    while not weights:
        weights = next((m.weights for m, _ in visit.poll() if hasattr(m, "weights")), "")
        time.sleep(0.01)
    visit.close()
    guests: list[Guest] = []
    while True:
        if len(guests) < 10:
            follow = "video" if len(guests) % 3 == 2 else "latents"
            introduction = Introduction(secrets.token_bytes(16), f"reader {len(guests)}", "viewer", follow, "", weights)
            guests.append(Guest(connect, ("127.0.0.1", port), introduction, time.monotonic_ns))
        for guest in guests:
            guest.poll()
        time.sleep(0.02)


def gaps(times_ns: Sequence[int], pause_ms: float = 10_000) -> str:
    """How far flips are apart, those of other parts of the run left out."""
    apart = sorted((b - a) / 1e6 for a, b in pairwise(times_ns) if b - a < pause_ms * 1e6)
    if not apart:
        return "no flips"
    over = sum(gap > 20 for gap in apart) / len(apart)
    told = f"p50 {share(apart, 0.5):.1f}, p99 {share(apart, 0.99):.1f}, longest {apart[-1]:.1f} ms"
    return f"{len(apart)} flips, {told}, {over:.1%} over 20 ms"


def memory_kb(process: int) -> int:
    """The resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found, "a process has memory"
    return int(found[1])


def spread(values: Sequence[float]) -> str:
    """Median, p95 and extremes of sorted values."""
    return f"p50 {share(values, 0.5):.1f}, p95 {share(values, 0.95):.1f} ({values[0]:.1f} to {values[-1]:.1f})"


def share(values: Sequence[float], part: float) -> float:
    """The value below which that part of the sorted values lies."""
    return values[min(len(values) - 1, int(part * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("together", "relay", "kill", "attack", "join", "reader"))
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    trials: dict[str, Callable[[Trial], None]] = {
        "together": lambda trial: together(trial, options.seconds, through_relay=False),
        "relay": lambda trial: together(trial, options.seconds, through_relay=True),
        "kill": lambda trial: kill(trial, options.seconds),
        "attack": lambda trial: attack(trial, options.messages),
        "join": lambda trial: join(trial, options.seconds),
        "reader": lambda trial: reader(trial, options.port),
    }
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        try:
            trials[options.what](trial)
        finally:
            trial.close()


if __name__ == "__main__":
    main()
