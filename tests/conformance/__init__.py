"""Golden vectors against our own classes: `python -m tests.conformance DIR`.

A case is NAME.json (configuration, tolerance, meaning of the tensors) beside NAME.safetensors. Each kind has a module
here with `check(tensors, case) -> {output: largest absolute error}`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

KINDS = {
    "causal_dit_cached": "causal",
    "dit_uncached": "uncached",
    "scheduler": "scheduler",
    "interactive": "interactive",
    "wan_vae": "vae",
    "taehv": "taehv",
    "umt5_encoder": "umt5",
    "dmd_loss": "losses",
}


@dataclass(frozen=True)
class Verdict:
    """One case measured: the error of each output, and what is allowed."""

    name: str
    kind: str
    errors: dict[str, float]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest error; infinite where nothing was compared or a comparison gave no number."""
        values = self.errors.values() or [math.inf]
        return max(math.inf if math.isnan(error) else error for error in values)

    @property
    def passed(self) -> bool:
        return self.worst <= self.tolerance


def cases(folder: Path) -> list[Path]:
    """The cases of `folder`, by name; raises ValueError when there is none."""
    found = sorted(folder.glob("*.json"))
    if not found:
        raise ValueError(f"{folder}: no golden cases there: expected NAME.json beside NAME.safetensors")
    return found


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration of the case at `path` (its .json)."""
    return load_file(path.with_suffix(".safetensors")), json.loads(path.read_text())


def tolerance(case: dict[str, Any]) -> float:
    """The strictest number among the case's tolerances."""
    return min(limit for limit in case["tolerance"].values() if isinstance(limit, (int, float)))


def measure(path: Path) -> Verdict:
    """Run the case at `path`; raises what its kind's check raises."""
    tensors, case = load(path)
    if case["kind"] not in KINDS:
        raise ValueError(f"{path}: kind {case['kind']!r}: expected one of {', '.join(KINDS)}")
    module = import_module(f"tests.conformance.{KINDS[case['kind']]}")
    return Verdict(path.stem, case["kind"], module.check(tensors, case), tolerance(case))


def difference(ours: Tensor, golden: Tensor) -> float:
    """Largest absolute difference; infinite when the shapes differ."""
    if ours.shape != golden.shape:
        return math.inf
    return (ours - golden).abs().max().item()


def state_dict(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The case's parameters under the reference's names."""
    return {name[3:]: tensor for name, tensor in tensors.items() if name.startswith("sd.")}
