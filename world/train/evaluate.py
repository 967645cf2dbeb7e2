"""How good the bundled world is: colours by pixels, scenes and motion by a recogniser of clips, and a sheet."""

from __future__ import annotations

import json
import logging
import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.decoder import LinearLatents, PictureDecoder
from world.small import SmallModel
from world.train.batches import Source
from world.train.captions import COLOURS, KINDS, SCENES, SPEEDS, Look, caption, imagine
from world.train.library import Library
from world.train.progress import Budget, rate
from world.train.rollout import Recipe, Streams

log = logging.getLogger(__name__)
WAYS = tuple(sorted({way for ways in SCENES.values() for way in ways}))
LABELS = {"scene": tuple(SCENES), "direction": WAYS, "speed": tuple(SPEEDS)}
SHEET = tuple(f"{colour} {scene}" for scene, colour in zip(SCENES, COLOURS, strict=True))


class Recogniser(nn.Module):
    """Scene, direction and speed of two blocks in latents. It reads texture and flatters: look at the sheet too."""

    def __init__(self, channels: int, rows: int, columns: int, width: int = 64) -> None:
        super().__init__()
        sizes = ((2 * channels, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 2))
        self.layers = nn.Sequential(*(layer for size in sizes for layer in self._layer(*size)))
        size = -(-rows // 4) * -(-columns // 4)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width * size, len(of)) for name, of in LABELS.items()})

    @staticmethod
    def _layer(inward: int, outward: int, stride: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inward, outward, 3, stride, 1), nn.GroupNorm(8, outward), nn.GELU()

    def forward(self, pair: Tensor) -> dict[str, Tensor]:
        """pair [B, 2, C, h, w] -> logits of each label."""
        seen = F.dropout(self.layers(pair.flatten(1, 2)).flatten(1), 0.2, self.training)
        return {name: head(seen) for name, head in self.heads.items()}

    @torch.no_grad()
    def hits(self, pair: Tensor, looks: list[Look]) -> dict[str, Tensor]:
        """For each label, which of the looks were recognised, [B] bool."""
        return {name: logits.argmax(1) == targets(looks, name) for name, logits in self(pair).items()}


def targets(looks: list[Look], label: str) -> Tensor:
    """Class numbers of one label."""
    return torch.tensor([LABELS[label].index(getattr(look, label)) for look in looks])


def train_recogniser(library: Library, latents: LinearLatents, minutes: float, seed: int = 0) -> Recogniser:
    """A recogniser of the clips in `library`."""
    torch.manual_seed(seed)
    g, source = latents.geometry, Source(library, latents, seed + 77)
    model = Recogniser(g.channels, g.rows, g.columns)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    budget, step = Budget(minutes), 0
    while budget.share < 1:
        optimiser.param_groups[0]["lr"] = 2e-3 * rate(step, budget.share)
        pairs, looks = source.pairs(48)
        pairs = pairs + torch.randn_like(pairs) * 0.1 * torch.rand(len(pairs), 1, 1, 1, 1)
        out = model(pairs)
        loss = sum(F.cross_entropy(out[name], targets(looks, name)) for name in LABELS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
    log.info("recogniser: %d steps, loss %.3f", step, loss.item())
    return model.eval()


def nearest_colours(frames: Tensor) -> list[str]:
    """The colour of each picture, frames [B, T, 3, Y, X] in -1 to 1: what its bright pixels point to."""
    pixels = ((frames.clamp(-1, 1) + 1) * 127.5).transpose(1, 2).flatten(2)
    weight = pixels.amax(1, keepdim=True) ** 2
    seen = F.normalize((pixels * weight).sum(2), dim=1)
    known = F.normalize(torch.tensor(list(COLOURS.values())).float(), dim=1)
    return [list(COLOURS)[i] for i in (seen @ known.T).argmax(1).tolist()]


@dataclass(frozen=True)
class Judge:
    """What is needed to score a model."""

    model: SmallModel
    decoder: PictureDecoder
    recogniser: Recogniser
    recipe: Recipe

    @torch.no_grad()
    def score(self, latents: Tensor, looks: list[Look]) -> dict[str, float]:
        """Shares that are right, for two blocks [B, 2, C, h, w] of each look, and how much moves."""
        scores = {name: float(hits.float().mean()) for name, hits in self.recogniser.hits(latents, looks).items()}
        seen = nearest_colours(self.decoder(latents[:, 1], latents[:, 0]))
        scores["colour"] = sum(a == look.colour for a, look in zip(seen, looks, strict=True)) / len(looks)
        scores["spread"] = float(latents.std())
        return {name: round(value, 3) for name, value in scores.items()}

    def prompts(self, count: int = 108, blocks: int = 24, seed: int = 5) -> dict[str, dict[str, float]]:
        """Scores of streams under full prompts, at their beginning, after two seconds and at the end."""
        rng = random.Random(seed)
        texts = [caption(rng, tuple(k for k in KINDS if k != "ground")) for _ in range(count)]
        looks = [imagine(text) for text in texts]
        streams = Streams(self.model, texts, self.recipe, torch.Generator().manual_seed(seed))
        made = torch.cat([streams.block() for _ in range(blocks)], 1)
        return {f"block {at}": self.score(made[:, at : at + 2], looks) for at in (0, 6, blocks - 2)}

    def scenes(self, per_scene: int = 10, seed: int = 6) -> dict[str, dict[str, float]]:
        """Scores of each scene, one second into its stream."""
        rng, scores = random.Random(seed), {}
        for scene in SCENES:
            texts = [f"{scene} {rng.choice(list(COLOURS))} {rng.choice(SCENES[scene])}" for _ in range(per_scene)]
            streams = Streams(self.model, texts, self.recipe, torch.Generator().manual_seed(seed))
            made = torch.cat([streams.block() for _ in range(6)], 1)
            scores[scene] = self.score(made[:, 4:6], [imagine(text) for text in texts])
        return scores

    def switches(self, count: int = 72, seed: int = 9) -> dict[str, dict[str, float]]:
        """Scores under new words, by blocks since the switch."""
        rng = random.Random(seed)
        full = ("scene", "colour", "direction")
        before, after = ([caption(rng, full) for _ in range(count)] for _ in range(2))
        looks = [imagine(b, imagine(a)) for a, b in zip(before, after, strict=True)]
        streams = Streams(self.model, before, self.recipe, torch.Generator().manual_seed(seed))
        for _ in range(6):
            streams.block()
        streams.say(after)
        streams.recache()
        made = torch.cat([streams.block() for _ in range(10)], 1)
        return {f"{at} blocks later": self.score(made[:, at : at + 2], looks) for at in (0, 2, 4, 8)}


@torch.no_grad()
def sheet(judge: Judge, texts: list[str], blocks: int = 8, seed: int = 1) -> np.ndarray:
    """A row of pictures for each text, uint8 [Y, X, 3]: three of the first block, then the last of each."""
    streams = Streams(judge.model, texts, judge.recipe, torch.Generator().manual_seed(seed))
    made = [streams.block()[:, 0] for _ in range(blocks)]
    frames = [judge.decoder(now, before) for now, before in zip(made, [made[0], *made], strict=False)]
    columns = [frames[0][:, 0], frames[0][:, 2], *(frame[:, 5] for frame in frames)]
    picture = torch.cat([torch.cat(list(column), 1) for column in columns], 2)
    return ((picture.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()[::2, ::2]


def write_png(path: Path, picture: np.ndarray) -> None:
    """Save uint8 [Y, X, 3]; no library is needed for that."""
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(picture))
    header = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    number = struct.Struct(">I").pack
    chunks = (number(len(body)) + kind + body + number(zlib.crc32(kind + body)) for kind, body in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def evaluate(judge: Judge, source: Source, out: Path) -> None:
    """Write scores.json and sheet.png into `out`, and log the scores, those of rendered clips first."""
    scores = {"rendered": judge.score(*source.pairs(200)), **judge.prompts(), **judge.switches(), **judge.scenes()}
    for name, values in scores.items():
        log.info("%-16s %s", name, values)
    (out / "scores.json").write_text(json.dumps(scores, indent=1))
    write_png(out / "sheet.png", sheet(judge, list(SHEET)))
