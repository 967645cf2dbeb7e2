"""The whole evaluation of a training folder: tables, the same figures as JSON, and contact sheets."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.compact.model import shape_of
from world.compact.packed import pack, unpack
from world.compact.world import CompactWorld
from world.train.data.captions import COLOURS, SCENES, exam_prompts
from world.train.data.library import Library
from world.train.data.render import paint, random_colours, render_maps
from world.train.judge.evaluate import Figures, Judge, mark_shares
from world.train.judge.recognise import Recogniser, train_recogniser
from world.train.judge.report import markdown_table
from world.train.judge.scores import Marker
from world.train.judge.sheet import tile_pictures, write_png
from world.train.learn.checkpoint import load_checkpoint
from world.train.learn.device import seeded_generator
from world.train.learn.played import AS_PLAYED, PlayedRules

SHEET_PROMPTS = tuple(f"{colour} {scene}" for scene, colour in zip(SCENES, COLOURS, strict=True))
ScoreTable = dict[str, Figures]


def assemble_world(folder: Path, stage: str) -> CompactWorld:
    """The averaged model of a stage and the picture decoder of a training folder, rounded as in the packed file."""
    weights = load_checkpoint(folder / f"{stage}.pt")["average"]
    world = CompactWorld(shape_of(weights))
    world.model.load_state_dict(weights)
    world.decoder.load_state_dict(load_checkpoint(folder / "decoder.pt")["model"])
    world.load_state_dict(unpack(pack(world.state_dict())))
    return world.eval().requires_grad_(False)


def folder_recogniser(folder: Path, library: Library, latents: LinearLatents, seed: int) -> Recogniser:
    """The recogniser of a training folder; the first time, it is trained for two minutes and saved there."""
    path, g = folder / "recogniser.pt", Geometry()
    if not path.exists():
        torch.save(train_recogniser(library, latents, minutes=2, seed=seed).state_dict(), path)
    recogniser = Recogniser(g.channels, g.rows, g.columns)
    recogniser.load_state_dict(load_checkpoint(path))
    return recogniser.eval()


def rendered_reference(marker: Marker, latents: LinearLatents, count: int, seed: int) -> ScoreTable:
    """The marks of rendered clips that were encoded and decoded: the best that a model can reach."""
    looks = [look for _, look in exam_prompts(random.Random(seed), count)]
    generator = seeded_generator(seed)
    clips = [
        paint(render_maps(look, torch.zeros(1, 2, 4), generator), random_colours([look], generator)) for look in looks
    ]
    frames = torch.cat(clips).clamp(0, 255) / 127.5 - 1
    return {"rendered": mark_shares(marker(latents.encode(frames), 0, looks))}


def examine(judge: Judge, trials: int) -> dict[str, ScoreTable]:
    """All tables of one model, by their titles; trials: of prompts and switches, more than of drift and dials."""
    return {
        "prompts": judge.prompts(trials),
        "drift over two minutes": judge.drift(trials * 36 // 100),
        "dials": {"its way within two blocks": judge.dials(max(9, trials * 27 // 100))},
        "switch, with the sink": judge.switches(trials, judge.recipe.sink),
        "switch, without a sink": judge.switches(trials, sink=0),
    }


def publish(tables: Mapping[str, ScoreTable], folder: Path, name: str, rules: PlayedRules = AS_PLAYED) -> None:
    """Print the tables of the model `name`, and save them as JSON in `folder`; rules: those it was marked under."""
    for title, rows in tables.items():
        print(f"\n{name}: {title}{rules}\n\n{markdown_table('', rows)}")
    saved = {
        title: {row: {column: asdict(figure) for column, figure in cells.items()} for row, cells in rows.items()}
        for title, rows in tables.items()
    }
    options = {"options": rules.given} if rules.given else {}
    (folder / f"scores-{name}.json").write_text(json.dumps({**options, **saved}, indent=1))


@torch.no_grad()
def write_sheets(judge: Judge, folder: Path, name: str, blocks: int = 8) -> None:
    """Two contact sheets as PNG files: the scenes, and then the same streams after a switch to another scene.

    A row of the first has three pictures of the first block and then the last picture of each block.
    """
    streams = judge.streams(SHEET_PROMPTS)
    made = torch.cat([streams.next_block() for _ in range(blocks)], 1)
    frames = judge.marker.frames(made, 0, blocks)
    columns = [0, 2, *range(5, 6 * blocks, 6)]
    write_png(folder / f"scenes-{name}.png", tile_pictures([[clip[at] for at in columns] for clip in frames]))
    # the exam's scenes come in a fixed order: four later, every scene becomes another
    streams.set_texts([text for text, _ in exam_prompts(random.Random(3), len(SHEET_PROMPTS) + 4)[4:]])
    streams.recache()
    changed = torch.cat([made[:, -2:], *(streams.next_block() for _ in range(blocks))], 1)
    frames = judge.marker.frames(changed, 1, blocks + 1)
    columns = [*range(5, 6 * blocks + 6, 5)]
    write_png(folder / f"switches-{name}.png", tile_pictures([[clip[at] for at in columns] for clip in frames]))
