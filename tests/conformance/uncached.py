"""Kind `dit_uncached`: one set of weights, bidirectional, block-causal and with teacher forcing."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference, grid, state_dict
from world.dit.attend import Dense, block_causal, teacher_forcing
from world.dit.config import DiTConfig
from world.dit.dit import CausalDiT

AUGMENTED = 40.0  # the clean half's timestep where a case says only "aug"


def build(tensors: dict[str, Tensor], case: dict[str, Any]) -> CausalDiT:
    """The case's model, its weights loaded."""
    fields = DiTConfig.__dataclass_fields__
    dit = CausalDiT(DiTConfig(**{name: size for name, size in case["config"].items() if name in fields}))
    dit.load_state_dict(state_dict(tensors), strict=True)
    return dit.eval().to(tensors["context" if "context" in tensors else "prompts"].device)


class Forms:
    """The case's three ways of running the model."""

    def __init__(self, tensors: dict[str, Tensor], case: dict[str, Any]) -> None:
        self.tensors, self.grid, self.block = tensors, grid(tensors["x"]), case["config"]["frames_per_block"]
        self.frames = tensors["x"].shape[1]
        self.dit = build(tensors, case)
        self.words = self.dit.words(tensors["context"])

    def _run(self, latents: Tensor, timesteps: Tensor, mask: Tensor | None) -> Tensor:
        positions = [frame % self.frames for frame in range(latents.shape[1])]
        dense = Dense(self.grid, positions, self.dit.config.head_dim, mask, latents.device)
        return self.dit(latents, timesteps, self.words, dense)

    def bidirectional(self) -> Tensor:
        return self._run(self.tensors["x"], self.tensors["bidir.t"][:, None].expand(-1, self.frames), None)

    def causal(self, window: int) -> Tensor:
        return self._run(self.tensors["x"], self.tensors["causal.t"], block_causal(self.frames, self.block, window))

    def forced(self, clean_timestep: float) -> Tensor:
        noisy = self.tensors["causal.t"]
        timesteps = torch.cat([torch.full_like(noisy, clean_timestep), noisy], 1)
        latents = torch.cat([self.tensors["clean_x"], self.tensors["x"]], 1)
        return self._run(latents, timesteps, teacher_forcing(self.frames, self.block))[:, self.frames :]


def clean_timestep(case: dict[str, Any], name: str) -> float:
    """The clean half's timestep of tf.augN.out: what the tensor's description says, else the N of its name."""
    told = re.search(r"timestep is ([\d.]*\d)", case.get("tensors", {}).get(name, ""))
    number = told[1] if told else name.removeprefix("tf.aug").removesuffix(".out")
    return float(number) if number else AUGMENTED


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each form's output."""
    forms, errors = Forms(tensors, case), {}
    for name in (name for name in tensors if name.endswith(".out")):
        if name == "bidir.out":
            output = forms.bidirectional()
        elif name.startswith("causal.w"):
            output = forms.causal(int(name.removeprefix("causal.w").removesuffix(".out")))
        else:
            output = forms.forced(clean_timestep(case, name))
        errors[name] = difference(output, tensors[name])
    return errors
