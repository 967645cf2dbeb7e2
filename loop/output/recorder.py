"""The recorder: makes a film of what was shown, on a thread of its own so that no tick waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av
    import av.filter

QUEUE_FRAMES = 64  # while so many pictures wait to be encoded, new ones are dropped and counted
FINISH_S = 60.0  # the longest time that the end of a show waits for what is still to be encoded
_CONTAINER = {"movflags": "hybrid_fragmented+frag_keyframe", "frag_duration": "1000000", "flush_packets": "1"}
_ENCODER = {"preset": "veryfast", "crf": "18", "tune": "zerolatency"}
_BT709 = 1  # of matrix, primaries and transfer alike (ITU-T H.273)
_LIMITED_RANGE = 1
_IDLE_S = 0.25  # after so long without a new picture, the film is continued with the last one
_TOLERANCE = 1.1  # frames by which a picture may be early or late before one is left out or repeated


class Mp4:
    """An MP4 file with one H.264 stream of constant frame rate, in the colours of BT.709 and tagged as such.

    It is written in fragments of a second: after a crash it can be played up to the last complete one.
    picture: (width, height) of what is added. size: (width, height) of the film, both even, into which the picture is
    scaled with its aspect kept and black around it; None is the picture's own size, without an odd last row or column.
    """

    def __init__(self, path: Path, picture: tuple[int, int], fps: float, size: tuple[int, int] | None = None) -> None:
        import av
        import av.filter

        self._av = av
        self._rate = Fraction(fps).limit_denominator(1001)
        own = (max(picture[0] // 2 * 2, 2), max(picture[1] // 2 * 2, 2))
        self._cut = picture if size else own
        self._size = size or own
        self._graph = self._conversion()
        self._frame: av.VideoFrame | None = None
        self._container = av.open(f"file:{path}", "w", format="mp4", options=_CONTAINER)
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=_ENCODER)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.gop_size = round(2 * fps)  # a seek point every two seconds
        codec.time_base = 1 / self._rate
        codec.max_b_frames, codec.thread_count = 0, 1
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED_RANGE
        self.frames = 0

    def add(self, pixels: np.ndarray) -> None:
        """Append a picture, uint8 [Y, X, 3] RGB."""
        self.take(pixels)
        self.append()

    def take(self, pixels: np.ndarray) -> None:
        """Convert a picture, uint8 [Y, X, 3] RGB, which `append` then adds."""
        width, height = self._cut
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        self._graph.vpush(frame)
        self._frame = self._graph.vpull()

    def append(self) -> None:
        """Append the picture that was taken last, once more if it was appended before."""
        assert self._frame is not None
        self._frame.pts, self._frame.time_base = self.frames, 1 / self._rate
        self._container.mux(self._stream.encode(self._frame))
        self.frames += 1

    def close(self) -> None:
        """Write the frames that the encoder still holds, and the index."""
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _conversion(self) -> av.filter.Graph:
        """From rgb24 of the picture's size to yuv420p of the film's."""
        (across, down), (width, height) = self._cut, self._size
        graph = self._av.filter.Graph()
        form = self._av.VideoFormat("rgb24", across, down)
        source = graph.add_buffer(width=across, height=down, format=form, time_base=1 / self._rate)
        chain = [
            source,
            graph.add(
                "scale",
                f"{width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2"
                ":flags=bicubic:out_color_matrix=bt709:out_range=limited",
            ),
            graph.add("format", "yuv420p"),
            graph.add("pad", f"{width}:{height}:-1:-1"),
            graph.add("setsar", "1"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*chain).configure()
        return graph


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
        return round(lag) if lag > _TOLERANCE else 0

    def is_early(self, t_ns: int, frames: int) -> bool:
        """Whether there is no frame for a picture that was shown at `t_ns`, because the film is ahead of it."""
        return self._lag(t_ns, frames) < -_TOLERANCE

    def missing_at_end(self, t_ns: int, frames: int) -> int:
        """How many frames the film lacks if it ends at `t_ns`."""
        return max(0, round(self._lag(t_ns, frames)))

    def _lag(self, t_ns: int, frames: int) -> float:
        return (t_ns - self._first_ns) * self._fps / 1e9 - frames


class Recorder:
    """Records what is shown into an MP4 file, on a thread of its own: no call here waits for it.

    create: called on that thread at the first picture; creates the file and gives its path. fps: the frame rate of the
    film. size: as in `Mp4`. path: None until the file was created. recorded: frames of the film so far. dropped:
    pictures that were left out because the queue was full or the recording had failed. error: what it failed at.
    """

    def __init__(self, create: Callable[[], Path], fps: float, size: tuple[int, int] | None = None) -> None:
        self.path: Path | None = None
        self.recorded = self.dropped = 0
        self.error: Exception | None = None
        self.fps = fps
        self._create, self._size = create, size
        self._queue: SimpleQueue[tuple[np.ndarray, int] | None] = SimpleQueue()
        self._queued = self._encoded = 0  # each is counted by one thread only
        self._now_ns = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def add(self, pixels: np.ndarray, t_ns: int) -> None:
        """Queue a copy of a picture that is shown from `t_ns` (perf_counter_ns) on: uint8 [Y, X, 3] RGB."""
        self._now_ns = t_ns
        if self.error or self._queued - self._encoded >= QUEUE_FRAMES:
            self.dropped += 1
            return
        self._queued += 1
        self._queue.put((pixels.copy(), t_ns))

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
            if self.path and not self.recorded and self.path.is_file():
                with suppress(OSError):
                    self.path.unlink()

    def _record(self) -> None:
        first = self._queue.get()
        if first is None:
            return
        pixels, first_ns = first
        self.path = self._create()
        film = Mp4(self.path, (pixels.shape[1], pixels.shape[0]), self.fps, self._size)
        try:
            self._follow(film, ConstantRate(self.fps, first_ns), first)
        finally:
            film.close()

    def _follow(self, film: Mp4, rate: ConstantRate, item: tuple[np.ndarray, int] | None) -> None:
        """Add what is queued, and the last picture again where none is, until the end."""
        while item is not None:
            pixels, t_ns = item
            self._append(film, rate.missing(t_ns, film.frames))
            film.take(pixels)
            self._append(film, 0 if rate.is_early(t_ns, film.frames) else 1)
            self._encoded += 1
            item = self._next(film, rate)
        self._append(film, rate.missing_at_end(self._now_ns, film.frames))

    def _next(self, film: Mp4, rate: ConstantRate) -> tuple[np.ndarray, int] | None:
        """The next picture, None at the end; while none comes, the film goes on with the last one."""
        while True:
            try:
                return self._queue.get(timeout=_IDLE_S)
            except Empty:
                self._append(film, rate.missing(self._now_ns, film.frames))

    def _append(self, film: Mp4, count: int) -> None:
        for _ in range(count):
            film.append()
            self.recorded = film.frames


def load_ffmpeg() -> None:
    """Load what recordings need, so that the first of them does not have to."""
    import av
    import av.filter  # noqa: F401
