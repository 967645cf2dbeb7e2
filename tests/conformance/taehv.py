"""Kind `taehv`: the tiny autoencoder's decoder in one go and in chunks, and its encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference, differences, state_dict
from tests.conformance.vae import stream
from world.wan.taehv import TAEHV, TRIM, TAEHVConfig


def build(tensors: dict[str, Tensor], case: dict[str, Any]) -> TAEHV:
    """The case's model, its weights loaded."""
    sizes = case["config"]
    taehv = TAEHV(TAEHVConfig(sizes["latent_channels"], tuple(sizes["decoder_channels"]), sizes["encoder_channels"]))
    taehv.load_state_dict(state_dict(tensors))
    return taehv.to(next(iter(tensors.values())).device)


def decode_errors(taehv: TAEHV, tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """How far pixels are off; `stream` is against our own decode in one go and must be 0."""
    every, latents = case.get("pixel_stride", 1), tensors["latents"]
    chunks = case["config"].get("chunks", [latents.shape[1]])
    clips = latents.split(1)  # a stream is one clip: a batch is decoded one by one
    raw = torch.cat([taehv.decode_raw(taehv.start(), clip)[0] for clip in clips])
    streams = [stream(taehv.decode_raw, clip, chunks) for clip in clips]
    chunked = torch.cat([torch.cat(frames, 1) for frames in streams])
    pixels = {"decode.raw": raw, "decode.frames": shown(raw), "decode.stream": shown(chunked)}
    errors = differences({name: frames[..., ::every, ::every] for name, frames in pixels.items()}, tensors)
    first, *rest = (frames.shape[1] for frames in streams[0])
    lengths = [first - TRIM, *rest]
    is_right = lengths == case["config"].get("frames_per_chunk", lengths)
    own = {"stream": difference(chunked, raw), "frames_per_chunk": 0.0 if is_right else 1.0}
    return {**errors, **own} if errors else {}


def shown(raw: Tensor) -> Tensor:
    """What a window shows of raw pixels [B, n, 3, Y, X]: nothing from before the first latent frame, and 0 to 1."""
    return raw[:, TRIM:].clamp(0, 1)


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output that the case has."""
    taehv, errors = build(tensors, case), {}
    if "latents" in tensors:
        errors |= decode_errors(taehv, tensors, case)
    if "video" in tensors:
        latents = [taehv.encode(taehv.start(), clip)[0] for clip in tensors["video"].split(1)]
        errors |= differences({"encode.latents": torch.cat(latents)}, tensors)
    return errors
