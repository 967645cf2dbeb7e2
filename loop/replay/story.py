"""`neverblink story`: a session as one page, with a picture for each prompt, the words, their times, and the film."""

from __future__ import annotations

import base64
import html
import logging
import os
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loop.archive.reading import read_session
from loop.archive.record import SessionError
from loop.archive.saved import SavedSession
from loop.cli.signals import tell
from loop.output.mp4 import Mp4
from loop.output.new_file import write_text
from loop.output.subtitles import webvtt
from loop.replay.elsewhere import as_here
from loop.replay.film import frames_of
from loop.replay.listing import clock_text, length_s, prompts_of
from loop.replay.png import png
from world.block import World
from world.zoo import open_in_own_process

log = logging.getLogger(__name__)
PICTURE_AFTER = 8  # blocks that a prompt's picture is taken after, so that the words are there to be seen

_STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1rem; background: #111; color: #ddd; font: 1rem/1.5 sans-serif }
video, img { width: 100%; border-radius: 4px; display: block }
ol { list-style: none; padding: 0; display: grid; gap: 1rem }
ol { grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)) }
time { color: #888; margin-right: .5em } p { margin: .3rem 0 } h1 { font-weight: normal }
"""


@dataclass(frozen=True)
class Scenery:
    """One prompt of a story: when it begins in the film (seconds), its words, and a picture as a PNG file."""

    at_s: float
    words: str
    picture: bytes


def story_command(options: Namespace) -> int:
    """Write a session's page; the exit status. Raises SessionError for a session without a block."""
    saved = read_session(options.folder)
    for line in saved.damage:
        log.warning("%s: %s", saved.folder, line)
    if not saved.line():
        raise SessionError(f"{saved.folder} holds no block: there is nothing to tell")
    os.environ.setdefault("OMP_NUM_THREADS", str(saved.header.world.threads))
    scenes, film = illustrate(open_in_own_process(as_here(saved.header.world)), saved)
    path = write_text(options.out, page(saved, scenes, film), options.overwrite)
    tell(f"{path}: {len(scenes)} prompts, {clock_text(length_s(saved))} of film, {path.stat().st_size / 1e6:.1f} MB")
    return 0


def illustrate(world: World, saved: SavedSession) -> tuple[list[Scenery], bytes]:
    """The prompts with their pictures, and the film as the bytes of an MP4 file."""
    prompts = list(prompts_of(saved))
    places = _picture_places([record.index for _, record, _ in prompts], [record.index for record in saved.line()])
    pictures: dict[int, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="neverblink-") as folder:
        path = Path(folder, "film.mp4")
        film = Mp4(path, world.info.picture, world.info.fps)
        try:
            for index, frames in frames_of(world, saved, from_log=False):
                for pixels in frames:
                    film.add(pixels)
                if index in places.values():
                    pictures[index] = png(frames[-1])
        finally:
            film.close()
        scenes = [Scenery(at_s, words, pictures[places[record.index]]) for at_s, record, words in prompts]
        return scenes, path.read_bytes()


def _picture_places(firsts: Sequence[int], line: Sequence[int]) -> dict[int, int]:
    """For the first block under each prompt the block whose last frame is its picture: some later, before the next."""
    at = [line.index(first) for first in firsts]
    ends = [*at[1:], len(line)]
    return {line[begin]: line[min(begin + PICTURE_AFTER, end - 1)] for begin, end in zip(at, ends, strict=True)}


def page(saved: SavedSession, scenes: Sequence[Scenery], film: bytes) -> str:
    """The page as HTML that needs nothing but itself."""
    title = html.escape(scenes[0].words)
    subtitles = webvtt([(scene.at_s, scene.words) for scene in scenes], length_s(saved))
    track = f'<track default kind="captions" label="words" src="{_data_uri("text/vtt", subtitles.encode())}">'
    video = f'<video controls loop src="{_data_uri("video/mp4", film)}">{track}</video>'
    told = f"{html.escape(saved.header.began)}, {clock_text(length_s(saved))}, {len(scenes)} prompts, "
    told += f"world {html.escape(Path(saved.header.world.name).name)}, seed {saved.header.seed}"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    items = "\n".join(_item(scene) for scene in scenes)
    return f"{head}\n<h1>{title}</h1>\n<p>{told}</p>\n{video}\n<ol>\n{items}\n</ol></html>\n"


def _item(scene: Scenery) -> str:
    words = html.escape(scene.words)
    picture = f'<img alt="{words}" src="{_data_uri("image/png", scene.picture)}">'
    return f"<li>{picture}<p><time>{clock_text(scene.at_s)}</time>{words}</p></li>"


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
