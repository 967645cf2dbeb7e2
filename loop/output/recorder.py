"""The recorder: makes a film of what was shown, on a thread of its own so that no tick waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np

from loop.output.mp4 import Mp4, cut_to_whole_fragments
from loop.output.sound import PATIENCE_S, SoundTap, SoundTrack

QUEUE_FRAMES = 64  # while so many pictures wait to be encoded, new ones are dropped and counted
FINISH_S = 60.0  # the longest time that the end of a show waits for what is still to be encoded
_IDLE_S = 0.25  # after so long without a new picture, the film is continued with the last one
_LATE = 1.1  # frames by which a picture may be late before one is repeated
_EARLY = 0.6  # frames by which it may be early before it is left out: a tick of 60 Hz is 0.4 of a frame at 24


class ConstantRate:
    """Places pictures that were shown at any times in a film of constant frame rate. Pure.

    frames: how many the film has so far, which the caller counts up. A picture that comes a little early or late takes
    the next frame, so that the jitter of ticks repeats none and leaves none out.
    """

    def __init__(self, fps: float, first_ns: int) -> None:
        self._fps, self._first_ns = fps, first_ns

    def missing(self, t_ns: int, frames: int) -> int:
        """How many frames the film lacks before a picture that was shown at `t_ns`."""
        lag = self._lag(t_ns, frames)
        return round(lag) if lag > _LATE else 0

    def is_early(self, t_ns: int, frames: int) -> bool:
        """Whether there is no frame for a picture that was shown at `t_ns`, because the film is ahead of it."""
        return self._lag(t_ns, frames) < -_EARLY

    def missing_at_end(self, t_ns: int, frames: int) -> int:
        """How many frames the film lacks if it ends at `t_ns`."""
        return max(0, round(self._lag(t_ns, frames)))

    def time_of(self, frame: int) -> int:
        """When frame number `frame` of the film begins, in the time of the pictures."""
        return self._first_ns + round(frame / self._fps * 1e9)

    def _lag(self, t_ns: int, frames: int) -> float:
        return (t_ns - self._first_ns) * self._fps / 1e9 - frames


class Recorder:
    """Records what is shown into an MP4 file, on a thread of its own: no call here waits for it.

    create: called on that thread at the first picture; creates the file and gives its path. fps: the frame rate of the
    film. size: as in `Mp4`. tap: where its sound comes from, closed at the end; None: it has none. path: None until the
    file was created. recorded: frames of the film so far. dropped: pictures that were left out because the queue was
    full or the recording had failed. error: what it failed at. is_named: set once the file was created, or never will
    be.
    """

    def __init__(
        self,
        create: Callable[[], Path],
        fps: float,
        size: tuple[int, int] | None = None,
        tap: SoundTap | None = None,
    ) -> None:
        self.path: Path | None = None
        self.recorded = self.dropped = 0
        self.error: Exception | None = None
        self.fps = fps
        self._create, self._size, self._tap = create, size, tap
        self._queue: SimpleQueue[tuple[np.ndarray, int] | None] = SimpleQueue()
        self._queued = self._encoded = 0  # each is counted by one thread only
        self._now_ns = 0
        self.is_named = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def add(self, pixels: np.ndarray, t_ns: int) -> None:
        """Queue a picture that is shown from `t_ns` (perf_counter_ns) on.

        pixels: uint8 [Y, X, 3] RGB, which must not change afterwards.
        """
        self._now_ns = t_ns
        if self.error or self._queued - self._encoded >= QUEUE_FRAMES:
            self.dropped += 1
            return
        self._queued += 1
        self._queue.put((pixels, t_ns))

    def hold(self, t_ns: int) -> None:
        """The last picture is still shown at `t_ns`."""
        self._now_ns = t_ns

    def stop(self) -> None:
        """End the film here. What is queued is still encoded."""
        self._queue.put(None)

    def join(self, timeout_s: float = FINISH_S) -> None:
        """Wait until the film is finished; only after `stop`. A disk that hangs becomes the error."""
        self._thread.join(timeout_s)
        if self._thread.is_alive() and not self.error:
            self.error = TimeoutError(f"the file was not written within {timeout_s:g} s")

    def _run(self) -> None:
        try:
            self._record()
        except Exception as error:  # the show reads it
            self.error = error
            if self.path and self.path.is_file():  # a device stays
                with suppress(OSError):
                    cut_to_whole_fragments(self.path) if self.recorded else self.path.unlink()
        finally:
            if self._tap:
                self._tap.close()

    def _record(self) -> None:
        first = self._queue.get()
        if first is None:
            self.is_named.set()
            return
        pixels, first_ns = first
        try:
            self.path = self._create()
        finally:
            self.is_named.set()
        track = SoundTrack(self._tap.rate_hz, self._tap.channels, first_ns) if self._tap else None
        sound = (track.rate_hz, track.channels) if track else None
        film = Mp4(self.path, (pixels.shape[1], pixels.shape[0]), self.fps, self._size, sound)
        try:
            self._follow(film, ConstantRate(self.fps, first_ns), track, first)
        finally:
            film.close()

    def _follow(
        self, film: Mp4, rate: ConstantRate, track: SoundTrack | None, item: tuple[np.ndarray, int] | None
    ) -> None:
        """Add what is queued, and the last picture again where none is, until the end."""
        while item is not None:
            pixels, t_ns = item
            self._append(film, rate.missing(t_ns, film.frames))
            film.take(pixels)
            self._append(film, 0 if rate.is_early(t_ns, film.frames) else 1)
            self._encoded += 1
            self._add_sound(film, track, t_ns)
            item = self._next(film, rate, track)
        self._append(film, rate.missing_at_end(self._now_ns, film.frames))
        self._add_sound(film, track, rate.time_of(film.frames), patience_s=0.0)

    def _next(self, film: Mp4, rate: ConstantRate, track: SoundTrack | None) -> tuple[np.ndarray, int] | None:
        """The next picture, None at the end; while none comes, the film goes on with the last one."""
        while True:
            try:
                return self._queue.get(timeout=_IDLE_S)
            except Empty:
                self._append(film, rate.missing(self._now_ns, film.frames))
                self._add_sound(film, track, self._now_ns)

    def _add_sound(self, film: Mp4, track: SoundTrack | None, t_ns: int, patience_s: float = PATIENCE_S) -> None:
        """Add the sound that has come, and silence up to `t_ns` where none has."""
        if self._tap is None or track is None:
            return
        for values, end_ns, rate_hz in self._tap.take():
            film.add_sound(track.place(values, end_ns, rate_hz))
        film.add_sound(track.fill(t_ns, patience_s))

    def _append(self, film: Mp4, count: int) -> None:
        for _ in range(count):
            film.append()
            self.recorded = film.frames
