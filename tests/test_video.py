"""Frames as H.264: they come back nearly the same, at once, and from any key frame on."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from loop.link.message import Drawn, FollowVideo
from loop.link.ring import FrameRing
from loop.video.encoding import MOST_WAITING, EncoderThread
from loop.video.h264 import VideoDecoder, VideoEncoder
from loop.worker.video_output import VideoOutput
from tests.peer_show import psnr_db
from tests.simulation.process import PlainMemory, ring_bytes

PATIENCE_S = 20.0


def waves(number, picture=(64, 48)):
    """A picture, uint8 [Y, X, 3], of soft colours that move."""
    y, x = np.mgrid[: picture[1], : picture[0]]
    return np.stack([127 + 120 * np.sin((x + y) / 20 + number / 5 + c) for c in range(3)], -1).astype(np.uint8)


@pytest.mark.parametrize("picture", [(64, 48), (63, 47), (2, 1)])
def test_each_picture_comes_back_nearly_the_same_as_soon_as_it_is_encoded(picture):
    encoder, decoder = VideoEncoder(picture, 24.0), VideoDecoder(picture)
    for number in range(6):
        pixels = waves(number, picture)
        packet, is_key = encoder.encode(pixels, as_key=False)
        decoded = decoder.decode(packet)
        assert decoded.shape == pixels.shape and psnr_db(pixels, decoded) > 28
        assert is_key == (number == 0)


def test_decoding_can_begin_with_any_key_frame_and_with_no_other():
    encoder = VideoEncoder((64, 48), 24.0)
    packets = [encoder.encode(waves(number), as_key=number == 4) for number in range(8)]
    assert [is_key for _, is_key in packets] == [True, False, False, False, True, False, False, False]
    decoder = VideoDecoder((64, 48))
    assert all(decoder.decode(packet) is not None for packet, _ in packets[4:])
    assert VideoDecoder((64, 48)).decode(packets[2][0]) is None


@pytest.mark.parametrize("garbage", [b"", b"x", b"\x00\x00\x00\x01\x67" + bytes(60), bytes(range(256)) * 40])
def test_what_is_no_picture_is_none(garbage):
    assert VideoDecoder((64, 48)).decode(garbage) is None


def test_a_picture_of_another_size_is_none():
    packet, _ = VideoEncoder((32, 32), 24.0).encode(waves(0, (32, 32)), as_key=True)
    assert VideoDecoder((64, 48)).decode(packet) is None


def taken(encoder, count):
    """The next so many packets of a thread."""
    found, deadline_s = [], time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline_s and not encoder.error:
        found += encoder.take()
        time.sleep(0.005)
    return found


def test_the_thread_keeps_the_order_and_makes_key_frames_when_they_are_asked_for():
    encoder = EncoderThread((64, 48), 24.0)
    for number in range(10):
        encoder.put(waves(number), number, as_key=number == 6)
    packets = taken(encoder, 10)
    encoder.close()
    assert [packet.tag for packet in packets] == list(range(10))
    assert [packet.tag for packet in packets if packet.is_key] == [0, 6]


def test_what_comes_too_fast_is_left_out_and_a_wish_for_a_key_frame_is_not_forgotten(monkeypatch):
    gate, plain = threading.Event(), VideoEncoder.encode

    def encode(self, pixels, as_key):
        gate.wait(PATIENCE_S)
        return plain(self, pixels, as_key)

    monkeypatch.setattr(VideoEncoder, "encode", encode)
    encoder = EncoderThread((64, 48), 24.0)
    for number in range(MOST_WAITING + 20):
        encoder.put(waves(number), number, as_key=number == MOST_WAITING + 10)
    gate.set()
    first = taken(encoder, MOST_WAITING)
    encoder.put(waves(0), "later", as_key=False)
    packets = [*first, *taken(encoder, 1)]
    if packets[-1].tag != "later":  # the thread had one in hand, besides those that waited
        packets += taken(encoder, 1)
    encoder.close()
    assert len(packets) <= MOST_WAITING + 2
    assert packets[-1].tag == "later" and packets[-1].is_key


def test_an_encoder_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(VideoEncoder, "encode", lambda *given: 1 / 0)
    encoder = EncoderThread((64, 48), 24.0)
    encoder.put(waves(0), 0, as_key=True)
    assert taken(encoder, 1) == []
    assert isinstance(encoder.error, ZeroDivisionError)


class Told:
    """A link to the window that keeps what is sent."""

    def __init__(self):
        self.messages, self.sent = [], 0

    def send(self, message):
        self.messages.append(message)


class Still:
    """A clock that stands."""

    def now_ns(self):
        return 5


def test_hidden_frames_are_decoded_and_not_shown_and_damage_is_told():
    ring = FrameRing(PlainMemory("ring", ring_bytes(8, (64, 48))), 8, (64, 48))
    link, encoder = Told(), VideoEncoder((64, 48), 24.0)
    output = VideoOutput(ring, link, Still(), (64, 48))
    packets = [encoder.encode(waves(number), False) for number in range(4)]

    def draw(number, packet, is_hidden=False):
        return output.draw(FollowVideo(number, number // 2, packet, 0, packets[number][1], is_hidden))

    assert all(draw(number, packets[number][0], is_hidden=number == 1) for number in range(3))
    assert [ring.mark(ordinal).number for ordinal in range(ring.written)] == [0, 2]
    assert psnr_db(waves(2), ring.slot(1)) > 28
    assert link.messages == [Drawn(0, 0), Drawn(1, 0)]
    assert not draw(3, b"damaged")
    assert draw(3, packets[3][0]) and ring.written == 2, "until the next key frame nothing can be shown"
