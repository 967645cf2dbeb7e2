"""The bundled world's text encoder: a small thesaurus, a tokenizer and one transformer layer."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

TEXT_LENGTH = 12  # tokens; a longer prompt is cut
_SYNONYMS = {
    "red": "red crimson scarlet ruby fire flame flames blood",
    "orange": "orange amber tangerine sunset autumn",
    "yellow": "yellow golden gold lemon sun sunny desert sand",
    "green": "green emerald lime jade forest grass jungle leaves",
    "cyan": "cyan turquoise teal aqua lagoon",
    "blue": "blue azure sapphire cobalt navy sky",
    "purple": "purple violet lilac indigo night dusk",
    "pink": "pink rose magenta fuchsia blossom candy",
    "white": "white silver grey gray monochrome snow ice",
    "plasma": "plasma cloud clouds liquid fluid smoke fog nebula lava",
    "stripes": "stripes stripe bars bands lines",
    "grid": "grid lattice mesh wireframe net maze city",
    "orbs": "orbs orb balls ball spheres bubbles dots planets moons",
    "waves": "waves wave sea ocean water",
    "rain": "rain raindrops drizzle rainy storm",
    "ripples": "ripples ripple rings ring circles pond",
    "tunnel": "tunnel corridor hallway wormhole cave road",
    "spiral": "spiral swirl pinwheel vortex whirl galaxy",
    "left": "left leftwards leftward",
    "right": "right rightwards rightward",
    "up": "up upwards upward rising",
    "down": "down downwards downward falling sinking",
    "outwards": "outwards outward expanding growing",
    "inwards": "inwards inward contracting shrinking",
    "clockwise": "clockwise",
    "counterclockwise": "counterclockwise anticlockwise",
    "slow": "slow slowly slower calm gentle lazy",
    "fast": "fast faster quick quickly rapid energetic wild",
}
CONCEPTS = tuple(_SYNONYMS)
THESAURUS = {word: concept for concept, words in _SYNONYMS.items() for word in words.split()}
_SILENT = (  # words that mean nothing here and get no token
    "a an and the my of with in on to then now very some scene place full world moving move turning spinning flying"
    " going is are it from over by drawn made all more into"
)
SILENT = frozenset(_SILENT.split())
PAD, UNKNOWN, FIRST = 0, 1, 2  # token numbers: padding, a word that is not known, the first concept


def concepts(text: str) -> list[str]:
    """The concepts that `text` names, in order; words that are not known are left out."""
    return [THESAURUS[word] for word in _words(text) if word in THESAURUS]


def unknown_words(text: str) -> list[str]:
    """The words of `text` that the bundled world does not know, in order."""
    return [word for word in _words(text) if word not in THESAURUS and word not in SILENT]


def tokenize(texts: list[str]) -> Tensor:
    """Token numbers, int64 [B, TEXT_LENGTH]: one for each concept or unknown word, then padding."""
    rows = torch.full((len(texts), TEXT_LENGTH), PAD)
    for row, text in zip(rows, texts, strict=True):
        words = [word for word in _words(text) if word not in SILENT][:TEXT_LENGTH]
        ids = [FIRST + CONCEPTS.index(THESAURUS[word]) if word in THESAURUS else UNKNOWN for word in words]
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return rows


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


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
