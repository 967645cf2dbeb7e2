"""The recordings of a show: one at a time, begun and ended as often as the user likes, each in a file of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from loop.output.mp4 import load_ffmpeg
from loop.output.new_file import create_new, write_text
from loop.output.recorder import Recorder
from loop.output.sound import SoundTap
from loop.output.subtitles import webvtt

log = logging.getLogger(__name__)
Size = tuple[int, int]  # (width, height) in pixels


class Recordings:
    """Every recording of a show. Owned by the engine's outputs.

    path: of the first recording, which begins with the first picture; later ones are named after it. None: nothing is
    recorded until `toggle`, and names are made of date and time. No file is overwritten (see `create_new`), but for
    that of the first recording with `overwrite`.
    size: of the films; None is the picture's own. start: begins a recording. tap: called for the sound of each; None:
    they have none. is_on: whether there is one, or will be from the next picture on. made: all recordings so far, in
    order.
    """

    def __init__(
        self,
        path: Path | None,
        size: Size | None = None,
        overwrite: bool = False,
        start: Callable[[Callable[[], Path], float, Size | None, SoundTap | None], Recorder] = Recorder,
    ) -> None:
        self.is_on = path is not None
        self.tap: Callable[[], SoundTap] | None = None
        self.made: list[Recorder] = []
        self._path, self._size, self._overwrite, self._start = path, size, overwrite, start
        self._current: Recorder | None = None
        self._newest: np.ndarray | None = None
        self._was_black = False
        self._words, self._first_ns = "", 0
        self._cues: list[list[tuple[float, str]]] = []  # of each recording in `made`
        load_ffmpeg()  # it takes a tenth of a second, in which no tick can pass

    def toggle(self) -> None:
        """Begin a recording with the next tick, or end the one that runs."""
        self.is_on = not self.is_on
        if self._current:
            self._current.stop()
            self._current = None

    def note_words(self, words: str, t_ns: int) -> None:
        """From `t_ns` on the picture is one under these words."""
        self._words = words
        if self._current:
            self._cues[-1].append(((t_ns - self._first_ns) / 1e9, words))

    def show(self, pixels: np.ndarray | None, t_ns: int, fps: float, is_black: bool) -> None:
        """Record what a tick showed: uint8 [Y, X, 3], without the overlay; None is the same picture as before.

        pixels must not change afterwards. t_ns: when it was shown (perf_counter_ns). fps: the world's frame rate.
        is_black: black was shown instead of it.
        """
        is_new = pixels is not None or is_black != self._was_black
        self._newest = self._newest if pixels is None else pixels
        self._was_black = is_black
        if self._current and self._current.error:
            self._current, self.is_on = None, False
        if not self.is_on or self._newest is None:
            return
        if self._current is None:
            create = partial(self._create, self.made[-1] if self.made else None)
            tap = self.tap() if self.tap else None
            self._current, is_new = self._start(create, fps, self._size, tap), True
            self.made.append(self._current)
            self._first_ns = t_ns
            self._cues.append([(0.0, self._words)] if self._words else [])
        if is_new:
            self._current.add(np.zeros_like(self._newest) if is_black else self._newest, t_ns)
        else:
            self._current.hold(t_ns)

    @property
    def seconds(self) -> float | None:
        """The length of the film that is being recorded; None if there is none."""
        return self._current.recorded / self._current.fps if self._current else None

    @property
    def errors(self) -> list[str]:
        """What went wrong with each recording that failed, one line each."""
        return [_failure(recorder) for recorder in self.made if recorder.error]

    def close(self) -> None:
        """End the recording that runs, and wait until all are finished."""
        if self._current:
            self.toggle()
        for recorder, cues in zip(self.made, self._cues, strict=True):
            recorder.join()
            if cues and recorder.path and recorder.recorded and not recorder.error:
                self._write_subtitles(recorder.path, cues, recorder.recorded / recorder.fps)

    def _write_subtitles(self, film: Path, cues: list[tuple[float, str]], end_s: float) -> None:
        """Write the words of a film beside it; a film on a device, or a disk that is full, has none."""
        if not film.is_file():
            return
        try:
            write_text(film.with_suffix(".vtt"), webvtt(cues, end_s), self._overwrite)
        except OSError as error:
            log.warning("the subtitles of %s cannot be written: %s", film.name, error.strerror or error)

    def report(self) -> list[str]:
        """One line on each file, for the end of the show."""
        return [
            f"recorded {recorder.recorded} frames to {recorder.path}, {recorder.dropped} dropped"
            for recorder in self.made
            if recorder.recorded
        ]

    def _create(self, earlier: Recorder | None) -> Path:
        """Create a recording's file, after that of the recording before it: so their names are in order."""
        if earlier is not None:
            earlier.is_named.wait()
        if earlier is None and self._path and (self._overwrite or (self._path.exists() and not self._path.is_file())):
            return self._path  # a device or a pipe is written to as well
        return create_new(self._path or Path(f"neverblink-{datetime.now():%Y-%m-%d-%H%M%S}.mp4"))


def _failure(recorder: Recorder) -> str:
    reason = getattr(recorder.error, "strerror", None) or recorder.error
    name = f" {recorder.path.name}" if recorder.path else ""
    return f"the recording{name} stopped after {recorder.recorded / recorder.fps:.1f} s: {reason}"
