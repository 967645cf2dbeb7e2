"""Print how far each golden case is off: NAME kind max_abs_error tolerance ok|FAIL."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import torch

from tests.conformance import cases, measure


def run(path: Path) -> bool:
    """Measure one case and print its line; a case that cannot be run has failed."""
    try:
        with torch.no_grad():
            verdict = measure(path)
    except Exception:
        traceback.print_exc()
        print(f"{path.stem} ? inf ? FAIL", flush=True)
        return False
    result = "ok" if verdict.passed else "FAIL"
    print(f"{verdict.name} {verdict.kind} {verdict.worst:.3e} {verdict.tolerance:g} {result}", flush=True)
    return verdict.passed


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
