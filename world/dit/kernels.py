"""Attention over a full cache by the kernel that is fastest on the machine at hand."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from world.dit.attend import attention
from world.dit.device import gpu_ms

log = logging.getLogger(__name__)
CANDIDATES = [("sdpa", 1), ("cudnn", 1), ("cudnn", 2), ("flash", 1), ("flash", 2)]


@dataclass(frozen=True)
class AttentionKernel:
    """One way to compute softmax attention of q [1, T, heads, d] over k and v [1, S, heads, d]: [1, T, heads, d].

    name: "cudnn", "flash", or "sdpa" for torch's own choice, which also takes a batch.
    parts: the keys are attended to in so many parts, all at once, and the results are weighed by their sums. More and
        smaller pieces of work fill a GPU better: 12 heads of 4,680 queries are 444 tiles for the 132 processors of an
        H100, which works on the last 48 of them with two thirds of it idle.
    """

    name: str = "sdpa"
    parts: int = 1

    def __str__(self) -> str:
        return self.name if self.parts == 1 else f"{self.name} in {self.parts} parts"

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.name == "sdpa":
            return attention(q, k, v)
        # parts become the batch
        q = q.expand(self.parts, -1, -1, -1)
        k, v = (x.view(self.parts, -1, *x.shape[2:]) for x in (k, v))
        seen, log_sums = self._run(*(x.transpose(1, 2) for x in (q, k, v)))
        if self.parts == 1:
            return seen.transpose(1, 2)
        weights = log_sums.view(self.parts, q.shape[2], -1, 1).softmax(0)
        return (seen * weights).sum(0, keepdim=True).to(seen.dtype).transpose(1, 2)

    def _run(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """q [parts, heads, T, d] over k and v [parts, heads, S, d]: the result, and the logarithms of its sums."""
        if self.name == "cudnn":
            out = torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, True)
        else:
            out = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)
        return out[0], out[1]


@torch.library.custom_op(
    "neverblink::linear_gelu", mutates_args=(), schema="(Tensor x, Tensor weight, Tensor bias) -> Tensor"
)
def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """gelu(linear(x)), approximated by tanh, x [..., in] -> [..., out]: on a GPU the product ends with it.

    A kernel of its own reads and writes the widest activations of the model once more: 57 us a layer on an H100. It is
    an operator of ours so that the compiler does not take it apart.
    """
    if x.device.type != "cuda":
        return F.gelu(F.linear(x, weight, bias), approximate="tanh")
    rows = torch._addmm_activation(bias, x.flatten(0, -2), weight.t(), use_gelu=True)
    return rows.view(*x.shape[:-1], -1)


@linear_gelu.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight))


def fastest_kernel(
    queries: int, keys: int, shape: tuple[int, int], device: torch.device, is_compiled: bool = True
) -> AttentionKernel:
    """The kernel that takes least time here for so many queries and keys; shape: heads and their width.

    Measured once on a GPU, on random numbers and compiled as it will be; on a CPU it is torch's own choice. The parts
    of an attention that is not compiled cost more to put together than they save.
    """
    if device.type != "cuda":
        return AttentionKernel()
    call = torch.compile(AttentionKernel.__call__, dynamic=False) if is_compiled else AttentionKernel.__call__
    q, k, v = (torch.randn(1, n, *shape, device=device, dtype=torch.bfloat16) for n in (queries, keys, keys))
    kernels = [AttentionKernel(name, parts) for name, parts in CANDIDATES if keys % parts == 0]
    times = {kernel: _time(partial(call, kernel, q, k, v)) for kernel in kernels}
    log.info("attention, ms a layer: %s", ", ".join(f"{kernel} {ms:.3f}" for kernel, ms in times.items()))
    return min(kernels, key=lambda kernel: times[kernel])


def _time(run: Callable[[], object]) -> float:
    """Milliseconds of a call, the median of some; infinite where this machine cannot do it."""
    try:
        return statistics.median(gpu_ms(run) for _ in range(8))
    except RuntimeError:
        return float("inf")
