"""Makes folders of random weights in the exact public layout of Wan2.1 and LongLive, at a tiny size.

The names are written out here from the public files and not taken from our own modules: they are what is tested.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from world.wan.taehv import TAEHV, TAEHVConfig
from world.wan.vae import VAEConfig, WanVAE

LINE = "a red fox runs over the green hill into a blue night ; rain falls on roofs while Tom & Jerry 'wait' ."
WAN = Path("wan_models/Wan2.1-T2V-1.3B")
LONGLIVE = Path("longlive_models/models")
LINEARS = [f"{a}_attn.{n}" for a in ("self", "cross") for n in "qkvo"] + ["ffn.0", "ffn.2"]


@dataclass(frozen=True)
class Sizes:
    """The tiny model; head_dim is 12: two, two and two pairs of RoPE."""

    dim: int = 24
    ffn: int = 32
    freq: int = 16
    text: int = 8
    heads: int = 2
    layers: int = 2
    rank: int = 2

    def config(self) -> dict:
        """The content of config.json; `text_dim` is left out of the public file, where it is 4096."""
        return {
            "_class_name": "WanModel",
            "_diffusers_version": "0.30.0",
            "dim": self.dim,
            "eps": 1e-06,
            "ffn_dim": self.ffn,
            "freq_dim": self.freq,
            "in_dim": 16,
            "model_type": "t2v",
            "num_heads": self.heads,
            "num_layers": self.layers,
            "out_dim": 16,
            "text_len": 512,
            "text_dim": self.text,
        }


def _random(shape: tuple[int, ...], chance: torch.Generator) -> Tensor:
    fan_in = max(1, torch.Size(shape[1:]).numel())
    return torch.randn(shape, generator=chance) / fan_in**0.5


def transformer(sizes: Sizes, seed: int = 0) -> dict[str, Tensor]:
    """The 15 + 27 per layer tensors of the transformer under their public names."""
    d, chance = sizes.dim, torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {"patch_embedding": (d, 16, 1, 2, 2), "head.head": (64, d)}
    shapes |= {"text_embedding.0": (d, sizes.text), "text_embedding.2": (d, d)}
    shapes |= {"time_embedding.0": (d, sizes.freq), "time_embedding.2": (d, d), "time_projection.1": (6 * d, d)}
    plain: dict[str, tuple[int, ...]] = {"head.modulation": (1, 2, d)}
    for i in range(sizes.layers):
        wide = {"ffn.0": (sizes.ffn, d), "ffn.2": (d, sizes.ffn)}
        shapes |= {f"blocks.{i}.{name}": wide.get(name, (d, d)) for name in LINEARS}
        shapes[f"blocks.{i}.norm3"] = (d,)
        plain[f"blocks.{i}.modulation"] = (1, 6, d)
        plain |= {f"blocks.{i}.{a}_attn.norm_{n}.weight": (d,) for a in ("self", "cross") for n in "qk"}
    weights = {f"{name}.weight": _random(shape, chance) for name, shape in shapes.items()}
    biases = {f"{name}.bias": _random(shape[:1], chance) * 0.1 for name, shape in shapes.items()}
    return weights | biases | {name: _random(shape, chance) for name, shape in plain.items()}


def lora(sizes: Sizes, seed: int = 5) -> dict[str, Tensor]:
    """PEFT's tensors for every linear layer in the blocks."""
    base, chance = transformer(sizes), torch.Generator().manual_seed(seed)
    found = {}
    for layer in (f"blocks.{i}.{name}" for i in range(sizes.layers) for name in LINEARS):
        outer, inner = base[f"{layer}.weight"].shape
        found[f"base_model.model.{layer}.lora_A.weight"] = _random((sizes.rank, inner), chance)
        found[f"base_model.model.{layer}.lora_B.weight"] = _random((outer, sizes.rank), chance)
    return found


def umt5(vocabulary: int, dim: int, seed: int = 6) -> dict[str, Tensor]:
    """The text encoder: two layers of two heads."""
    chance = torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {"token_embedding.weight": (vocabulary, dim), "norm.weight": (dim,)}
    for block in ("blocks.0.", "blocks.1."):
        shapes |= {f"{block}norm{n}.weight": (dim,) for n in (1, 2)}
        shapes |= {f"{block}attn.{n}.weight": (dim, dim) for n in "qkvo"}
        shapes |= {f"{block}ffn.{n}.weight": (2 * dim, dim) for n in ("gate.0", "fc1")}
        shapes |= {f"{block}ffn.fc2.weight": (dim, 2 * dim), f"{block}pos_embedding.embedding.weight": (32, 2)}
    return {name: _random(shape, chance) for name, shape in shapes.items()}


def write_tokenizer(folder: Path) -> int:
    """Train a tiny tokenizer of UMT5's kind into `folder`; gives the size of its vocabulary."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    words = LINE.split()
    lines = [" ".join(words[i:] + words[:i]) for i in range(len(words))]
    marks = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=marks, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()


def write_folder(folder: Path, sizes: Sizes | None = None) -> Path:
    """A whole folder: Wan's files, LongLive's base and LoRA, both decoders, the tokenizer."""
    sizes = sizes or Sizes()
    (folder / WAN).mkdir(parents=True)
    (folder / LONGLIVE).mkdir(parents=True)
    (folder / WAN / "config.json").write_text(json.dumps(sizes.config()))
    save_file(transformer(sizes, seed=1), folder / WAN / "diffusion_pytorch_model.safetensors")
    base = {f"model.{name}": t for name, t in transformer(sizes).items()}
    torch.save({"generator": base, "step": 700}, folder / LONGLIVE / "longlive_base.pt")
    torch.save({"generator_lora": lora(sizes), "step": 3000}, folder / LONGLIVE / "lora.pt")
    vocabulary = write_tokenizer(folder / WAN / "google/umt5-xxl")
    encoder = {name: t.bfloat16() for name, t in umt5(vocabulary, sizes.text).items()}
    torch.save(encoder, folder / WAN / "models_t5_umt5-xxl-enc-bf16.pth")
    torch.manual_seed(0)
    torch.save(WanVAE(VAEConfig(dim=4, res_blocks=1)).state_dict(), folder / WAN / "Wan2.1_VAE.pth")
    torch.save(TAEHV(TAEHVConfig(decoder=(8, 6, 4, 4), encoder=4)).state_dict(), folder / "taew2_1.pth")
    return folder
