"""A show whose page is attacked, against quiet times of the same run.

`python -m tests.trials.page_siege --messages 10000`

Prints for each stretch what the show's flips were, how many pictures a well-behaved phone got, and how large the page's
process is; at the end what the log says of those who were refused.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from websockets.sync.client import connect

from tests.page.hostile_page import HostilePhone
from tests.page.page_show import PageShow

QUIET_S = 8.0
PATIENCE_S = 60.0
Span = tuple[str, int, int, float]  # its name, begin and end (ns), and the size of the page's process at its end (MB)


class GoodPhone(threading.Thread):
    """A phone that watches. came: when each picture did (ns). trouble: what ended it before `stop`."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.came: list[int] = []
        self.trouble = ""
        self._place, self._is_stopped = urlsplit(address), False

    def stop(self) -> None:
        self._is_stopped = True

    def run(self) -> None:
        host = self._place.netloc
        try:
            with connect(f"ws://{host}/live", origin=f"http://{host}", open_timeout=PATIENCE_S) as page:
                enter = {"kind": "enter", "token": self._place.fragment, "identity": "cd" * 16, "name": ""}
                page.send(json.dumps(enter))
                while not self._is_stopped:
                    told = page.recv(timeout=PATIENCE_S)
                    if isinstance(told, bytes):
                        self.came.append(time.perf_counter_ns())
                        page.send(json.dumps({"kind": "seen", "picture": int.from_bytes(told[:4], "big")}))
        except Exception as error:  # it is told at the end
            self.trouble = repr(error)


def size_mb(pid: int) -> float:
    """The resident memory of a process."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def siege(attacker: HostilePhone, page: int) -> Iterator[Span]:
    """Make every attack, each after some quiet seconds."""
    for attack in attacker.attacks():
        begun_ns = time.perf_counter_ns()
        time.sleep(QUIET_S)
        yield "quiet", begun_ns, time.perf_counter_ns(), size_mb(page)
        begun_ns = time.perf_counter_ns()
        attack()
        yield attack.__name__, begun_ns, time.perf_counter_ns(), size_mb(page)


def told(span: Span, flips: list[int], pictures: list[int]) -> str:
    """One line of the table."""
    name, begin_ns, end_ns, memory_mb = span
    gaps = [(after - flip) / 1e6 for flip, after in pairwise(flips) if begin_ns <= flip < end_ns]
    cuts = statistics.quantiles(gaps, n=100) if len(gaps) > 2 else [0.0] * 99
    seconds = (end_ns - begin_ns) / 1e9
    figures = f"{cuts[49]:6.1f} {cuts[94]:6.1f} {cuts[98]:6.1f} {max(gaps, default=0):8.1f}"
    rate = sum(begin_ns <= came < end_ns for came in pictures) / seconds
    return f"{name:<26} {seconds:6.1f} {figures} {rate:11.1f} {memory_mb:8.0f}"


def reasons(log: str) -> Counter[str]:
    """Why strangers were refused, without what they said."""
    found = re.findall(r"refused the page at \S+ (.*)", log)
    return Counter(re.split(r"[:,'\"({]| \d", reason)[0] for reason in found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--world", default="small")
    parser.add_argument("--role", default="audience", help="whose address the attacker has")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    trace = folder / "trace.jsonl"
    with closing(PageShow(folder, "--world", options.world, "--trace", str(trace), "--seconds", "3600")) as show:
        phone = GoodPhone(show.addresses["viewer"])
        phone.start()
        while not phone.came:
            time.sleep(0.1)
        attacker = HostilePhone(show.addresses[options.role], options.messages)
        spans = list(siege(attacker, show.page_process()))
        phone.stop()
        phone.join()
    lines = (json.loads(line) for line in trace.read_text().splitlines() if line.endswith("}"))
    flips = [line["t_ns"] for line in lines if line["kind"] == "flip"]
    print(f"{'':<26} {'s':>6} {'p50':>6} {'p95':>6} {'p99':>6} {'longest':>8} {'pictures/s':>11} {'page MB':>8}")
    for span in spans:
        print(told(span, flips, phone.came))
    log = show.said.read_text()
    print(phone.trouble or "the good phone stayed to the end")
    print("a traceback in the log" if "Traceback" in log else "no traceback in the log")
    for reason, count in reasons(log).most_common(20):
        print(f"{count:6} {reason}")


if __name__ == "__main__":
    main()
