"""Golden vectors against our own classes: `python -m tests.conformance DIR`.

A case is NAME.json (configuration, tolerance, meaning of the tensors) beside NAME.safetensors. Each kind has a module
here with `check(tensors, case) -> {output: largest absolute error}`, which compares whatever outputs the case has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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
TOLERANCE = 1e-4  # where a case states none


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

    @property
    def complaint(self) -> str:
        """What is off, the first few and a count, in words."""
        if not self.errors:
            return "the case has no output that its kind knows"
        off = [f"{name} is off by {error:.3e}" for name, error in self.errors.items() if not error <= self.tolerance]
        return ", ".join(off[:5]) + (f" and {len(off) - 5} more" if len(off) > 5 else "")


def cases(folder: Path) -> list[Path]:
    """The .json of each case in `folder`, by name; raises ValueError when there is none.

    A file of tensors without its .json is a case too, one that cannot be read.
    """
    names = {path.with_suffix(".json") for ending in ("*.json", "*.safetensors") for path in folder.glob(ending)}
    if not names:
        raise ValueError(f"{folder}: no golden cases there: expected NAME.json beside NAME.safetensors")
    return sorted(names)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration of the case at `path` (its .json)."""
    return load_file(path.with_suffix(".safetensors")), json.loads(path.read_text())


def tolerance(case: dict[str, Any]) -> float:
    """The strictest number among the case's tolerances."""
    stated = case.get("tolerance", TOLERANCE)
    limits = stated.values() if isinstance(stated, dict) else [stated]
    return min((limit for limit in limits if isinstance(limit, (int, float))), default=TOLERANCE)


def measure(path: Path, device: str = "cpu") -> Verdict:
    """Run the case at `path` on a device; raises what its kind's check raises."""
    case = json.loads(path.read_text())
    if case.get("kind") not in KINDS:
        raise ValueError(f"unknown kind {case.get('kind')!r}: expected one of {', '.join(KINDS)}")
    module = import_module(f"tests.conformance.{KINDS[case['kind']]}")
    tensors = {name: tensor.to(device) for name, tensor in load(path)[0].items()}
    return Verdict(path.stem, case["kind"], module.check(tensors, case), tolerance(case))


def difference(ours: Tensor, golden: Tensor) -> float:
    """Largest absolute difference; infinite when the shapes differ."""
    if ours.shape != golden.shape:
        return math.inf
    return (ours.double().cpu() - golden.double().cpu()).abs().max().item() if ours.numel() else 0.0


def differences(ours: Mapping[str, Tensor], golden: Mapping[str, Tensor]) -> dict[str, float]:
    """The error of each of `ours` that the case has a golden tensor for."""
    return {name: difference(tensor, golden[name]) for name, tensor in ours.items() if name in golden}


def state_dict(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The case's parameters under the reference's names."""
    return {name[3:]: tensor for name, tensor in tensors.items() if name.startswith("sd.")}


def grid(latents: Tensor) -> tuple[int, int]:
    """Rows and columns of tokens in a frame of latents [..., h, w]."""
    return latents.shape[-2] // 2, latents.shape[-1] // 2
