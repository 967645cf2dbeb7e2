"""The recorder: writes what was shown as H.264 in an MP4 file, on a thread of its own so that no tick waits for it."""

from __future__ import annotations

import logging
import threading
from fractions import Fraction
from pathlib import Path
from queue import Full, Queue

import numpy as np

log = logging.getLogger(__name__)
TIME_BASE = Fraction(1, 90_000)
_CONTAINER = {"movflags": "hybrid_fragmented+frag_keyframe", "frag_duration": "1000000", "flush_packets": "1"}
_ENCODER = {"preset": "veryfast", "crf": "18", "tune": "zerolatency"}
QUEUE_FRAMES = 64  # while so many wait to be encoded, new frames are dropped and counted


class Mp4:
    """An MP4 file with one H.264 stream whose frames need not be evenly spaced.

    It is written in fragments of a second: after a crash it can be played up to the last complete one.
    picture: (width, height); an odd side loses its last row or column. fps: the nominal frame rate.
    """

    def __init__(self, path: Path, picture: tuple[int, int], fps: float) -> None:
        import av

        self._av = av
        self._size = picture[0] // 2 * 2, picture[1] // 2 * 2  # 4:2:0 needs even sides
        self._container = av.open(str(path), "w", format="mp4", options=_CONTAINER)
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options=_ENCODER)
        self._stream.codec_context.gop_size = round(2 * fps)  # a seek point every two seconds
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIME_BASE
        self._stream.codec_context.max_b_frames = 0
        self._stream.codec_context.thread_count = 1
        self._last_pts = -1

    def add(self, pixels: np.ndarray, t_ns: int) -> None:
        """Add a frame that was shown `t_ns` (nanoseconds) after the first one. pixels: uint8 [Y, X, 3] RGB."""
        width, height = self._size
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        frame.pts = self._last_pts = max(self._last_pts + 1, round(t_ns * 90_000 / 1e9))
        frame.time_base = TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the frames that the encoder still holds, and the index."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


class Recorder:
    """Records frames into the MP4 file `path`, on a thread of its own.

    recorded, dropped: how many frames were encoded, and how many were not because the queue was full or the encoder had
    failed. Make it before the first frame is shown: its thread loads FFmpeg, which takes a second.
    """

    def __init__(self, path: Path) -> None:
        self.dropped = 0
        self.recorded = 0
        self.error: Exception | None = None
        self._ended = False
        self._queue: Queue[tuple[np.ndarray, int, float] | None] = Queue(QUEUE_FRAMES)
        self._path = path
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def add(self, pixels: np.ndarray, t_ns: int, fps: float) -> None:
        """Queue a copy of a frame, or drop the frame if the queue is full; never waits.

        pixels: uint8 [Y, X, 3] RGB. t_ns: when it was flipped (perf_counter_ns). fps: the frame rate of the world.
        """
        try:
            self._queue.put_nowait((pixels.copy(), t_ns, fps))
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Encode the frames still queued and finish the file; raises the thread's error, such as a full disk."""
        self._queue.put(None)
        self._thread.join()
        if self.error:
            raise self.error

    def _write(self) -> None:
        try:
            self._encode()
        except Exception as error:  # `close` raises it in the main thread
            log.error("the recording stopped: %s", error)
            self.error = error
            while not self._ended:  # empty the queue, or `close` would wait for room in it
                self._ended = self._queue.get() is None
                self.dropped += not self._ended

    def _encode(self) -> None:
        """Encode what is queued until `close`."""
        import av  # noqa: F401  loads FFmpeg now, while the world is still opening

        file, first_ns = None, 0
        while (item := self._queue.get()) is not None:
            pixels, t_ns, fps = item
            if file is None:
                file, first_ns = Mp4(self._path, (pixels.shape[1], pixels.shape[0]), fps), t_ns
            file.add(pixels, t_ns - first_ns)
            self.recorded += 1
        self._ended = True
        if file:
            file.close()
