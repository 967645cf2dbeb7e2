"""The parts of a folder of Wan checkpoints: all are found first, then read one by one.

Which file holds the weights is told by world.wan.family. Source: the file names and key names of the released
Wan2.1-T2V-1.3B and LongLive-1.3B checkpoints.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from world.dit.config import DiTConfig
from world.dit.dit import CausalDiT
from world.info import WorldError
from world.wan.adapter import read_rules
from world.wan.checkpoint import Tensors, read_checkpoint, read_json
from world.wan.family.places import LONGLIVE, WAN, WAN_14B, need
from world.wan.family.recognise import Recognised, recognise
from world.wan.lora import Lora
from world.wan.names import (
    CONTAINERS,
    encoder_names,
    plain_names,
    refuse_strangers,
    state_dict_in,
    state_dict_of,
    transformer_names,
)
from world.wan.scales import Scales, without_scales
from world.wan.taehv import TAEHV, TAEHVConfig, trim_grow
from world.wan.umt5 import TEXT_LENGTH, UMT5, PromptEncoder, Tokenizer, UMT5Config
from world.wan.vae import VAEConfig, WanVAE
from world.wan.weights import FLOATS, check_fit, fill

log = logging.getLogger(__name__)

ANYWHERE = (*WAN, *WAN_14B)
# Published names first, then those under which people have the same file.
TEXT = (
    *("models_t5_umt5-xxl-enc-bf16.pth", "models_t5_umt5-xxl-enc-bf16.safetensors"),
    *("umt5-xxl-enc-bf16.safetensors", "umt5-xxl-enc-fp8_e4m3fn.safetensors"),
    *("umt5_xxl_fp16.safetensors", "umt5_xxl_fp8_e4m3fn_scaled.safetensors"),
)
DECODERS = {
    "vae": (ANYWHERE, "Wan2.1_VAE.pth", "Wan2.1_VAE.safetensors"),
    "taehv": (LONGLIVE + ANYWHERE, "taew2_1.pth", "taew2_1.safetensors"),
}

LARGEST = {"num_layers": 1000}
LARGEST_WIDTH = 2**20


@dataclass(frozen=True)
class Files:
    """The path of each part of a world, and how the folder is to be played."""

    plan: Recognised
    decoder: Path
    text: Path
    tokenizer: Path

    @property
    def config(self) -> Path:
        """The sizes of the transformer."""
        return self.plan.config

    @property
    def base(self) -> Path:
        """The transformer's weights."""
        return self.plan.weights

    @property
    def lora(self) -> Path | None:
        """What is merged into them."""
        return self.plan.lora


def survey(folder: Path, decoder: str) -> Files:
    """Find all parts in `folder` before the first gigabyte is read.

    decoder: `vae`, Wan's own, or `taehv`, the fast one.
    Raises WorldError that names what is missing and the places that were looked at.
    """
    if decoder not in DECODERS:
        raise WorldError(f"decoder {decoder!r}: expected one of {', '.join(DECODERS)}")
    plan = recognise(folder)
    if plan.family.loras and plan.lora is None:
        log.warning("%s has no %s: plays the base without its LoRA", folder, plan.family.loras[0])
    return Files(
        plan=plan,
        decoder=need(folder, *DECODERS[decoder]),
        text=need(folder, ANYWHERE, *TEXT),
        tokenizer=need(folder, ANYWHERE, "google/umt5-xxl"),
    )


def read_sizes(path: Path) -> DiTConfig:
    """The transformer's sizes from config.json; raises WorldError if it describes something else."""
    try:
        content = read_json(path)
        if content.get("model_type", "t2v") != "t2v":
            raise ValueError("expected model_type t2v")
        sizes = {field.name: content[field.name] for field in fields(DiTConfig) if field.name in content}
        if not all(type(size) is int and size > 0 for size in sizes.values()):
            raise ValueError("expected whole numbers above 0")
        # far larger ones would take hours to build before any file is read
        large = [name for name, size in sizes.items() if size > LARGEST.get(name, LARGEST_WIDTH)]
        if large:
            raise ValueError(f"{large[0]} is too large: at most {LARGEST.get(large[0], LARGEST_WIDTH):,}")
        if sizes.get("text_len", TEXT_LENGTH) != TEXT_LENGTH:
            raise ValueError(f"text_len is {sizes['text_len']}, the text encoder gives {TEXT_LENGTH} rows")
        config = DiTConfig(**sizes)
        if config.in_dim != config.out_dim:
            raise ValueError(f"in_dim is {config.in_dim}, out_dim {config.out_dim}: expected the same")
        return config
    except ValueError as error:
        raise WorldError(f"{path} does not describe a Wan text-to-video model: {error}") from None


def read_transformer(files: Files, sizes: DiTConfig, dtype: torch.dtype, device: torch.device) -> CausalDiT:
    """The causal transformer, with its LoRA, if there is one, merged."""
    with torch.device("meta"):
        dit = CausalDiT(sizes)
    tensors, scales = read_weights(files.plan)
    # before the LoRA is looked at: a base that does not fit makes every LoRA look wrong
    check_fit(dit, tensors, files.base)
    if files.lora is None:
        fill(dit, tensors, files.base, dtype, device, scales.applied)
        return dit
    entries = ("generator_lora", "lora", "lora_state_dict", "adapter", *CONTAINERS)
    updates = state_dict_in(read_checkpoint(files.lora), files.lora, entries)
    lora = Lora(updates, files.lora, tensors, read_rules(files.lora))

    def change(name: str, weight: Tensor) -> Tensor:
        return lora.merged(name, scales.applied(name, weight))

    fill(dit, tensors, files.base, dtype, device, change)
    return dit


def read_weights(plan: Recognised) -> tuple[Tensors, Scales]:
    """The transformer's weights under their plain names, and the scales of those that are scaled."""
    path = plan.weights
    tensors = plain_names(state_dict_of(read_checkpoint(path), path, plan.entry, plan.is_said), path)
    refuse_strangers(tensors, path)
    return without_scales(transformer_names(tensors), path)


def check_weights(plan: Recognised) -> int:
    """How many tensors the transformer's weights are; raises WorldError where they do not fit the sizes."""
    with torch.device("meta"):
        dit = CausalDiT(read_sizes(plan.config))
    tensors, _ = read_weights(plan)
    check_fit(dit, tensors, plan.weights)
    return len(tensors)


def _read(path: Path, renamed: Callable[[Tensors], Tensors] = lambda tensors: tensors) -> tuple[Tensors, Scales]:
    """The weights in a checkpoint under their plain names, `renamed`, and the scales of those that are scaled."""
    return without_scales(renamed(plain_names(state_dict_in(read_checkpoint(path), path), path)), path)


def read_decoder(path: Path, dtype: torch.dtype, device: torch.device) -> WanVAE | TAEHV:
    """Wan's own VAE or the fast decoder, depending on the file's name."""
    tensors, scales = _read(path)
    decoder: WanVAE | TAEHV
    with torch.device("meta"):
        if path.name in DECODERS["vae"]:
            decoder = WanVAE(_vae_sizes(tensors))
        else:
            decoder = TAEHV(_taehv_sizes(tensors))
            tensors = trim_grow(tensors, decoder.config)
    fill(decoder, tensors, path, dtype, device, scales.applied)
    return decoder


def read_prompts(files: Files, sizes: DiTConfig, device: torch.device, offload: bool = False) -> PromptEncoder:
    """The text encoder with its tokenizer, both tried on a word.

    offload: compute on `device` with weights that stay in host memory and are copied there for each prompt.
    """
    tokenizer = Tokenizer(files.tokenizer)
    tensors, scales = _read(files.text, encoder_names)
    config = _umt5_sizes(tensors)
    if config.attention_dim % config.heads:
        raise WorldError(f"{files.text} has {config.heads} heads in a width of {config.attention_dim}")
    with torch.device("meta"):
        model = UMT5(config)
    held = torch.device("cpu") if offload else device
    fill(model, tensors, files.text, _encoder_dtype(tensors), held, scales.applied)
    if offload:
        model.offload(device)
    if model.config.dim != sizes.text_dim:
        raise WorldError(f"{files.text} is {model.config.dim} wide, {files.config} expects text_dim {sizes.text_dim}")
    if model.config.vocabulary < tokenizer.size:
        raise WorldError(f"{files.tokenizer} knows {tokenizer.size} tokens, {files.text} {model.config.vocabulary}")
    return PromptEncoder(model, tokenizer)


def _encoder_dtype(tensors: Tensors) -> torch.dtype:
    """The dtype to compute prompts in: float32 if most of the weights are so, bfloat16 for all smaller ones.

    Weights of that dtype stay memory-mapped on a CPU. float16 overflows in this encoder.
    """
    counts = dict.fromkeys(FLOATS, 0)
    for tensor in tensors.values():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    most = max(counts, key=lambda dtype: counts[dtype])
    return torch.float32 if most in (torch.float32, torch.float64) else torch.bfloat16


# Sizes follow from the shapes of tensors. If one is missing, the released size is assumed and `fill` then complains.


def _shape(tensors: Tensors, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    found = tensors.get(name)
    return default if found is None or found.ndim != len(default) or not found.numel() else tuple(found.shape)


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
    # how many there are, not the highest number: a wrong name must not build a million layers
    layers = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    return UMT5Config(
        vocabulary=vocabulary,
        dim=dim,
        attention_dim=_shape(tensors, "blocks.0.attn.q.weight", (4096, dim))[0],
        ffn_dim=_shape(tensors, "blocks.0.ffn.fc1.weight", (10_240, dim))[0],
        heads=_shape(tensors, "blocks.0.pos_embedding.embedding.weight", (32, 64))[1],
        layers=len(layers) or 24,
    )
