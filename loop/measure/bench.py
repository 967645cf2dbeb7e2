"""`neverblink bench`: what every benchmark prints before and after its numbers, and which benchmarks there are."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """The distribution of one measured quantity."""

    n: int
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Nearest-rank percentiles of `values`, which must not be empty."""
        ordered = sorted(values)
        at = [ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.95, 0.99)]
        return cls(len(ordered), *at, ordered[-1])


def environment(device: str = "cpu") -> dict[str, Any]:
    """What the numbers depend on besides the code's own configuration."""
    names = ("neverblink", "torch", "numpy", "pygame-ce", "cupy-cuda13x", "cupy-cuda12x")
    return {
        "device": device,
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version()} | {n: v for n in names if (v := _version(n))},
        "commit": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit of the checkout this runs from, with a mark where files differ from it."""
    here = ["git", "-C", str(Path(__file__).parent)]
    asked = subprocess.run([*here, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown (not a checkout)"


def print_environment(config: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """Print the head of every benchmark; returns it for the JSON file."""
    head = environment(device) | {"config": dict(config)}
    for name, value in head.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:<9} {shown}")
    return head


def print_spreads(rows: Mapping[str, Spread], unit: str) -> None:
    """A table of distributions."""
    print(f"{'(' + unit + ')':<28}{'n':>6}{'p50':>10}{'p95':>10}{'p99':>10}{'max':>10}")
    for name, s in rows.items():
        print(f"{name:<28}{s.n:>6}{s.p50:>10.2f}{s.p95:>10.2f}{s.p99:>10.2f}{s.max:>10.2f}")


def write_json(path: Path | None, head: Mapping[str, Any], result: Result) -> None:
    """The same numbers for other programs, where asked for."""
    if path:
        whole = {"environment": head, **{k: _plain(v) for k, v in result.items()}}
        path.write_text(json.dumps(whole, indent=1) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Spread):
        return asdict(value)
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def run(options: Namespace) -> int:
    """Run the benchmark that was asked for."""
    return _benchmark(options.benchmark)(options)


def _benchmark(name: str) -> Callable[[Namespace], int]:
    from loop.measure import bench_loop, bench_model, bench_pace, bench_soak, bench_switch

    return {
        "loop": bench_loop.run,
        "model": bench_model.run,
        "pace": bench_pace.run,
        "soak": bench_soak.run,
        "switch": bench_switch.run,
    }[name]
