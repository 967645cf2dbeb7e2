"""What every measurement reports: the environment it ran in, tables of distributions, and the same as a JSON file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from loop.output.new_file import write_text

_PACKAGES = ("neverblink", "torch", "numpy", "pygame-ce", "cupy-cuda13x", "cupy-cuda12x")


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
        p50, p95, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.95, 0.99))
        return cls(len(ordered), p50, p95, p99, ordered[-1])


def environment(device: str = "cpu") -> dict[str, Any]:
    """The device, machine, package versions and commit that the numbers depend on."""
    return {
        "device": device,
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version()} | {n: v for n in _PACKAGES if (v := _version(n))},
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit of this checkout, marked "-dirty" if files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown (no git)"
    return done.stdout.strip() or "unknown (not a checkout)"


def print_environment(config: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """Print the environment and the measurement's configuration; returns both for the JSON file."""
    head = environment(device) | {"config": dict(config)}
    for name, value in head.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:<9} {shown}")
    return head


def print_spreads(rows: Mapping[str, Spread], unit: str) -> None:
    """Print a table with one distribution a row."""
    print(f"{'(' + unit + ')':<28}{'n':>6}{'p50':>10}{'p95':>10}{'p99':>10}{'max':>10}")
    for name, s in rows.items():
        print(f"{name:<28}{s.n:>6}{s.p50:>10.2f}{s.p95:>10.2f}{s.p99:>10.2f}{s.max:>10.2f}")


def write_json(options: Namespace, head: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write the environment and the figures to the file of --json, if one was asked for. Raises OSError.

    A later call replaces the file, which then is the measurement's own.
    """
    if options.json:
        whole = {"environment": head, **{name: _json_value(value) for name, value in figures.items()}}
        options.json = write_text(options.json, json.dumps(whole, indent=1) + "\n", options.overwrite)
        options.overwrite = True


def _json_value(value: Any) -> Any:
    """`value` with every Spread in it, at any depth, turned into a dict."""
    if isinstance(value, Spread):
        return asdict(value)
    return {k: _json_value(v) for k, v in value.items()} if isinstance(value, Mapping) else value
