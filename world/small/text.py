"""The bundled world's text encoder: a tokenizer of the words in its thesaurus, and one transformer layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world.info import split_words
from world.small.thesaurus import CONCEPTS, SILENT, TEXT_LENGTH, THESAURUS

PAD, UNKNOWN, FIRST = 0, 1, 2  # token numbers: padding, a word that is not known, the first concept


def concepts(text: str) -> list[str]:
    """The concepts that `text` names, in order; words that are not known are left out."""
    return [THESAURUS[word] for word in split_words(text) if word in THESAURUS]


def unknown_words(text: str) -> list[str]:
    """The words of `text` that the bundled world does not know, in order."""
    return [word for word in split_words(text) if word not in THESAURUS and word not in SILENT]


def known_words(text: str) -> str:
    """`text` without the words that the bundled world does not know, and without those that mean nothing."""
    return " ".join(word for word in split_words(text) if word in THESAURUS)


def tokenize(texts: list[str]) -> Tensor:
    """Token numbers, int64 [B, TEXT_LENGTH]: one for each concept or unknown word, then padding.

    Training keeps the unknown words of its captions. A show leaves them out before (`known_words`), since each would
    take the place of a word that is known, and move the picture.
    """
    rows = torch.full((len(texts), TEXT_LENGTH), PAD)
    for row, text in zip(rows, texts, strict=True):
        words = [word for word in split_words(text) if word not in SILENT][:TEXT_LENGTH]
        ids = [FIRST + CONCEPTS.index(THESAURUS[word]) if word in THESAURUS else UNKNOWN for word in words]
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return rows


class TextEncoder(nn.Module):
    """Token numbers to vectors: embedding, position, one transformer layer."""

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(FIRST + len(CONCEPTS), dim)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.position = nn.Parameter(torch.randn(TEXT_LENGTH, dim) * 0.02)
        self.layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B, L] -> embedding [B, L, dim], zero where padded, and its mean [B, dim]; no words give zeros."""
        is_word = tokens != PAD
        # attention needs at least one key: a prompt without words attends to its first pad, and is zeroed below
        hidden = ~is_word
        hidden[:, 0] = False
        mask = torch.zeros(hidden.shape, dtype=self.position.dtype, device=hidden.device).masked_fill(hidden, -1e9)
        states = self.norm(self.layer(self.embedding(tokens) + self.position, src_key_padding_mask=mask))
        embedding = states * is_word.unsqueeze(-1)
        return embedding, embedding.sum(1) / is_word.sum(1, keepdim=True).clamp(min=1)
