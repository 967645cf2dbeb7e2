"""A film in an MP4 file. The only file that uses FFmpeg."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av
    import av.filter

_CONTAINER = {"movflags": "hybrid_fragmented+frag_keyframe", "frag_duration": "1000000", "flush_packets": "1"}
_ENCODER = {"crf": "18", "tune": "zerolatency"}
# veryfast takes 5.5 ms of a core for a frame of 640x360, but 19 for one of 1280x720 and 42 of 1920x1080, which is the
# whole period at 24 frames a second; ultrafast takes 1.4, 5 and 17
_LARGE = 832 * 480  # pixels; above, the encoder must be quick
_SOUND_BITS = 160_000  # a second
_PRIMING = 1024  # samples: AAC begins with so many of its own
_BT709 = 1  # of matrix, primaries and transfer alike (ITU-T H.273)
_LIMITED_RANGE = 1


class Mp4:
    """An MP4 file with one H.264 stream of constant frame rate, in the colours of BT.709 and tagged as such.

    It is written in fragments of a second: after a crash it can be played up to the last complete one.
    picture: (width, height) of what is added. size: (width, height) of the film, both even, into which the picture is
    scaled with its aspect kept and black around it; None is the picture's own size, without an odd last row or column.
    sound: (rate in Hz, 1 or 2 channels) of an AAC stream beside it. frames: how many it has so far.
    """

    def __init__(
        self,
        path: Path,
        picture: tuple[int, int],
        fps: float,
        size: tuple[int, int] | None = None,
        sound: tuple[int, int] | None = None,
    ) -> None:
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
        preset = "veryfast" if self._size[0] * self._size[1] <= _LARGE else "ultrafast"
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=_ENCODER | {"preset": preset})
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.gop_size = max(1, round(2 * fps))  # a seek point every two seconds
        codec.time_base = 1 / self._rate
        codec.max_b_frames, codec.thread_count = 0, 1
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED_RANGE
        self._sound = _Sound(self._container, *sound) if sound else None
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

    def add_sound(self, values: np.ndarray) -> None:
        """Append samples of a film with sound, float32 [n, channels], -1 to 1."""
        assert self._sound is not None
        self._sound.add(values)

    def close(self) -> None:
        """Write the frames that the encoder still holds, and the index."""
        try:
            self._container.mux(self._stream.encode(None))
            if self._sound:
                self._sound.finish()
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


class _Sound:
    """The AAC stream of a film. The first samples of the film give way to those that AAC begins with.

    Else the stream would begin before 0, and some players would put off the pictures.
    """

    def __init__(self, container: av.container.OutputContainer, rate_hz: int, channels: int) -> None:
        import av

        self._av, self._container, self._rate_hz = av, container, rate_hz
        self._layout = "mono" if channels == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=rate_hz, layout=self._layout)
        self._stream.bit_rate = _SOUND_BITS
        self._waiting = np.zeros((0, channels), np.float32)
        self._skipped = self._done = 0  # samples

    def add(self, values: np.ndarray) -> None:
        """Encode samples, float32 [n, channels], as far as they are enough for the encoder."""
        skip = min(_PRIMING - self._skipped, len(values))
        self._skipped += skip
        self._waiting = np.concatenate([self._waiting, values[skip:]])
        size = self._stream.codec_context.frame_size or _PRIMING
        while len(self._waiting) >= size:
            self._encode(self._waiting[:size])
            self._waiting = self._waiting[size:]

    def finish(self) -> None:
        """Encode the rest."""
        if len(self._waiting):
            self._encode(self._waiting)
        self._container.mux(self._stream.encode(None))

    def _encode(self, values: np.ndarray) -> None:
        planes = np.ascontiguousarray(np.clip(values, -1, 1).T)
        frame = self._av.AudioFrame.from_ndarray(planes, format="fltp", layout=self._layout)
        frame.sample_rate, frame.time_base = self._rate_hz, Fraction(1, self._rate_hz)
        frame.pts = _PRIMING + self._done
        self._done += len(values)
        self._container.mux(self._stream.encode(frame))


def cut_to_whole_fragments(path: Path) -> None:
    """Cut an MP4 file after the last fragment that was written to its end: some players refuse a broken one."""
    with path.open("r+b") as file:
        size, at, whole = path.stat().st_size, 0, 0
        while len(head := file.read(16)) == 16:
            length, kind, long_length = struct.unpack(">I4sQ", head)
            length = long_length if length == 1 else length
            at += length
            if length < 8 or at > size:
                break
            whole = at if kind == b"mdat" else whole  # the pictures, which follow the box that describes them
            file.seek(at)
        if whole:
            file.truncate(whole)


def load_ffmpeg() -> None:
    """Load what recordings need, so that the first of them does not have to."""
    import av
    import av.filter  # noqa: F401
