"""H.264, picture by picture: each packet can be decoded as soon as it is there."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from world.info import WorldError

if TYPE_CHECKING:
    import av

BITS_PER_PIXEL = 1.0  # at most, in the mean over half a second: 6.4 Mbit/s for 832x480 at 16 a second
CRF = "18"
SECONDS_WITHOUT_KEY = 10  # key frames are made when they are asked for; this is for who asks for none
BT709 = 1  # of matrix, primaries and transfer alike (ITU-T H.273)


class VideoEncoder:
    """Pictures of one size to packets (Annex B), in the colours of BT.709. Raises WorldError where it cannot be had.

    picture: (width, height). An odd last column or row is repeated once, since colours have half the resolution.
    """

    def __init__(self, picture: tuple[int, int], fps: float) -> None:
        import av

        self._av = av
        width, height = (side + side % 2 for side in picture)
        self._padding = (0, height - picture[1]), (0, width - picture[0]), (0, 0)
        bits = round(width * height * fps * BITS_PER_PIXEL)
        codec = _encoder()
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.framerate, codec.time_base = Fraction(fps).limit_denominator(1001), Fraction(1, 1000)
        codec.options = {
            "preset": "ultrafast", "tune": "zerolatency", "crf": CRF, "maxrate": f"{bits}", "bufsize": f"{bits // 2}",
            "forced-idr": "1",
        }  # fmt: skip
        codec.gop_size, codec.max_b_frames, codec.thread_count = round(fps * SECONDS_WITHOUT_KEY), 0, 1
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = av.video.reformatter.ColorRange.MPEG
        self._codec, self._count = codec, 0

    def encode(self, pixels: np.ndarray, as_key: bool) -> tuple[bytes, bool]:
        """The packet of a picture, uint8 [Y, X, 3] RGB, and whether decoding can begin with it. as_key: it must."""
        pixels = np.pad(pixels, self._padding, "edge") if any(after for _, after in self._padding) else pixels
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, self._count = self._count, self._count + 1
        kind = self._av.video.frame.PictureType
        frame.pict_type = kind.I if as_key else kind.NONE
        packets = self._codec.encode(frame)
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)


class VideoDecoder:
    """Packets of a VideoEncoder to pictures. picture: (width, height)."""

    def __init__(self, picture: tuple[int, int]) -> None:
        import av

        self._av, self._picture = av, picture
        self._codec = av.CodecContext.create("h264", "r")
        self._codec.thread_count = 1
        self._codec.flags |= av.codec.context.Flags.low_delay

    def decode(self, packet: bytes) -> np.ndarray | None:
        """The picture of a packet, uint8 [Y, X, 3] RGB; None where it cannot be decoded."""
        try:
            frames = self._codec.decode(self._av.Packet(packet))
        except self._av.FFmpegError:
            return None
        width, height = self._picture
        if not frames or frames[-1].width < width or frames[-1].height < height:
            return None
        rgb = frames[-1].reformat(format="rgb24", src_colorspace="ITU709", src_color_range="MPEG")
        return cast("np.ndarray", rgb.to_ndarray()[:height, :width])


def _encoder() -> av.VideoCodecContext:
    import av

    try:
        return av.CodecContext.create("libx264", "w")
    except av.FFmpegError as error:
        raise WorldError(f"this PyAV has no encoder for H.264 (libx264): {error}") from None


def load_codec() -> None:
    """Load what encoding needs, so that no tick has to wait for it later."""
    import av  # noqa: F401
