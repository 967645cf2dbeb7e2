"""The ceilings of a device: what its plain operations reach, measured on random numbers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from loop.measure.gpu.setting import GpuSetting, times_ms
from loop.measure.report import Spread
from world.dit.config import CacheConfig
from world.wan.random import SIZES

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
_REPEATS = 20
_FRAMES = 12  # as many as a block has


def measure_ceilings(setting: GpuSetting) -> dict[str, Any]:
    """A square product, a copy within the device, and frames on their way to the host."""
    return _product(setting) | _copy_on_device(setting) | _frames_to_host(setting)


def _product(setting: GpuSetting) -> dict[str, Any]:
    a, b = (torch.randn(setting.side, setting.side, device=setting.device).to(setting.dtype) for _ in range(2))
    ms = Spread.of(times_ms(setting.device, lambda: a @ b, _REPEATS))
    return {"product": {"side": setting.side, "ms": ms, "TFLOP/s": 2 * setting.side**3 / ms.p50 / 1e9}}


def _copy_on_device(setting: GpuSetting) -> dict[str, Any]:
    """Bytes read and bytes written both count."""
    source = torch.randint(256, (setting.copy_mib * 2**20,), dtype=torch.uint8, device=setting.device)
    target = torch.empty_like(source)
    ms = Spread.of(times_ms(setting.device, lambda: target.copy_(source), _REPEATS))
    return {"copy on the device": {"MiB": setting.copy_mib, "ms": ms, "GB/s": 2 * source.nbytes / ms.p50 / 1e6}}


def _frames_to_host(setting: GpuSetting) -> dict[str, Any]:
    """Milliseconds a frame, from the copies of a whole block."""
    width, height = setting.picture
    frames = torch.randint(256, (_FRAMES, height, width, 3), dtype=torch.uint8, device=setting.device)
    targets = {"unpinned": torch.empty(frames.shape, dtype=torch.uint8)}
    if setting.device.type == "cuda":
        targets["pinned"] = torch.empty(frames.shape, dtype=torch.uint8, pin_memory=True)
    return {f"frame to the host, {how}": _frame_copy(setting, frames, target) for how, target in targets.items()}


def _frame_copy(setting: GpuSetting, frames: Tensor, target: Tensor) -> dict[str, Any]:
    times = times_ms(setting.device, lambda: target.copy_(frames, non_blocking=True), _REPEATS)
    ms = Spread.of([time / len(frames) for time in times])
    return {"ms": ms, "GB/s": frames[0].nbytes / ms.p50 / 1e6}


def measure_attention(setting: GpuSetting) -> dict[str, Any]:
    """A layer's attention of a block to a full window, as torch chooses, and by each backend that this device has."""
    dit, cache, tokens = SIZES[setting.world.name], CacheConfig(), setting.picture[0] * setting.picture[1] // 256
    rows, columns = cache.block * tokens, cache.window * tokens
    shape = (1, dit.num_heads, rows, dit.head_dim)
    q = torch.randn(shape, device=setting.device).to(setting.dtype)
    k, v = (torch.randn(1, dit.num_heads, columns, dit.head_dim, device=setting.device).to(q) for _ in range(2))
    flop = 4 * rows * columns * dit.dim
    found: dict[str, Any] = {"chosen by torch": _attention_ms(setting, (q, k, v), flop)}
    for name, backend in BACKENDS.items():
        try:
            with sdpa_kernel(backend):
                found[name] = _attention_ms(setting, (q, k, v), flop)
        except (RuntimeError, UserWarning) as error:
            found[name] = {"not here": str(error).splitlines()[0]}
    return found


def _attention_ms(setting: GpuSetting, qkv: tuple[Tensor, Tensor, Tensor], flop: int) -> dict[str, Any]:
    ms = Spread.of(times_ms(setting.device, lambda: F.scaled_dot_product_attention(*qkv), _REPEATS))
    return {"ms": ms, "TFLOP/s": flop / ms.p50 / 1e9}
