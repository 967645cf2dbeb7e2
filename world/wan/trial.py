"""A tiny computation with the parts of a folder: weights that cannot work are named while it is opened."""

from __future__ import annotations

import torch
from torch import Tensor

from world.dit.attend import Dense
from world.dit.dit import CausalDiT
from world.info import WorldError
from world.wan.files import Files
from world.wan.taehv import TAEHV
from world.wan.umt5 import PromptEncoder
from world.wan.vae import WanVAE
from world.wan.weights import is_finite


@torch.no_grad()
def try_once(files: Files, prompts: PromptEncoder | None, dit: CausalDiT, decoder: WanVAE | TAEHV) -> None:
    """Encode a few words, denoise a latent frame of 4x4 once, and decode it. Without `prompts`, no words are encoded.

    Raises WorldError, with the file's name, if numbers come out that are not finite: finite weights can overflow too.
    What overflows only in larger pictures or after more steps is left to the session, which looks at every block.
    """
    device, config = next(dit.parameters()).device, dit.config
    embedding = torch.zeros(1, 1, config.text_dim) if prompts is None else prompts("a red fox")
    _need_finite(embedding, str(files.text))
    latents = torch.linspace(0, 999, 16 * config.in_dim, device=device).sin().view(1, 1, config.in_dim, 4, 4)
    attend = Dense((2, 2), [0], config.head_dim, device=device)
    timesteps = torch.full((1, 1), 1000.0, device=device)
    prediction = dit(latents, timesteps, dit.words(embedding.to(device)), attend)
    merged = f"{files.base} with {files.lora.name}" if files.lora else str(files.base)
    _need_finite(prediction.half(), merged)  # latents are stored as float16
    _need_finite(decoder.decode_raw(decoder.start(), latents)[0], str(files.decoder))


def _need_finite(result: Tensor, part: str) -> None:
    if not is_finite(result):
        raise WorldError(f"{part} cannot be used: what is computed with these weights overflows")
