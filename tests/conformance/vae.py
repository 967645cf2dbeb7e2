"""Kind `wan_vae`: the Wan VAE's decoder in one go and in chunks, and its encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference, state_dict
from world.wan_vae import VAEConfig, WanVAE


def build(tensors: dict[str, Tensor], case: dict[str, Any]) -> WanVAE:
    """The case's model, its weights loaded."""
    sizes = case["config"]
    config = VAEConfig(
        dim=sizes["dim"],
        multipliers=tuple(sizes["dim_mult"]),
        res_blocks=sizes["num_res_blocks"],
        halves_time=tuple(sizes["temporal_downsample"]),
        mean=tuple(sizes["mean"]),
        std=tuple(sizes["std"]),
    )
    vae = WanVAE(config)
    vae.load_state_dict(state_dict(tensors))
    return vae


def stream(decode_raw: Any, latents: Tensor, chunks: list[int]) -> Tensor:
    """Unclamped pixels of `latents` decoded in `chunks` of latent frames."""
    state: Any = ()
    frames = []
    for chunk in latents.split(chunks, dim=1):
        raw, state = decode_raw(state, chunk)
        frames.append(raw)
    return torch.cat(frames, dim=1)


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output; `stream` is against our own decode in one go and must be 0."""
    vae, every = build(tensors, case), case.get("pixel_stride", 1)
    raw, _ = vae.decode_raw(vae.start(), tensors["latents"])
    chunked = stream(vae.decode_raw, tensors["latents"], case["config"]["chunks"])
    latents, _ = vae.encode(vae.start(), tensors["video"])
    return {
        "decode": difference(raw[..., ::every, ::every], tensors["decode.raw"]),
        "stream": difference(chunked, raw),
        "encode": difference(latents, tensors["encode.latents"]),
    }
