"""Print how far each golden case is off: NAME kind max_abs_error tolerance ok|FAIL, and on stderr why it failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from tests.conformance import cases, measure


def run(path: Path) -> bool:
    """Measure one case and print its line; a case that cannot be run has failed."""
    try:
        with torch.no_grad():
            verdict = measure(path)
    except Exception as error:  # whatever a case does, the others are run and it is counted
        print(f"{path.stem} {stated_kind(path)} inf ? FAIL", flush=True)
        explain(path, f"{type(error).__name__}: {error}")
        return False
    result = "ok" if verdict.passed else "FAIL"
    print(f"{verdict.name} {verdict.kind} {verdict.worst:.3e} {verdict.tolerance:g} {result}", flush=True)
    if not verdict.passed:
        explain(path, verdict.complaint)
    return verdict.passed


def stated_kind(path: Path) -> str:
    """The kind that the case at `path` says it is, `?` where it says nothing."""
    try:
        return str(json.loads(path.read_text())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return "?"


def explain(path: Path, reason: str) -> None:
    """Say on one line of stderr why the case failed."""
    print(f"{path.stem}: {' '.join(reason.split())[:500]}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Exit status: 0 all passed, 1 some failed, 2 there is nothing to run."""
    if len(arguments) != 1:
        print("usage: python -m tests.conformance DIR", file=sys.stderr)
        return 2
    try:
        paths = cases(Path(arguments[0]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    results = [run(path) for path in paths]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
