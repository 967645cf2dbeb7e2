"""A compact world's text encoder: a tokenizer of the words that it knows, and one transformer layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world.compact.language import Language
from world.compact.small import SMALL
from world.info import split_words

PAD, UNKNOWN, FIRST = 0, 1, 2  # token numbers: padding, a word that is not known, the first concept


def tokenize(texts: list[str], language: Language = SMALL.language) -> Tensor:
    """Token numbers, int64 [B, most_words]: one for each concept or unknown word, then padding.

    Training keeps the unknown words of its captions. A show leaves them out before (`Language.known_words`), since each
    would take the place of a word that is known, and move the picture.
    """
    rows = torch.full((len(texts), language.most_words), PAD)
    for row, text in zip(rows, texts, strict=True):
        numbers = token_numbers(text, language)
        row[: len(numbers)] = torch.tensor(numbers, dtype=torch.long)
    return rows


def token_numbers(text: str, language: Language) -> list[int]:
    """The token numbers of one text, without padding."""
    words = [word for word in split_words(text) if word not in language.silent][: language.most_words]
    return [FIRST + language.numbers[word] if word in language.numbers else UNKNOWN for word in words]


class TextEncoder(nn.Module):
    """Token numbers to vectors: embedding, position, one transformer layer."""

    def __init__(self, dim: int, heads: int = 4, language: Language = SMALL.language) -> None:
        super().__init__()
        self.embedding = nn.Embedding(FIRST + len(language.synonyms), dim)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.position = nn.Parameter(torch.randn(language.most_words, dim) * 0.02)
        self.layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B, L] -> embedding [B, L, dim], zero where padded, and its mean [B, dim]; no words give zeros."""
        is_word = tokens != PAD
        # attention needs at least one key: a prompt without words attends to its first pad, and is zeroed below
        hidden = ~is_word
        hidden[:, 0] = False
        mask = torch.zeros(hidden.shape, dtype=self.position.dtype, device=hidden.device).masked_fill(hidden, -1e9)
        with torch.autocast(tokens.device.type, enabled=False):  # not every device takes such a mask in half precision
            states = self.norm(self.layer(self.embedding(tokens) + self.position, src_key_padding_mask=mask))
        embedding = states * is_word.unsqueeze(-1)
        return embedding, embedding.sum(1) / is_word.sum(1, keepdim=True).clamp(min=1)
