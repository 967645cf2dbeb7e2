"""Kind `taehv`: the tiny autoencoder's decoder in one go and in chunks, and its encoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tests.conformance import difference, state_dict
from tests.conformance.vae import stream
from world.taehv import TAEHV, TAEHVConfig


def build(tensors: dict[str, Tensor], case: dict[str, Any]) -> TAEHV:
    """The case's model, its weights loaded."""
    sizes = case["config"]
    taehv = TAEHV(TAEHVConfig(sizes["latent_channels"], tuple(sizes["decoder_channels"]), sizes["encoder_channels"]))
    taehv.load_state_dict(state_dict(tensors))
    return taehv


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output; `stream` is against our own decode in one go and must be 0."""
    taehv, every = build(tensors, case), case.get("pixel_stride", 1)
    raw, _ = taehv.decode_raw(taehv.start(), tensors["latents"])
    chunked = stream(taehv.decode_raw, tensors["latents"], case["config"]["chunks"])
    latents, _ = taehv.encode(taehv.start(), tensors["video"])
    return {
        "decode": difference(raw[..., ::every, ::every], tensors["decode.raw"]),
        "stream": difference(chunked, raw),
        "encode": difference(latents, tensors["encode.latents"]),
    }
