"""The linear layers of a pass by themselves: how near they come to a plain product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from loop.measure.gpu.setting import GpuSetting, times_ms
from loop.measure.report import Spread
from world.diffusion.world import DiffusionWorld
from world.dit.device import CapturedCall
from world.dit.dit import CausalDiT
from world.dit.fast import EIGHT_BIT, FastDiT
from world.dit.flops import attention_flops, linear_flops
from world.dit.speed import has_compiler

_LINEAR_REPEATS = 8


def measure_linears(setting: GpuSetting, world: DiffusionWorld) -> dict[str, Any]:
    """The linear layers of one pass, called one after another on random numbers: no norm, attention or modulation.

    Those in eight bits are compiled, as they are within a layer. On a GPU all are one CUDA graph, so that what is
    measured is the device and not the calls.
    """
    sizes, latents = world.config.dit, world.config.latents
    in_frame = latents.grid[0] * latents.grid[1]
    tokens, window = world.config.cache.block * in_frame, world.config.cache.window * in_frame
    x, hidden = (
        torch.randn(1, tokens, width, device=setting.device).to(setting.dtype) for width in (sizes.dim, sizes.ffn_dim)
    )
    with torch.inference_mode():
        run: Callable[..., tuple[Tensor, ...]] = partial(_run_linears, list(_linears(world)), _caller(world))
        if setting.device.type == "cuda":
            run = CapturedCall(run, (x, hidden))
        ms = Spread.of(times_ms(setting.device, lambda: run(x, hidden), _LINEAR_REPEATS))
    flop = linear_flops(sizes, tokens)
    return {
        "ms": ms,
        "TFLOP": flop / 1e12,
        "TFLOP/s": flop / ms.p50 / 1e9,
        "TFLOP of attention": attention_flops(sizes, tokens, window) / 1e12,
    }


def _run_linears(
    layers: list[tuple[nn.Module, bool]], call: Callable[[nn.Module, Tensor], Tensor], x: Tensor, hidden: Tensor
) -> tuple[Tensor, ...]:
    """Call each layer on x [1, T, dim], or on hidden [1, T, ffn_dim] where it says so; what the last one made."""
    made = x
    for linear, is_down in layers:
        made = call(linear, hidden if is_down else x)
    return (made,)


def _caller(world: DiffusionWorld) -> Callable[[nn.Module, Tensor], Tensor]:
    is_eight_bit = isinstance(world.dit, FastDiT) and world.dit.speed in EIGHT_BIT
    return torch.compile(_call, dynamic=False) if is_eight_bit and has_compiler() else _call


def _call(linear: nn.Module, x: Tensor) -> Tensor:
    made: Tensor = linear(x)
    return made


def _linears(world: DiffusionWorld) -> Iterator[tuple[nn.Module, bool]]:
    """The linear layers of a pass in order, each with whether it comes down from the wide middle of a feed-forward."""
    if isinstance(world.dit, FastDiT):
        for block in world.dit.blocks:
            for linear in (block.qkv, block.o, block.cross.q, block.cross.o, block.up):
                yield linear, False
            yield block.down, True
        return
    assert isinstance(world.dit, CausalDiT)  # there is no other kind
    for layer in world.dit.layers:
        own, cross = layer.self_attn, layer.cross_attn
        for linear in (own.q, own.k, own.v, own.o, cross.q, cross.o, layer.ffn[0]):
            yield linear, False
        yield layer.ffn[2], True
