"""Kind `wan_vae`: the Wan VAE's decoder in one go and in chunks, and its encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference, differences, state_dict
from world.wan.vae import VAEConfig, WanVAE


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
    return vae.to(next(iter(tensors.values())).device)


def stream(decode_raw: Any, latents: Tensor, chunks: list[int]) -> list[Tensor]:
    """Unclamped pixels of `latents`, for each of `chunks` of latent frames."""
    state: Any = ()
    frames = []
    for chunk in latents.split(chunks, dim=1):
        raw, state = decode_raw(state, chunk)
        frames.append(raw)
    return frames


def decode_errors(vae: WanVAE, tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """How far pixels are off; `stream` is against our own decode in one go and must be 0."""
    every, latents = case.get("pixel_stride", 1), tensors["latents"]
    raw, _ = vae.decode_raw(vae.start(), latents)
    chunks = stream(vae.decode_raw, latents, case["config"].get("chunks", [latents.shape[1]]))
    chunked, lengths = torch.cat(chunks, 1), [chunk.shape[1] for chunk in chunks]
    pixels = {"decode.raw": raw, "decode.pixels": raw.clamp(-1, 1), "decode.stream": chunked}
    errors = differences({name: frames[..., ::every, ::every] for name, frames in pixels.items()}, tensors)
    is_right = lengths == case.get("stream_chunk_frames", lengths)
    own = {"stream": difference(chunked, raw), "stream_chunk_frames": 0.0 if is_right else 1.0}
    return {**errors, **own} if errors else {}


def encode_error(vae: WanVAE, tensors: dict[str, Tensor]) -> dict[str, float]:
    """How far latents are off; the reference drops a last group of fewer than four frames, where ours refuses it."""
    video = tensors["video"]
    whole = 1 + (video.shape[1] - 1) // 4 * 4
    return differences({"encode.latents": vae.encode(vae.start(), video[:, :whole])[0]}, tensors)


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output that the case has."""
    vae, errors = build(tensors, case), {}
    if "latents" in tensors:
        errors |= decode_errors(vae, tensors, case)
    if "video" in tensors:
        errors |= encode_error(vae, tensors)
    return errors
