"""A show as an outsider sees it: started as a process, watched through its trace and the system's own lists."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from loop.link.ring import RING_NAME

ROOT = Path(__file__).parent.parent.parent
_running = []


def start(*options, module="loop", **kwargs):
    """`neverblink` with these options as a process of its own."""
    command = [sys.executable, "-m", module, *map(str, options)]
    show = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    _running.append(show)
    return show


def end_all():
    """Kill every show that a failed test left running."""
    while _running:
        show = _running.pop()
        show.kill()
        show.communicate()


def finish(show, timeout_s=60):
    """(exit status, stdout, stderr) of a show that ends by itself."""
    try:
        out, err = show.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        show.kill()
        out, err = show.communicate()
        raise AssertionError(f"the show did not end within {timeout_s} s: {out}{err}") from None
    return show.returncode, out, err


def read_trace(path, kind):
    """The trace's lines of one kind; a last line that was cut off by a crash is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    whole = [line for line in lines if line.endswith("}")]
    return [line for line in map(json.loads, whole) if line["kind"] == kind]


def wait_until(condition, what, timeout_s=30, every_s=0.02):
    """The first true value of `condition()`, asked every `every_s`; fails with `what` when it stays false."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every_s)
    raise AssertionError(f"waited {timeout_s} s in vain for {what}")


def children(pid):
    """Process numbers of the living children of `pid`, with the end of each one's command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found[int(entry.parent.name)] = (entry.parent / "cmdline").read_text()
        except OSError:
            continue
    return found


def model_pid(show):
    """The process number of a show's model."""
    spawned = [pid for pid, command in children(show.pid).items() if "spawn_main" in command]
    return spawned[0] if spawned else None


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def segments(pid):
    """Names of the shared-memory segments that the process `pid` made, as the system lists them."""
    return {path.name for path in Path("/dev/shm").glob(RING_NAME.format(pid=pid) + "*")}
