"""The whole evaluation of a storybook's folder: tables, the same figures as JSON, and contact sheets."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from world.compact.world import CompactWorld
from world.train.judge.report import Figure, markdown_table, mean_of_values
from world.train.judge.sheet import tile_pictures, write_png
from world.train.learn.played import AS_PLAYED, PlayedRules
from world.train.marks.dials import dial_table
from world.train.marks.judge import MODES, SECOND, StoryJudge, continued
from world.train.marks.pixels import edge_strength, seam_ratio
from world.train.marks.tables import Table, switch_table
from world.train.story.clips import random_pairs, render_scenes
from world.train.story.form import TALE
from world.train.story.library import render_library
from world.train.story.reader import SceneReader, load_reader, save_reader, train_reader
from world.train.tale.stage import DIALS

log = logging.getLogger(__name__)
READER_PAIRS, READER_MINUTES = 1000, 5.0  # of a reader that is trained here; 150 pairs it learns by heart
STORY = (  # the sentences of the sheets, and what follows each of them
    ("a little red boat sails over the sea at sunset", "night falls"),
    ("a yellow balloon over the forest", "it snows"),
    ("a blue whale swims over the city at night", "now a comet"),
    ("a green train goes through the desert at dawn", "a storm comes up"),
    ("a white bird flies over the mountains in the snow", "the snow stops"),
    ("a comet in space", "we come to the sea"),
    ("the city at night in the rain", "a purple balloon appears"),
    ("the mountains in the fog at sunset", "the fog stops"),
    ("a pink boat in the storm at night going left", "now it is day"),
    ("a red train in the mountains, fast", "the train is gone"),
    ("the forest at dawn in the fog", "it turns to the left"),
    ("a purple whale in the desert", "make it yellow"),
)


def examine_tale(
    folder: Path, device: torch.device, trials: int, seed: int = 0, rules: PlayedRules = AS_PLAYED
) -> None:
    """Mark the world in `folder`, print the tables, and write marks.json and two sheets."""
    world = CompactWorld.load(folder / "tale.safetensors").to(device)
    judge = StoryJudge(world, _reader(folder, world, device, seed), device, seed + 11, rules)
    write_story_sheets(judge, folder)
    trial_switches = judge.switches(trials)
    tables = {
        "sentences": {"rendered clips": rendered_marks(judge, trials)} | judge.sentences(trials),
        "switches that name one thing, after 2 s": switch_table(trial_switches),
        "two minutes": judge.two_minutes(max(2, trials * 12 // 100)),
        "pictures": picture_marks(judge, max(2, trials // 8)),
    }
    if tuple(world.form.dials) == DIALS:
        tables["dials turned to their ends"] = dial_table(judge, max(2, trials * 24 // 100))
    else:
        log.warning("its dials are not %s: they are not marked", ", ".join(DIALS))
    saved = {title: {row: _plain(cells) for row, cells in table.items()} for title, table in tables.items()}
    options = {"options": rules.given} if rules.given else {}
    (folder / "marks.json").write_text(json.dumps({**options, **saved}, indent=1))
    for title, table in tables.items():
        print(f"\n{title}{rules}\n\n{markdown_table('', table)}")


def _plain(cells: dict[str, Figure]) -> dict[str, dict[str, float]]:
    return {column: asdict(figure) for column, figure in cells.items()}


def _reader(folder: Path, world: CompactWorld, device: torch.device, seed: int) -> SceneReader:
    """The reader of the folder; if there is none, one is trained on clips that are rendered now."""
    path = folder / "reader.safetensors"
    if not path.exists():
        library = render_library(world.decoder.linear, READER_PAIRS, 4, seed + 99, lambda: False)
        save_reader(path, train_reader(library, READER_MINUTES, batch=64))
    return load_reader(path).to(device)


@torch.no_grad()
def rendered_marks(judge: StoryJudge, count: int) -> dict[str, Figure]:
    """The marks of rendered clips that went to latents."""
    pairs = random_pairs(count, torch.Generator().manual_seed(judge.seed + 5), blocks=2, seam=1)
    parts = []
    for rows in torch.arange(count).split(16):
        frames = render_scenes(pairs.first.rows(rows), pairs.dials[rows] * 0, judge.device)
        parts.append(judge.world.decoder.linear.encode(frames))
    return judge.rendered(torch.cat(parts), pairs.first)


@torch.no_grad()
def picture_marks(judge: StoryJudge, count: int) -> Table:
    """Edges and seams at the full size: of rendered clips, of their latents decoded, and of what the model makes."""
    pairs = random_pairs(count, torch.Generator().manual_seed(judge.seed + 6), blocks=2, seam=1)
    _, _, texts = judge.asked(count)
    streams = judge.streams(texts, judge.seed)
    made = torch.cat([streams.next_block() for _ in range(2 * SECOND)], 1)[:, -2:]
    measured: dict[str, dict[str, list[float]]] = {}
    for number in range(count):
        one = slice(number, number + 1)
        scenes, dials = pairs.first.rows(one), pairs.dials[one] * 0
        true = render_scenes(scenes, dials, judge.device, TALE.geometry.picture)[:, TALE.geometry.frames :]
        latents = judge.world.decoder.linear.encode(render_scenes(scenes, dials, judge.device))
        decoded = judge.frames(latents)
        for name, frames in (("rendered", true), ("decoded", decoded), ("made", judge.frames(made[one]))):
            cells = measured.setdefault(name, {"edges": [], "seams": [], "dB": []})
            cells["edges"].append(edge_strength(frames))
            cells["seams"].append(seam_ratio(frames))
            if name == "decoded":
                cells["dB"].append(float(-10 * torch.log10((frames - true).square().mean() / 4)))
    figures = {row: {k: mean_of_values(v) for k, v in cells.items() if v} for row, cells in measured.items()}
    for row in ("decoded", "made"):
        share = [a / b for a, b in zip(measured[row]["edges"], measured["rendered"]["edges"], strict=True)]
        figures[row]["edges of rendered"] = mean_of_values(share)
    return figures


@torch.no_grad()
def write_story_sheets(judge: StoryJudge, folder: Path) -> None:
    """Two sheets as PNG files: streams from their first picture on, and what a switch makes of each of them.

    The second shows the last picture before, then half a second, one and two seconds after with a recache, and two
    seconds after with the cache kept and with it thrown away.
    """
    texts = [judge.complete(first) for first, _ in STORY]
    news = [judge.complete(new, text) for (_, new), text in zip(STORY, texts, strict=True)]
    streams = judge.streams(texts, judge.seed)
    made = torch.cat([streams.next_block() for _ in range(3 * SECOND)], 1)
    columns = [0, 1, SECOND, 2 * SECOND, 3 * SECOND - 1]
    rows = [[_picture(judge, made, n, block) for block in columns] for n in range(len(texts))]
    write_png(folder / "sentences.png", tile_pictures(rows, 2))
    after = {mode: continued(streams.fork(), news, mode) for mode in MODES}
    rows = []
    for n in range(len(texts)):
        row = [_picture(judge, made, n, 3 * SECOND - 1)]
        row += [_picture(judge, after["recache"], n, block) for block in (1, SECOND, 2 * SECOND)]
        rows.append(row + [_picture(judge, after[mode], n, 2 * SECOND) for mode in MODES[1:]])
    write_png(folder / "switches.png", tile_pictures(rows, 2))


def _picture(judge: StoryJudge, blocks: Tensor, row: int, block: int) -> Tensor:
    pair = blocks[row : row + 1, [max(0, block - 1), block]]
    return judge.frames(pair)[0, 2]
