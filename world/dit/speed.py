"""How fast a transformer is asked to run, and what that takes on the machine at hand."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import torch
from torch import nn

from world.dit.config import DiffusionConfig
from world.dit.device import capture, fp8_is_fast
from world.dit.dit import CausalDiT
from world.dit.fast import FastDiT, stacked
from world.dit.kernels import AttentionKernel, fastest_kernel
from world.dit.linears import PackedLinear
from world.dit.pass_graph import PassGraphs
from world.info import WorldError
from world.options import SPEEDS

log = logging.getLogger(__name__)
COMPILERS = ("c++", "g++", "clang++", "cl")


def speed_for(device: torch.device, asked: str | None, dtype: torch.dtype) -> str:
    """The speed that `asked` stands for here; None is fast.

    On a CPU fast is exact: layers that are laid out for it are faster than compiled ones. Raises WorldError for a speed
    that this machine or this dtype cannot have.
    """
    if asked in (None, "fast"):
        return "fast" if device.type == "cuda" else "exact"
    if asked not in SPEEDS:
        raise WorldError(f"speed {asked!r}: expected one of {', '.join(SPEEDS)}")
    if asked == "fp8" and not (fp8_is_fast(device) and dtype == torch.bfloat16):
        needs = "needs an NVIDIA GPU of the 4000 series or newer and a world in bfloat16"
        raise WorldError(f"speed fp8: {needs}; use --speed fast or int8")
    return asked


def accelerate(dit: CausalDiT, config: DiffusionConfig, device: torch.device, speed: str) -> CausalDiT | FastDiT:
    """The transformer at a speed that `speed_for` gave: `dit` itself if exact, else a FastDiT, which takes it over.

    On a CPU the layers of `dit` are packed: it is for inference from then on.
    """
    if speed == "exact":
        if device.type == "cpu":
            pack_layers(dit, config.cache.block * config.latents.grid[0] * config.latents.grid[1])
        return dit
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compile_cache()))
    if not has_compiler():
        log.warning("no C++ compiler found: the model runs uncompiled, at about four fifths of its speed")
    kernel = kernel_for(config, device, dit.dtype)
    log.info("speed %s, attention by %s", speed, kernel)
    graphs = PassGraphs(capture if device.type == "cuda" else None)
    return FastDiT(dit, speed, kernel, has_compiler(), graphs)


def pack_layers(dit: CausalDiT, tokens: int) -> None:
    """Lay the weights of all layers out as this CPU reads them, one at a time, each in the place of the plain one.

    tokens: how many most passes have.
    """
    for block in dit.layers:
        for attention in (block.self_attn, block.cross_attn):
            for name in ("q", "k", "v", "o"):
                plain = getattr(attention, name)
                setattr(attention, name, PackedLinear(plain.weight, plain.bias, tokens))
        up, _, down = block.ffn
        packed_up, packed_down = (PackedLinear(*stacked([layer]), tokens, layer is up) for layer in (up, down))
        block.ffn = nn.Sequential(packed_up, nn.Identity(), packed_down)  # GELU is part of the first


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
