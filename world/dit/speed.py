"""How fast a transformer is asked to run, and what that takes on the machine at hand."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import torch

from world.dit.config import DiffusionConfig
from world.dit.device import capture, fp8_is_fast
from world.dit.dit import CausalDiT
from world.dit.fast import FastDiT
from world.dit.kernels import AttentionKernel, fastest_kernel
from world.dit.pass_graph import PassGraphs
from world.info import WorldError
from world.options import SPEEDS

log = logging.getLogger(__name__)
COMPILERS = ("c++", "g++", "clang++", "cl")


def speed_for(device: torch.device, asked: str | None, dtype: torch.dtype) -> str:
    """The speed that `asked` stands for here; None is fast on a GPU, and exact on a CPU, where compiling takes long.

    Raises WorldError for a speed that this machine or this dtype cannot have.
    """
    if asked is None:
        return "fast" if device.type == "cuda" else "exact"
    if asked not in SPEEDS:
        raise WorldError(f"speed {asked!r}: expected one of {', '.join(SPEEDS)}")
    if asked == "fp8" and not (fp8_is_fast(device) and dtype == torch.bfloat16):
        needs = "needs an NVIDIA GPU of the 4000 series or newer and a world in bfloat16"
        raise WorldError(f"speed fp8: {needs}; use --speed fast or int8")
    if asked == "fast" and device.type == "cpu" and not has_compiler():
        raise WorldError("speed fast: needs a C++ compiler, none found; install g++ or clang++, or use --speed exact")
    return asked


def accelerate(dit: CausalDiT, config: DiffusionConfig, device: torch.device, speed: str) -> CausalDiT | FastDiT:
    """The transformer at a speed that `speed_for` gave: `dit` itself if exact, else a FastDiT, which takes it over."""
    if speed == "exact":
        return dit
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compile_cache()))
    if not has_compiler():
        log.warning("no C++ compiler found: the model runs uncompiled, at about four fifths of its speed")
    kernel = kernel_for(config, device, dit.dtype)
    log.info("speed %s, attention by %s", speed, kernel)
    graphs = PassGraphs(capture if device.type == "cuda" else None)
    return FastDiT(dit, speed, kernel, has_compiler(), graphs)


def kernel_for(config: DiffusionConfig, device: torch.device, dtype: torch.dtype) -> AttentionKernel:
    """The attention of a block over a full window: in bfloat16 on a GPU the fastest here, else torch's own choice."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return AttentionKernel()
    tokens = config.latents.grid[0] * config.latents.grid[1]
    shape = config.dit.num_heads, config.dit.head_dim
    seen = config.cache.size + len(config.cache.averages)
    return fastest_kernel(config.cache.block * tokens, seen * tokens, shape, device, has_compiler())


def has_compiler() -> bool:
    """Whether there is a C++ compiler, which torch.compile needs on every device."""
    return bool(os.environ.get("CXX")) or any(map(shutil.which, COMPILERS))


def compile_cache() -> Path:
    """The folder that compiled layers are kept in from start to start."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neverblink" / "compiled"
