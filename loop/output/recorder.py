"""The recorder: what was shown, as H.264 in MP4, encoded by a thread behind a bounded queue so that no tick waits."""

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
WAITING = 64  # frames; past that, new ones are dropped and counted


class Mp4:
    """An MP4 file with one H.264 stream and variable frame times. Readable up to its last fragment after a crash."""

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
        """pixels uint8 [Y, X, 3], shown `t_ns` after the first frame."""
        width, height = self._size
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        frame.pts = self._last_pts = max(self._last_pts + 1, round(t_ns * 90_000 / 1e9))
        frame.time_base = TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds and the index."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


class Recorder:
    """Frames into an Mp4 on a thread of its own. `dropped` counts frames that found the queue full.

    Made before the first frame: loading the encoder's libraries takes a second that no tick can spare.
    """

    def __init__(self, path: Path) -> None:
        self.dropped = 0
        self.recorded = 0
        self.error: Exception | None = None
        self._ended = False
        self._queue: Queue[tuple[np.ndarray, int, float] | None] = Queue(WAITING)
        self._path = path
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def add(self, pixels: np.ndarray, t_ns: int, fps: float) -> None:
        """A frame of a world of `fps` that was flipped at `t_ns`; copied, never waited for."""
        try:
            self._queue.put_nowait((pixels.copy(), t_ns, fps))
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Encode what waits and finish the file; raises what the thread ran into (a full disk, say)."""
        self._queue.put(None)
        self._thread.join()
        if self.error:
            raise self.error

    def _write(self) -> None:
        try:
            self._encode()
        except Exception as error:  # kept for `close`, which raises it in the main thread
            log.error("the recording stopped: %s", error)
            self.error = error
            self._drain()

    def _encode(self) -> None:
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

    def _drain(self) -> None:
        """Keep the queue moving until `close`, counting what is lost."""
        while not self._ended:
            self._ended = self._queue.get() is None
            self.dropped += not self._ended
