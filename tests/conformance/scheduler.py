"""Kind `scheduler`: the grid, warped steps, noising, conversions, an Euler step, timesteps of the score models."""

from __future__ import annotations

import json
import re
from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference, differences
from world.dit.denoise import TIMESTEPS, NoiseSchedule, add_noise, flow_to_x0, x0_to_flow


def each(convert: Any, first: Tensor, second: Tensor, sigmas: list[float]) -> Tensor:
    """`convert` sample by sample, every one at its own noise level."""
    return torch.stack([convert(*sample) for sample in zip(first, second, sigmas, strict=True)])


def bell(timesteps: Tensor) -> Tensor:
    """The reference's training weights. It never uses them, nor do we: here only so that the case is compared whole."""
    weights = torch.exp(-2 * ((timesteps - TIMESTEPS / 2) / TIMESTEPS) ** 2)
    weights = weights - weights.min()
    return weights * (TIMESTEPS / weights.sum())


def converted(schedule: NoiseSchedule, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """What one grid makes of the case's samples."""
    times, x0, flow = given["t"].tolist(), given["x0"], given["flow"]
    sigmas = [schedule.sigma(t) for t in times]
    noisy = each(add_noise, x0, given["noise"], sigmas)
    euler = [schedule.euler(*step) for step in zip(flow, times, noisy, strict=True)]
    return {
        "add_noise": noisy,
        "flow_to_x0": each(flow_to_x0, flow, noisy, sigmas),
        "x0_to_flow": each(x0_to_flow, x0 + 0.1 * flow, noisy, sigmas),
        "step": torch.stack(euler[: len(given.get("step", []))] or euler),
    }


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output, for each shift of the case; of timesteps as a share of the grid.

    The last bit of a timestep near 1000 is worth more than the tolerance, and CPUs differ in it.
    """
    errors = {}
    for prefix in sorted({name.split(".sigmas")[0] for name in tensors if name.endswith(".sigmas")}):
        given = {name.removeprefix(prefix + "."): t for name, t in tensors.items() if name.startswith(prefix + ".")}
        schedule = NoiseSchedule(float(prefix.removeprefix("shift")))
        ours = {"sigmas": schedule.sigmas, "timesteps": schedule.timesteps, "train_weights": bell(schedule.timesteps)}
        if "t" in given:
            ours |= converted(schedule, given)
        if "score_t_raw" in given:
            ours["score_t"] = schedule.shifted(given["score_t_raw"])
        errors |= {f"{prefix}.{name}": error for name, error in differences(ours, given).items()}
        for name in (name for name in given if name.startswith("warped.")):
            # the nominal steps of a warped list are stated in the tensor's description only
            nominal = json.loads(re.search(r"\[.*\]", case["tensors"][f"{prefix}.{name}"])[0])
            errors[f"{prefix}.{name}"] = difference(torch.tensor(schedule.warp(nominal)), given[name])
    return {name: error / TIMESTEPS if is_time(name) else error for name, error in errors.items()}


def is_time(name: str) -> bool:
    """Whether an output holds timesteps."""
    return name.endswith((".timesteps", ".score_t")) or ".warped." in name
