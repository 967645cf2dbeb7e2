"""The host's picture for those who follow by video: encoded once for all, and only while somebody does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from loop.link.ring import FrameMark
from loop.supervise.live_model import LiveModel
from loop.video.encoding import EncoderThread, PictureEncoder
from net.host import Host
from net.picture import Video

log = logging.getLogger(__name__)
NewEncoder = Callable[[tuple[int, int], float], PictureEncoder]


class VideoFeed:
    """Owned by Hosting. new_encoder(picture, fps): makes what encodes."""

    def __init__(self, host: Host, model: LiveModel, new_encoder: NewEncoder = EncoderThread) -> None:
        self._host, self._model, self._new_encoder = host, model, new_encoder
        self._encoder: PictureEncoder | None = None
        self._is_key_wanted = self._is_key_coming = False
        self._newest = -1  # the number of the newest frame that was encoded

    def came(self, marks: Sequence[FrameMark]) -> None:
        """Let these frames be encoded; those that are drawn again on the way back are not."""
        info = self._model.info
        if info is None or not any(member.follow == "video" for member in self._host.members):
            self.close()
            return
        if self._encoder is None and marks:
            self._encoder = self._new_encoder(info.picture, info.fps)
            self._is_key_wanted, self._is_key_coming = True, False
        for mark in marks:
            if mark.number > self._newest and self._encoder:
                self._newest = mark.number
                self._encoder.put(self._model.pixels(mark).copy(), mark, self._is_key_wanted)
                self._is_key_coming |= self._is_key_wanted
                self._is_key_wanted = False

    def send(self) -> None:
        """Send what is encoded; where that fails, nobody can follow by video."""
        if self._encoder is None:
            return
        for packet in self._encoder.take():
            mark: FrameMark = packet.tag
            self._is_key_coming &= not packet.is_key
            is_hidden = self._model.is_dropped(mark.block, mark.epoch)
            video = Video(mark.number, mark.block, packet.is_key, is_hidden, len(packet.payload))
            self._is_key_wanted |= self._host.show(video, packet.payload) and not self._is_key_coming
        if self._encoder.error:
            self._fail(self._encoder.error)

    def close(self) -> None:
        """End the encoder; it begins again when somebody follows."""
        if self._encoder:
            self._encoder.close()
            self._encoder = None

    def _fail(self, error: Exception) -> None:
        log.error("nobody can follow by video: %s", error)
        self.close()
        for member in self._host.members:
            if member.follow == "video":
                self._host.dismiss(member, f"this host cannot encode its picture: {error}")
