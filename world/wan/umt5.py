"""UMT5: prompts to the text embeddings that Wan models were trained with.

Source: the encoder of google/umt5-xxl as stored in `models_t5_umt5-xxl-enc-bf16.pth`, whose parameter names are kept.
It differs from most transformers: attention is not scaled by the head size, every layer has a bias of its own for
relative positions, and linear layers have no bias.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.info import WorldError
from world.wan.checkpoint import told
from world.wan.weights import HostEmbedding, leave_on_host

TEXT_LENGTH = 512  # tokens, the end mark included


@dataclass(frozen=True)
class UMT5Config:
    """Sizes of the encoder; the defaults are those of UMT5-XXL.

    buckets: groups of relative positions; each has a bias of its own. far: all distances from this one on share one.
    """

    vocabulary: int = 256_384
    dim: int = 4096
    attention_dim: int = 4096
    ffn_dim: int = 10_240
    heads: int = 64
    layers: int = 24
    buckets: int = 32
    far: int = 128


class T5Norm(nn.Module):
    """Normalise to a mean square of one, in float32, then times a learned gain."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)).type_as(self.weight) * self.weight


class Layer(nn.Module):
    """Self-attention and a gated feed-forward, each after a norm and with a shortcut around it."""

    def __init__(self, config: UMT5Config) -> None:
        super().__init__()
        self.heads = config.heads
        dim, wide = config.dim, config.attention_dim
        self.norm1, self.norm2 = T5Norm(dim), T5Norm(dim)
        self.attn = nn.ModuleDict({n: nn.Linear(dim, wide, bias=False) for n in "qkv"})
        self.attn["o"] = nn.Linear(wide, dim, bias=False)
        gate = nn.Sequential(nn.Linear(dim, config.ffn_dim, bias=False), nn.GELU("tanh"))
        up, down = nn.Linear(dim, config.ffn_dim, bias=False), nn.Linear(config.ffn_dim, dim, bias=False)
        self.ffn = nn.ModuleDict({"gate": gate, "fc1": up, "fc2": down})
        self.pos_embedding = nn.ModuleDict({"embedding": nn.Embedding(config.buckets, config.heads)})

    def forward(self, x: Tensor, buckets: Tensor, hidden: Tensor) -> Tensor:
        """x [B, L, dim], buckets int64 [L, L], hidden bool [B, 1, 1, L] (true for padding) -> [B, L, dim]."""
        bias = self.pos_embedding["embedding"](buckets).permute(2, 0, 1)[None].expand(len(x), -1, -1, -1)
        x = x + self._attend(self.norm1(x), bias.masked_fill(hidden, torch.finfo(x.dtype).min))
        y = self.norm2(x)
        return x + self.ffn["fc2"](self.ffn["fc1"](y) * self.ffn["gate"](y))

    def _attend(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (self.attn[n](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for n in "qkv")
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        return self.attn["o"](y.transpose(1, 2).flatten(2))


class UMT5(nn.Module):
    """The encoder: token numbers to one vector per token."""

    def __init__(self, config: UMT5Config | None = None) -> None:
        super().__init__()
        self.config = config or UMT5Config()
        self.token_embedding = nn.Embedding(self.config.vocabulary, self.config.dim)
        self.blocks = nn.ModuleList([Layer(self.config) for _ in range(self.config.layers)])
        self.norm = T5Norm(self.config.dim)

    @torch.no_grad()
    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask [B, L] (mask is 1 for tokens, 0 for padding) -> [B, L, dim] in the weights' dtype."""
        buckets = relative_buckets(ids.shape[1], self.config.buckets, self.config.far).to(ids.device)
        hidden = (mask == 0)[:, None, None, :]
        x = self.token_embedding(ids)
        for block in self.blocks:
            x = block(x, buckets, hidden)
        return self.norm(x)

    def offload(self, device: torch.device) -> None:
        """Compute on `device` from now on, with the weights of the large layers left where they are, in host memory."""
        leave_on_host(self)
        self.register_module("token_embedding", HostEmbedding(self.token_embedding))
        self.to(device)

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:
        """As `forward`, but zero for padding, which is how Wan models expect it."""
        return self(ids, mask) * mask[..., None].to(self.norm.weight.dtype)


def relative_buckets(length: int, buckets: int, far: int) -> Tensor:
    """The bucket of each pair (query, key), by their distance: int64 [length, length].

    Small distances have a bucket each, larger ones share buckets on a logarithmic scale.
    """
    place = torch.arange(length)
    ahead = place[None, :] - place[:, None]
    half, exact = buckets // 2, buckets // 4
    distance = ahead.abs()
    # in float32 and in this order, since edges of buckets fall exactly on whole distances
    grown = torch.log(distance.clamp(min=1).float() / exact) / math.log(far / exact) * (half - exact)
    shared = (exact + grown.long()).clamp(max=half - 1)
    return (ahead > 0).long() * half + torch.where(distance < exact, distance, shared)


class Tokenizer:
    """Text to token numbers, exactly as the Wan models' own tokenizer does it."""

    def __init__(self, folder: Path) -> None:
        """Read `tokenizer.json` in `folder`; raises WorldError if it is damaged, or if it or a library is missing."""
        library, self._fix = _libraries()
        path = folder / "tokenizer.json"
        try:
            if not path.is_file():
                raise WorldError(f"{path} cannot be read as a tokenizer: there is no such file")
            self._tokenizer = library.Tokenizer.from_file(str(path))
            # the file may ask for padding or truncation
            self._tokenizer.no_padding()
            self._tokenizer.no_truncation()
            # the last character is one that nobody knows: a tokenizer without a token for such fails only there
            self._tokenizer.encode("a red fox & 1 café \ue000", add_special_tokens=False)
        except (WorldError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library raises Exception itself, and when it panics BaseException
            raise WorldError(f"{path} cannot be read as a tokenizer: {told(str(error))}") from None
        self._end = self._tokenizer.token_to_id("</s>")
        if self._end is None:
            raise WorldError(f"{path} has no end mark </s>: expected the tokenizer of google/umt5-xxl")

    @property
    def size(self) -> int:
        """One more than the highest number of a token."""
        return max(self._tokenizer.get_vocab().values()) + 1

    def __call__(self, text: str) -> list[int]:
        """The token numbers of `text`, at most TEXT_LENGTH, the end mark last."""
        ids = self._tokenizer.encode(self.clean(text), add_special_tokens=False).ids
        return [*ids[: TEXT_LENGTH - 1], self._end]

    def clean(self, text: str) -> str:
        """`text` with broken characters and HTML entities repaired and white space collapsed."""
        # half of a character, as an escape in JSON can give it, is no text to any library
        text = text.encode("utf-8", "ignore").decode("utf-8")
        return " ".join(html.unescape(html.unescape(self._fix(text))).split())


def _libraries() -> tuple[Any, Any]:
    try:
        import ftfy
        import tokenizers
    except ImportError as error:
        raise WorldError(f"UMT5 needs {error.name}: pip install 'neverblink[wan]'") from None
    return tokenizers, ftfy.fix_text


class PromptEncoder:
    """Prompts to embeddings. Owns the encoder and a cache of the `keep` prompts used last."""

    def __init__(self, model: UMT5, tokenizer: Tokenizer, keep: int = 256) -> None:
        self._model, self._tokenizer, self._keep = model, tokenizer, keep
        self._cache: dict[str, Tensor] = {}

    def __call__(self, text: str) -> Tensor:
        """The embedding of `text`: [1, TEXT_LENGTH, dim] in the weights' dtype, zero after its last token."""
        rows = self._cache.pop(text, None)
        if rows is None:
            rows = self._encode(text)
        self._cache[text] = rows
        if len(self._cache) > self._keep:
            self._cache.pop(next(iter(self._cache)))
        return F.pad(rows, (0, 0, 0, TEXT_LENGTH - rows.shape[1]))

    def _encode(self, text: str) -> Tensor:
        # padding is masked in attention and zeroed afterwards, so the encoder needs only the prompt's own tokens
        ids = torch.tensor([self._tokenizer(text)], device=self._model.norm.weight.device)
        return self._model.embed(ids, torch.ones_like(ids))
