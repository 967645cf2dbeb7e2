"""What encoding 832x480 at 24 a second does to a loop of 60 ticks: not at all, in a thread, in a process of its own.

    python -m tests.encoder_trial --seconds 90

The three take turns of three seconds, so that whatever else the machine does meets them alike.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection
from statistics import median

import numpy as np

from loop.video.encoding import EncoderThread
from loop.video.h264 import VideoDecoder, VideoEncoder
from tests.peer_trial import gaps

PICTURE, FPS = (832, 480), 24
TURN_S = 3
TICK_S = 1 / 60
MODES = ("none", "thread", "process")


def moving_pictures() -> np.ndarray:
    """Two seconds of smooth waves that move, uint8 [n, Y, X, 3]."""
    y, x = np.mgrid[: PICTURE[1], : PICTURE[0]]
    phases = np.arange(2 * FPS)[:, None, None, None] * 0.3 + np.arange(3) * 2.0
    return (127.5 + 127.5 * np.sin((x / 60 + np.sin(y / 90))[None, :, :, None] + phases)).astype(np.uint8)


def tell_cost(pictures: np.ndarray) -> None:
    """Print what a picture costs, there and back."""
    encoder, decoder, encode_s, decode_s = VideoEncoder(PICTURE, FPS), VideoDecoder(PICTURE), [], []
    for pixels in pictures:
        begun_s = time.thread_time()
        packet, _ = encoder.encode(pixels, as_key=False)
        encoded_s = time.thread_time()
        decoder.decode(packet)
        encode_s.append(encoded_s - begun_s)
        decode_s.append(time.thread_time() - encoded_s)
    encode_ms, decode_ms = median(encode_s) * 1e3, median(decode_s) * 1e3
    print(f"of a core, for a picture: encoded in {encode_ms:.1f} ms, decoded in {decode_ms:.1f}")


def encode_beside(pipe: Connection) -> None:
    """Encode the pictures whose numbers come through the pipe."""
    pictures, encoder = moving_pictures(), VideoEncoder(PICTURE, FPS)
    pipe.send_bytes(b"ready")
    while (number := pipe.recv()) is not None:
        pipe.send_bytes(encoder.encode(pictures[number % len(pictures)].copy(), number % 240 == 0)[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90)
    seconds = parser.parse_args().seconds
    tell_cost(moving_pictures())
    pictures, thread = moving_pictures(), EncoderThread(PICTURE, FPS)
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    context.Process(target=encode_beside, args=(theirs,), daemon=True).start()
    pipe.recv_bytes()
    times: dict[str, list[int]] = {mode: [] for mode in MODES}
    begun_s = tick_s = time.perf_counter()
    for number in range(round(seconds / TICK_S)):
        mode = MODES[int((tick_s - begun_s) // TURN_S) % len(MODES)]
        tick_s = max(tick_s + TICK_S, time.perf_counter() - TICK_S)  # what is lost is not caught up
        time.sleep(max(0.0, tick_s - 0.001 - time.perf_counter()))
        while time.perf_counter() < tick_s:
            pass
        times[mode].append(time.perf_counter_ns())
        if number % 5 < 2 and mode == "thread":
            thread.put(pictures[number % len(pictures)].copy(), number, number % 240 == 0)
        elif number % 5 < 2 and mode == "process":
            pictures[number % len(pictures)].copy()  # as into memory that both see
            pipe.send(number)
        thread.take()
        while pipe.poll():
            pipe.recv_bytes()
    pipe.send(None)
    for mode in MODES:
        print(f"{mode}: {gaps(times[mode], pause_ms=TURN_S * 1000)}")


if __name__ == "__main__":
    main()
