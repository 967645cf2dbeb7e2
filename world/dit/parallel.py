"""One transformer on several devices, sequence-parallel: tokens are shared out, and heads around attention.

Each process holds all weights and computes its share of the tokens of every latent frame. Attention needs all tokens
of a head, so around it tokens and heads change places: a process then has its share of the heads for all tokens, and
its cache holds these heads only. Source: DeepSpeed-Ulysses (arXiv 2309.14509), section 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.constants import default_pg_timeout

from world.dit.config import DiffusionConfig
from world.dit.dit import Attend, CacheAttention, CausalDiT, Modulation, TextKV
from world.info import WorldError

HOST = "127.0.0.1"
IDLE = 1000 * default_pg_timeout  # three weeks: a show may be frozen for as long as it likes


def new_meeting(size: int) -> dist.TCPStore:
    """The place, on a free port of this machine, where `size` processes find one another; rank 0 owns it."""
    return dist.TCPStore(HOST, 0, size, is_master=True, wait_for_workers=False)


def meeting_at(port: int, size: int) -> dist.TCPStore:
    """The meeting that rank 0 holds at `port`, for the other ranks."""
    return dist.TCPStore(HOST, port, size, is_master=False)


class Ranks:
    """The processes that make a stream together, as one of them sees them. All of them make the same calls in turn.

    rank: the number of this process; 0 leads. size: how many there are. Tensors on a GPU are exchanged by NCCL, those
    on a CPU by gloo. A call raises RuntimeError when another process has ended.
    """

    def __init__(self, meeting: dist.Store, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size = rank, size
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=meeting, rank=rank, world_size=size, timeout=IDLE)

    def exchange(self, parts: Tensor) -> Tensor:
        """parts [size, ...], part i for rank i -> [size, ...], part i from rank i."""
        parts = parts.contiguous()
        received = torch.empty_like(parts)
        dist.all_to_all_single(_as_bytes(received), _as_bytes(parts))
        return received

    def gather(self, part: Tensor) -> Tensor:
        """part [...] -> [size, ...], part i from rank i, the same on every rank."""
        return self.exchange(part.expand(self.size, *part.shape))

    def tell(self, message: Any) -> None:
        """Send `message` to every other rank, which calls `hear`; it is pickled. For rank 0."""
        dist.broadcast_object_list([message], src=0, device=torch.device("cpu"))

    def hear(self) -> Any:
        """The next message of rank 0; waits for it as long as it takes."""
        heard: list[Any] = [None]
        dist.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
        return heard[0]


def _as_bytes(tensor: Tensor) -> Tensor:
    # gloo does not know every dtype of ours, and what is exchanged is not computed with
    return tensor.view(-1).view(torch.uint8)


def shared_config(config: DiffusionConfig, size: int) -> DiffusionConfig:
    """`config` with the sizes of one of `size` processes' cache: its share of the heads.

    Raises WorldError where heads or tokens cannot be shared out evenly.
    """
    heads, (rows, columns) = config.dit.num_heads, config.latents.grid
    if heads % size or rows * columns % size:
        even = [n for n in range(2, heads + 1) if not heads % n and not rows * columns % n]
        possible = f"possible here: {', '.join(map(str, even))}" if even else "no number of them can"
        told = f"{heads} heads and {rows * columns} tokens a frame"
        raise WorldError(f"{size} processes cannot share {told} evenly: {possible}")
    return replace(config, dit=replace(config.dit, dim=config.dit.dim // size, num_heads=heads // size))


class SharedDiT(CausalDiT):
    """The transformer `dit`, whose weights it uses, called by all ranks at once with the same arguments.

    The prediction is whole, and the same on every rank. `attend` sees all tokens and this rank's share of the heads.
    """

    def __init__(self, dit: CausalDiT, ranks: Ranks) -> None:
        nn.Module.__init__(self)  # it has no parts of its own
        self.config, self._ranks = dit.config, ranks
        for name, part in dit.named_children():
            self.add_module(name, part)
        self.patch_embedding = _OwnTokens(dit.patch_embedding, ranks)
        self.head = _WholeFrames(dit.head, ranks)

    def predict(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: Attend) -> Tensor:
        """As `CausalDiT.predict`."""
        exchanged = ExchangedAttention(attend, self._ranks, latents.shape[1])
        return super().predict(latents, modulation, words, exchanged)

    def remember(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: CacheAttention) -> None:
        """As `CausalDiT.remember`."""
        super().remember(latents, modulation, words, ExchangedCache(attend, self._ranks, latents.shape[1]))


class ExchangedAttention:
    """An `Attend` for a rank's own tokens with all heads, out of one for all tokens with the rank's own heads.

    frames: latent frames of the pass. M tokens of each frame are the rank's own.
    """

    def __init__(self, attend: Attend, ranks: Ranks, frames: int) -> None:
        self._attend, self._ranks, self._frames = attend, ranks, frames

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, F * M, heads, head_dim]."""
        return self.to_tokens(self._attend(layer, *self.to_heads(q, k, v)))

    def to_heads(self, *own: Tensor) -> tuple[Tensor, ...]:
        """Tensors [B, F * M, heads, head_dim] of own tokens -> [B, F * N, own heads, head_dim] each."""
        ranks = self._ranks.size
        x = torch.stack(own).unflatten(2, (self._frames, -1)).unflatten(4, (ranks, -1))
        parts = self._ranks.exchange(x.permute(4, 0, 1, 2, 3, 5, 6))  # [ranks, tensors, B, F, M, own heads, head_dim]
        return parts.permute(1, 2, 3, 0, 4, 5, 6).flatten(2, 4).unbind()

    def to_tokens(self, seen: Tensor) -> Tensor:
        """[B, F * N, own heads, head_dim] -> [B, F * M, heads, head_dim] of own tokens."""
        x = seen.unflatten(1, (self._frames, self._ranks.size, -1))
        parts = self._ranks.exchange(x.permute(2, 0, 1, 3, 4, 5))  # [ranks, B, F, M, their heads, head_dim]
        return parts.permute(1, 2, 3, 0, 4, 5).flatten(3, 4).flatten(1, 2)


class ExchangedCache(ExchangedAttention):
    """The same for a `CacheAttention`."""

    def __init__(self, attend: CacheAttention, ranks: Ranks, frames: int) -> None:
        super().__init__(attend, ranks, frames)
        self._cache = attend

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store k and v [B, F * M, heads, head_dim]."""
        self._cache.write(layer, *self.to_heads(k, v))


class _OwnTokens(nn.Module):
    """An embedding of which only the rank's own tokens of each frame are kept."""

    def __init__(self, embed: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self.embed, self._ranks = embed, ranks

    def forward(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> own tokens [B, F * M, dim]."""
        tokens = self.embed(latents).unflatten(1, (latents.shape[1], self._ranks.size, -1))
        return tokens[:, :, self._ranks.rank].flatten(1, 2)


class _WholeFrames(nn.Module):
    """A head that first collects the tokens of all ranks."""

    def __init__(self, head: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self.head, self._ranks = head, ranks

    def forward(self, own: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """own tokens [B, F * M, dim] -> prediction [B, F, C, h, w]."""
        parts = self._ranks.gather(own.unflatten(1, (latents.shape[1], -1)))  # [ranks, B, F, M, dim]
        return self.head(parts.permute(1, 2, 0, 3, 4).flatten(1, 3), e, latents)
