"""The whole examination of a training folder: tables, the same as JSON, and contact sheets."""

from __future__ import annotations

import json
import logging
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from world.small.decoder import Geometry, LinearLatents
from world.small.packed import pack, unpack
from world.small.world import SmallWorld, shape_of
from world.train.captions import COLOURS, SCENES, exam
from world.train.evaluate import Judge, shares
from world.train.library import Library
from world.train.place import chance, load
from world.train.recognise import Recogniser, train_recogniser
from world.train.render import colours_of, paint, render
from world.train.report import Figure, table
from world.train.scores import Marker
from world.train.sheet import grid, write_png

log = logging.getLogger(__name__)
SHEET = tuple(f"{colour} {scene}" for scene, colour in zip(SCENES, COLOURS, strict=True))
Table = dict[str, dict[str, Figure]]


def assemble(folder: Path, stage: str) -> SmallWorld:
    """The averaged transformer that a stage left in a training folder and the decoder, as their file will hold them."""
    weights = load(folder / f"{stage}.pt")["average"]
    world = SmallWorld(shape_of(weights))
    world.model.load_state_dict(weights)
    world.decoder.load_state_dict(load(folder / "decoder.pt")["model"])
    world.load_state_dict(unpack(pack(world.state_dict())))
    return world.eval().requires_grad_(False)


def recogniser_of(folder: Path, library: Library, latents: LinearLatents, seed: int) -> Recogniser:
    """The folder's recogniser, trained for two minutes the first time."""
    path, g = folder / "recogniser.pt", Geometry()
    if not path.exists():
        torch.save(train_recogniser(library, latents, minutes=2, seed=seed).state_dict(), path)
    recogniser = Recogniser(g.channels, g.rows, g.columns)
    recogniser.load_state_dict(load(path))
    return recogniser.eval()


def rendered(marker: Marker, latents: LinearLatents, count: int, seed: int) -> Table:
    """What the marks say of rendered clips that went to latents and back: the best there is to reach."""
    looks = [look for _, look in exam(random.Random(seed), count)]
    shapes = chance(seed)
    clips = [paint(render(look, torch.zeros(1, 2, 4), shapes), colours_of([look], shapes)) for look in looks]
    frames = torch.cat(clips).clamp(0, 255) / 127.5 - 1
    return {"rendered": shares(marker(latents.encode(frames), 0, looks))}


def examine(judge: Judge, trials: int) -> dict[str, Table]:
    """Every table of one model."""
    return {
        "prompts": judge.prompts(trials),
        "drift over two minutes": judge.drift(trials * 36 // 100),
        "dials": {"its way within two blocks": judge.dials(max(9, trials * 27 // 100))},
        "switch, with the sink": judge.switches(trials),
        "switch, without a sink": judge.switches(trials, sink=0),
    }


def publish(tables: dict[str, Table], folder: Path, name: str) -> None:
    """Print the tables and keep them as JSON."""
    for title, rows in tables.items():
        print(f"\n{name}: {title}\n\n{table('', rows)}")
    kept: dict[str, Any] = {
        title: {row: {column: asdict(figure) for column, figure in cells.items()} for row, cells in rows.items()}
        for title, rows in tables.items()
    }
    (folder / f"scores-{name}.json").write_text(json.dumps(kept, indent=1))


@torch.no_grad()
def sheets(judge: Judge, folder: Path, name: str, blocks: int = 8) -> None:
    """A row for each scene, three pictures of the first block and then the last of each; and a sheet of switches."""
    streams = judge.streams(SHEET)
    made = torch.cat([streams.block() for _ in range(blocks)], 1)
    frames = judge.marker.frames(made, 0, blocks)
    columns = [0, 2, *range(5, 6 * blocks, 6)]
    write_png(folder / f"scenes-{name}.png", grid([[clip[at] for at in columns] for clip in frames]))
    # four on: every scene becomes another
    streams.say([text for text, _ in exam(random.Random(3), len(SHEET) + 4)[4:]])
    streams.recache()
    changed = torch.cat([made[:, -2:], *(streams.block() for _ in range(blocks))], 1)
    frames = judge.marker.frames(changed, 1, blocks + 1)
    columns = range(5, 6 * blocks + 6, 5)
    write_png(folder / f"switches-{name}.png", grid([[clip[at] for at in columns] for clip in frames]))
