"""The parts of a folder of Wan checkpoints: all are found first, then read one by one.

Source: the file names and key names of the released Wan2.1-T2V-1.3B and LongLive-1.3B checkpoints.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from world.dit.config import DiTConfig
from world.dit.dit import CausalDiT
from world.info import WorldError
from world.wan.checkpoint import Tensors, fill, find, need, only_tensors, read_checkpoint
from world.wan.lora import Lora
from world.wan.taehv import TAEHV, TAEHVConfig, trim_grow
from world.wan.umt5 import TEXT_LENGTH, UMT5, PromptEncoder, Tokenizer, UMT5Config
from world.wan.vae import VAEConfig, WanVAE

log = logging.getLogger(__name__)

WAN = ("wan_models/Wan2.1-T2V-1.3B", "Wan2.1-T2V-1.3B", ".")
LONGLIVE = ("longlive_models/models", "models", ".")
DECODERS = {"vae": (WAN, "Wan2.1_VAE.pth"), "taehv": (LONGLIVE + WAN, "taew2_1.pth")}


@dataclass(frozen=True)
class Files:
    """The path of each part of a world."""

    config: Path
    base: Path
    lora: Path | None
    decoder: Path
    text: Path
    tokenizer: Path


def survey(folder: Path, decoder: str) -> Files:
    """Find all parts in `folder` before the first gigabyte is read.

    decoder: `vae`, Wan's own, or `taehv`, the fast one.
    Raises WorldError that names what is missing and the places that were looked at.
    """
    if decoder not in DECODERS:
        raise WorldError(f"decoder {decoder!r}: expected one of {', '.join(DECODERS)}")
    config = find(folder, WAN, "config.json")
    if config is None:
        raise WorldError(f"{folder} is not a folder of Wan checkpoints: looked for {WAN[0]}/config.json, config.json")
    base = find(folder, LONGLIVE, "longlive_base.pt")
    plain = find(folder, WAN, "diffusion_pytorch_model.safetensors")
    if base is None and plain is not None:
        log.warning("%s has no longlive_base.pt; Wan's own weights want many steps: expect noise", folder)
    return Files(
        config=config,
        base=base or plain or need(folder, LONGLIVE, "longlive_base.pt"),
        lora=find(folder, LONGLIVE, "lora.pt") if base else None,
        decoder=need(folder, *DECODERS[decoder]),
        text=need(folder, WAN, "models_t5_umt5-xxl-enc-bf16.pth"),
        tokenizer=need(folder, WAN, "google/umt5-xxl"),
    )


def read_sizes(path: Path) -> DiTConfig:
    """The transformer's sizes from config.json; raises WorldError if it describes something else."""
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict) or content.get("model_type", "t2v") != "t2v":
            raise ValueError("expected model_type t2v")
        sizes = {field.name: content[field.name] for field in fields(DiTConfig) if field.name in content}
        if not all(type(size) is int and size > 0 for size in sizes.values()):
            raise ValueError("expected whole numbers above 0")
        if sizes.get("text_len", TEXT_LENGTH) != TEXT_LENGTH:
            raise ValueError(f"text_len is {sizes['text_len']}, the text encoder gives {TEXT_LENGTH} rows")
        return DiTConfig(**sizes)
    except (ValueError, OSError) as error:
        raise WorldError(f"{path} does not describe a Wan text-to-video model: {error}") from None


def read_transformer(files: Files, sizes: DiTConfig, dtype: torch.dtype, device: torch.device) -> CausalDiT:
    """The causal transformer, with its LoRA, if there is one, merged."""
    with torch.device("meta"):
        dit = CausalDiT(sizes)
    tensors = _plain_names(_entry(files.base, ("generator", "generator_ema", "model")))
    if files.lora is None:
        fill(dit, tensors, files.base, dtype, device)
    else:
        lora = Lora(_plain_names(_entry(files.lora, ("generator_lora",))), files.lora, _alpha(files.lora))
        lora.check(tensors)
        fill(dit, tensors, files.base, dtype, device, lora.merged)
    return dit


def _entry(path: Path, names: tuple[str, ...]) -> Tensors:
    """The state dict under the first of `names` that the file has, or else the whole file."""
    content = read_checkpoint(path)
    inner = next((content[name] for name in names if isinstance(content.get(name), Mapping)), content)
    return only_tensors(inner, path)


def _plain_names(tensors: Tensors) -> Tensors:
    """`tensors` under their plain names, without what wrappers and sharded training add."""
    return {name.replace("_fsdp_wrapped_module.", "").removeprefix("model."): t for name, t in tensors.items()}


def _alpha(lora: Path) -> float | None:
    """`lora_alpha` from PEFT's adapter_config.json beside the file, if any: the tensors do not tell."""
    path = lora.with_name("adapter_config.json")
    if not path.exists():
        return None
    try:
        return float(json.loads(path.read_text())["lora_alpha"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorldError(f"{path} has no number lora_alpha: {error}") from None


def read_decoder(path: Path, dtype: torch.dtype, device: torch.device) -> WanVAE | TAEHV:
    """Wan's own VAE or the fast decoder, depending on the file's name."""
    tensors = only_tensors(read_checkpoint(path), path)
    decoder: WanVAE | TAEHV
    with torch.device("meta"):
        if path.name == DECODERS["vae"][1]:
            decoder = WanVAE(_vae_sizes(tensors))
        else:
            decoder = TAEHV(_taehv_sizes(tensors))
            tensors = trim_grow(tensors, decoder.config)
    fill(decoder, tensors, path, dtype, device)
    return decoder


def read_prompts(files: Files, sizes: DiTConfig, device: torch.device) -> PromptEncoder:
    """The text encoder with its tokenizer. Weights keep the file's dtype, so that on a CPU they stay memory-mapped."""
    tokenizer = Tokenizer(files.tokenizer)
    tensors = only_tensors(read_checkpoint(files.text), files.text)
    with torch.device("meta"):
        model = UMT5(_umt5_sizes(tensors))
    fill(model, tensors, files.text, next(iter(tensors.values())).dtype, device)
    if model.config.dim != sizes.text_dim:
        raise WorldError(f"{files.text} is {model.config.dim} wide, {files.config} expects text_dim {sizes.text_dim}")
    if model.config.vocabulary < tokenizer.size:
        raise WorldError(f"{files.tokenizer} knows {tokenizer.size} tokens, {files.text} {model.config.vocabulary}")
    return PromptEncoder(model, tokenizer)


# Sizes follow from the shapes of tensors. If one is missing, the released size is assumed and `fill` then complains.


def _shape(tensors: Tensors, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    found = tensors.get(name)
    return default if found is None or found.ndim != len(default) else tuple(found.shape)


def _vae_sizes(tensors: Tensors) -> VAEConfig:
    dim = _shape(tensors, "encoder.conv1.weight", (96, 3, 3, 3, 3))[0]
    first_down = [i for i in range(20) if f"encoder.downsamples.{i}.resample.1.weight" in tensors]
    return VAEConfig(dim=dim, res_blocks=first_down[0] if first_down else 2)


def _taehv_sizes(tensors: Tensors) -> TAEHVConfig:
    released = {1: 256, 8: 128, 14: 64, 20: 64}
    a, b, c, d = (_shape(tensors, f"decoder.{i}.weight", (width, 0, 3, 3))[0] for i, width in released.items())
    return TAEHVConfig(decoder=(a, b, c, d), encoder=_shape(tensors, "encoder.0.weight", (64, 3, 3, 3))[0])


def _umt5_sizes(tensors: Tensors) -> UMT5Config:
    vocabulary, dim = _shape(tensors, "token_embedding.weight", (256_384, 4096))
    layers = {int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")}
    return UMT5Config(
        vocabulary=vocabulary,
        dim=dim,
        attention_dim=_shape(tensors, "blocks.0.attn.q.weight", (4096, dim))[0],
        ffn_dim=_shape(tensors, "blocks.0.ffn.fc1.weight", (10_240, dim))[0],
        heads=_shape(tensors, "blocks.0.pos_embedding.embedding.weight", (32, 64))[1],
        layers=max(layers, default=23) + 1,
    )
