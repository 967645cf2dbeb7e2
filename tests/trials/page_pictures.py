"""How long a picture takes to a phone: `python -m tests.trials.page_pictures --phones 8 --picture 832x480`.

A real page process and real connections on loopback, fed at a fixed rate; the phones confirm each picture at once.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import platform
import re
import secrets
import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from websockets.asyncio.client import connect

from loop.cli.accept import width_x_height
from loop.web.opening import open_page
from loop.web.phones import Phones

WARM_UP_S = 1.0
BAR, GREY = 16, 10  # rows; levels between two pictures


def moving(size: tuple[int, int], count: int = 24) -> list[np.ndarray]:
    """Pictures with soft shapes that move, a little noise, and a bar on top whose grey tells which it is."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    chance = np.random.default_rng(1)
    found = []
    for step in range(count):
        waves = [np.sin(x / 17 + step / 3), np.sin(y / 23 + step / 4), np.sin((x + y) / 31)]
        picture = (128 + 100 * np.stack(waves, -1) + chance.normal(0, 4, (height, width, 3))).clip(0, 255)
        picture[:BAR] = step * GREY
        found.append(picture.astype(np.uint8))
    return found


def which(jpeg: bytes) -> int:
    """Which of the pictures this is."""
    return round(float(np.asarray(Image.open(io.BytesIO(jpeg)))[: BAR // 2].mean()) / GREY)


async def watch(address: str, arrivals: list[tuple[int, int]], jpegs: dict[int, bytes]) -> None:
    """Be a phone: each picture's number, and when it came (ns)."""
    place = urlsplit(address)
    async with connect(f"ws://{place.netloc}/live", origin=f"http://{place.netloc}", open_timeout=60) as page:
        enter = {"kind": "enter", "token": place.fragment, "identity": secrets.token_hex(16), "name": ""}
        await page.send(json.dumps(enter))
        async for told in page:
            if isinstance(told, bytes):
                number = int.from_bytes(told[:4], "big")
                arrivals.append((number, time.perf_counter_ns()))
                jpegs.setdefault(number, told[4:])
                await page.send(json.dumps({"kind": "seen", "picture": number}))


async def feed(phones: Phones, pictures: list[np.ndarray], fps: float, seconds: float) -> list[int]:
    """Show a picture at a time; when each was shown (ns)."""
    shown: list[int] = []
    begin_s = time.perf_counter()
    while time.perf_counter() - begin_s < seconds:
        shown.append(time.perf_counter_ns())
        phones.show(pictures[len(shown) % len(pictures)], False)
        await asyncio.sleep(max(0.0, begin_s + len(shown) / fps - time.perf_counter()))
    return shown


def delays_ms(came: list[tuple[int, int]], shown: list[int], cycle: int) -> Iterator[float]:
    """From the last time that a picture was shown before it came, to when it came."""
    for kind, t_ns in came:
        times = [at for number, at in enumerate(shown, 1) if number % cycle == kind and at <= t_ns]
        if times:
            yield (t_ns - times[-1]) / 1e6


async def measure(options: argparse.Namespace, phones: Phones, address: str) -> None:
    """Feed the page while phones watch it, and print what came when."""
    jpegs: dict[int, bytes] = {}
    arrivals: list[list[tuple[int, int]]] = [[] for _ in range(options.phones)]
    watching = [asyncio.create_task(watch(address, found, jpegs)) for found in arrivals]
    pictures = moving(options.picture)
    while not all(arrivals):  # until every phone is there
        await feed(phones, pictures, options.fps, WARM_UP_S)
    for found in arrivals:
        found.clear()
    shown = await feed(phones, pictures, options.fps, options.seconds)
    await asyncio.sleep(0.5)
    for task in watching:
        task.cancel()
    kinds = {number: which(jpeg) for number, jpeg in jpegs.items()}
    came = [(kinds[number], t_ns) for found in arrivals for number, t_ns in found]
    cuts = statistics.quantiles(delays := list(delays_ms(came, shown, len(pictures))), n=100)
    rates = [len(found) / options.seconds for found in arrivals]
    size = statistics.mean(map(len, jpegs.values())) / 1024
    print(f"{options.phones} phones, {'x'.join(map(str, options.picture))}, {len(shown) / options.seconds:.1f} shown/s")
    print(f"delay p50 {cuts[49]:.1f}  p95 {cuts[94]:.1f}  longest {max(delays):.1f} ms, {size:.1f} KB a picture")
    print(f"pictures a second and phone: fewest {min(rates):.1f}, most {max(rates):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--phones", type=int, default=1)
    parser.add_argument("--picture", type=width_x_height, default=(832, 480))
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}")
    page = argparse.Namespace(web="0", web_qr="viewer")
    phones, told = open_page(page, ("127.0.0.1", 9), b"", nullcontext)
    found = re.search(r"viewer +(\S+)", told)
    assert found, told
    try:
        asyncio.run(measure(options, phones, found[1]))
    finally:
        phones.close()


if __name__ == "__main__":
    main()
