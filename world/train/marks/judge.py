"""Marks of a storybook, by a reader trained on rendered clips and by pixels: sentences, switches, two minutes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.compact.world import CompactWorld
from world.train.judge.report import Figure, mean_of_values
from world.train.learn.played import AS_PLAYED, PlayedRules
from world.train.learn.rollout import Streams
from world.train.marks.pixels import layout_likeness, shown_way
from world.train.marks.tables import SwitchTrial, Table, known_hits, shares
from world.train.story.clips import join_scenes
from world.train.story.reader import SceneReader
from world.train.story.spoken import opening_attributes
from world.train.tale.scene import Scenes, changed, random_scenes
from world.train.tale.sentences import sentence
from world.train.tale.words import ATTRIBUTES, SceneWords, must_name

SECOND = 4  # blocks
BATCH = 50  # streams at once
MODES = ("recache", "keep", "reset")
WAY = ATTRIBUTES.index("way")


@dataclass(frozen=True)
class StoryJudge:
    """Evaluates a world on its device. The same seed gives the same marks."""

    world: CompactWorld
    reader: SceneReader
    device: torch.device
    seed: int = 11
    rules: PlayedRules = AS_PLAYED

    def streams(self, texts: Sequence[str], seed: int) -> Streams:
        """New streams in the steps of play."""
        recipe, generator = self.rules.recipe(self.world.form), torch.Generator(self.device).manual_seed(seed)
        return Streams(self.world.model, texts, recipe, generator)

    def frames(self, blocks: Tensor) -> Tensor:
        """Pictures at the full size, [B, 6 (n - 1), 3, Y, X], of all but the first of blocks [B, n, C, h, w]."""
        now, before = blocks[:, 1:].flatten(0, 1), blocks[:, :-1].flatten(0, 1)
        parts = [self.world.decoder(z, b) for z, b in zip(now.split(8), before.split(8), strict=True)]
        return torch.cat(parts).unflatten(0, (len(blocks), -1)).flatten(1, 2).clamp(-1, 1)

    def read(self, pair: Tensor) -> Tensor:
        """As `read_attributes`, by this judge's reader."""
        return read_attributes(self.reader, self.world.decoder.linear, pair)

    @torch.no_grad()
    def sentences(self, count: int) -> Table:
        """The shares that are right under held-out sentences after one second and after five."""
        scenes, told, texts = self.asked(count)
        early, late = [], []
        for rows in torch.arange(count).split(BATCH):
            streams = self.streams([texts[n] for n in rows], self.seed + int(rows[0]))
            made = [streams.next_block() for _ in range(5 * SECOND + 1)]
            early.append(self.read(torch.cat(made[SECOND - 1 : SECOND + 1], 1)).cpu())
            late.append(self.read(torch.cat(made[-2:], 1)).cpu())
        true = scenes.numbers()
        return {
            "after 1 s": shares(torch.cat(early) == true, told),
            "after 5 s": shares(torch.cat(late) == true, told),
        }

    def rendered(self, latents: Tensor, scenes: Scenes) -> dict[str, Figure]:
        """The marks of rendered clips in latents [B, 2, C, h, w]: what the measures themselves can reach."""
        return shares(self.read(latents).cpu() == scenes.numbers(), scenes.described())

    @torch.no_grad()
    def switches(self, count: int) -> dict[str, list[SwitchTrial]]:
        """Switches that name one thing, three seconds into a stream, by what becomes of the cache."""
        scenes, told, texts = self.asked(count)
        after, rng = one_thing_changed(scenes, self.seed), random.Random(self.seed + 1)
        new = after.described()
        named = [must_name(scene, before) for scene, before in zip(new, told, strict=True)]
        said = [
            sentence(scene, names, rng, before, held_out=True)
            for scene, names, before in zip(new, named, told, strict=True)
        ]
        asked = [self.complete(text, before) for text, before in zip(said, texts, strict=True)]
        trials: dict[str, list[SwitchTrial]] = {mode: [] for mode in MODES}
        for rows in torch.arange(count).split(BATCH):
            streams = self.streams([texts[n] for n in rows], self.seed + 7 + int(rows[0]))
            before = torch.cat([streams.next_block() for _ in range(3 * SECOND)], 1)[:, -2:]
            same = streams.fork()
            unchanged = torch.cat([same.next_block() for _ in range(2 * SECOND + 1)], 1)
            for mode in MODES:
                made = continued(streams.fork(), [asked[n] for n in rows], mode)
                hits = self.read(made[:, -2:]).cpu() == after.rows(rows).numbers()
                layout, jump = self._layout(made, unchanged), self._jump(before, made)
                for n, row in enumerate(rows.tolist()):
                    seen = new[row]["subject"] != "none"
                    trials[mode].append(SwitchTrial(hits[n].tolist(), named[row], seen, layout[n], jump[n]))
        return trials

    @torch.no_grad()
    def two_minutes(self, count: int) -> Table:
        """Adherence and contrast after five seconds and at the end of two minutes, three readings each."""
        scenes, told, texts = self.asked(count)
        true, rows = scenes.numbers(), dict[str, dict[str, list[float]]]()
        streams = self.streams(texts, self.seed + 3)
        at = {"after 5 s": (16, 20, 24), "after 120 s": (471, 475, 479)}
        last = streams.next_block()
        for block in range(1, 480):
            now = streams.next_block()
            for name, places in at.items():
                if block in places:
                    pair = torch.cat([last, now], 1)
                    hits = known_hits(self.read(pair).cpu() == true, told)
                    contrast = self.world.decoder.linear.decode(pair).std((1, 2, 3, 4)).tolist()
                    cells = rows.setdefault(name, {"adherence": [], "contrast": []})
                    cells["adherence"] += [fmean(row) for row in hits]
                    cells["contrast"] += contrast
            last = now
        return {row: {name: mean_of_values(values) for name, values in cells.items()} for row, cells in rows.items()}

    def asked(self, count: int) -> tuple[Scenes, list[SceneWords], list[str]]:
        """Random scenes, what is to be seen in them, and what the model reads when held-out sentences ask for them."""
        scenes = random_scenes(count, torch.Generator().manual_seed(self.seed))
        told, rng = scenes.described(), random.Random(self.seed)
        said = [sentence(scene, opening_attributes(scene, rng), rng, held_out=True) for scene in told]
        return scenes, told, [self.complete(text) for text in said]

    def complete(self, text: str, before: str | None = None) -> str:
        """What the model reads when `text` is said, at the beginning or while `before` is in force."""
        return self.world.form.language.complete(text, before)

    def _layout(self, made: Tensor, unchanged: Tensor) -> list[float]:
        last = [self.world.decoder.linear.decode(blocks[:, -1:])[:, 2] for blocks in (made, unchanged)]
        return layout_likeness(*last).tolist()

    def _jump(self, before: Tensor, made: Tensor) -> list[float]:
        frames = self.world.decoder.linear.decode(torch.cat([before[:, -1:], made[:, :SECOND]], 1))[:, 5:]
        return (frames.diff(dim=1).abs().mean((2, 3, 4)) * 127.5).amax(1).tolist()


def read_attributes(reader: SceneReader, linear: LinearLatents, pair: Tensor) -> Tensor:
    """The values of all attributes in blocks [B, 2, C, h, w]: by the reader, but the way by pixels. int64 [B, n]."""
    values = reader.read(pair)
    values[:, WAY] = shown_way(linear.decode(pair))
    return values


def continued(streams: Streams, texts: list[str], mode: str, blocks: int = 2 * SECOND + 1) -> Tensor:
    """What streams make under new texts, [B, blocks, C, h, w], after what `mode` does to their caches."""
    streams.set_texts(texts)
    if mode == "recache":
        streams.recache()
    elif mode == "reset":
        streams.clear_cache()
    return torch.cat([streams.next_block() for _ in range(blocks)], 1)


def one_thing_changed(scenes: Scenes, seed: int) -> Scenes:
    """The scenes, each with one attribute changed, each attribute for as many; colours only of subjects that stay."""
    generator, parts = torch.Generator().manual_seed(seed + 1), []
    for n in range(len(scenes)):
        one = scenes.rows(torch.tensor([n]))
        name = ATTRIBUTES[n % len(ATTRIBUTES)]
        if name == "colour" and one.described()[0]["subject"] == "none":
            name = "subject"
        parts.append(changed(one, [name], generator))
    return join_scenes(parts)
