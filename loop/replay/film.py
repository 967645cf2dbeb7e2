"""The film of a saved session, drawn from its latents or made again from its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from loop.archive.saved import SavedSession
from loop.output.new_file import whole_file, write_text
from loop.output.subtitles import webvtt
from loop.render import open_video
from loop.replay.listing import length_s, prompts_of
from loop.replay.remake import CannotRemakeError, Remaker
from world.block import World


def frames_of(world: World, saved: SavedSession, from_log: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Each block of the session's line and its frames, uint8 [n, Y, X, 3].

    from_log: every block is made again, as where the world has another size of picture now; else the stored latents
    are drawn, and a block is made again only if it cannot be read.
    """
    remaker, state = Remaker(world, saved, uses_stored=not from_log), world.decoder.start()
    line = saved.line()
    for record, shown in zip(line, saved.latents_shown(line), strict=True):
        state = world.decoder.start() if record.start == 0 else state
        if from_log:
            latents = remaker.straight(record).latents
        else:
            try:
                latents = remaker.latents(record.index)
            except CannotRemakeError:
                latents = remaker.straight(record).latents
        frames, state = world.decoder.decode(state, latents[:, :shown])
        yield record.index, frames


def write_film(
    world: World, saved: SavedSession, out: Path, overwrite: bool, from_log: bool, progress: Callable[[int, int], None]
) -> tuple[int, Path]:
    """Write the film, and its words beside it in a .vtt; the number of frames, and the film's path.

    progress: gets (blocks done, of all)."""
    blocks, count = len(saved.line()), 0
    with whole_file(out, overwrite) as file:
        sink = open_video(file.part, out.suffix.lower(), blocks * world.info.block_frames, world)
        try:
            for number, (_, frames) in enumerate(frames_of(world, saved, from_log), 1):
                for pixels in frames:
                    sink.add(pixels)
                count += len(frames)
                progress(number, blocks)
        finally:
            sink.close()
    cues = [(at_s, words) for at_s, _, words in prompts_of(saved)]
    write_text(file.path.with_suffix(".vtt"), webvtt(cues, length_s(saved)), overwrite)
    return count, file.path
