"""A real diffusion world, small enough for a test: random weights, two dials, a condition; no decoder."""

from __future__ import annotations

import hashlib

import torch

from world.block import Block
from world.diffusion.model import TextEncoding
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig, DiffusionConfig, DiTConfig, LatentConfig, SamplerConfig
from world.dit.dit import CausalDiT
from world.info import DialRange, WorldInfo

SIZES = DiTConfig(
    dim=32, ffn_dim=48, freq_dim=16, text_dim=12, text_len=0, in_dim=4, out_dim=4, num_heads=2, num_layers=2
)
DIALS = {"zoom": DialRange(), "energy": DialRange(0.0, 1.0, 0.5)}


def encode(text: str) -> TextEncoding:
    """Three rows that only this text has."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    embedding = torch.randn(1, 3, 12, generator=torch.Generator().manual_seed(seed))
    return TextEncoding(embedding, embedding.mean(1))


class Counted(CausalDiT):
    """Counts its passes."""

    passes = 0

    def predict(self, *inputs):
        self.passes += 1
        return super().predict(*inputs)

    def remember(self, *inputs):
        self.passes += 1
        return super().remember(*inputs)


def tiny_world(
    cache: CacheConfig | None = None, stored: str = "float16", prediction: str = "flow", device: str = "cpu"
) -> DiffusionWorld:
    """A window of 6 latent frames: a sink of 2, blocks of 2. The same weights on every device."""
    torch.manual_seed(0)
    dit = Counted(SIZES).eval().to(device)
    to_dim, of_dials = torch.nn.Linear(12, 32).to(device), torch.nn.Linear(2, 32).to(device)
    cache = cache or CacheConfig(6, 2, 2)
    sampler = SamplerConfig((1000, 500), prediction=prediction)
    config = DiffusionConfig(SIZES, cache, sampler, LatentConfig(4, 4, 6, (2, 3), stored))
    info = WorldInfo("tiny", 16, 8, (48, 32), "a test", memory_blocks=4, dials=DIALS)

    def condition(pooled: torch.Tensor, dials: torch.Tensor) -> torch.Tensor:
        return to_dim(pooled)[:, None] + of_dials(dials)

    def encode_there(text: str) -> TextEncoding:
        return TextEncoding(*(part.to(device) for part in encode(text)))

    return DiffusionWorld(config, dit, encode_there, None, info, condition, device=torch.device(device))


def digests(blocks: list[Block]) -> list[str]:
    return [block.digest for block in blocks]
