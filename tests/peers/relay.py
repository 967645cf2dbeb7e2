"""A bad network between two real processes.

`python -m tests.peers.relay 7475 127.0.0.1:7474 --delay-ms 80 --jitter-ms 20`

It delays each piece one way by the delay and a random part of the jitter, keeps their order, loses all connections a
few times, stalls, and throttles. Seeded; what it does it prints, with the time of the monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

PIECE = 65_536


class Relay:
    """rate: bytes a second each way, 0 for no limit."""

    def __init__(self, target: tuple[str, int], delay_s: float, jitter_s: float, rate: int, seed: int) -> None:
        self._target, self._delay_s, self._jitter_s, self._rate = target, delay_s, jitter_s, rate
        self._random = random.Random(seed)
        self._connections: set[asyncio.StreamWriter] = set()
        self._stalled_until = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end or the relay has had enough."""
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._connections |= {writer, far_writer}
        ways: list[Coroutine[Any, Any, None]] = [self._carry(reader, far_writer), self._carry(far_reader, writer)]
        await asyncio.gather(*ways, return_exceptions=True)
        self._connections -= {writer, far_writer}

    async def drop(self, after_s: float, count: int) -> None:
        """Lose all connections so often, each time after so long."""
        for _ in range(count):
            await asyncio.sleep(after_s)
            print(f"dropped {len(self._connections) // 2} at {time.monotonic_ns()}", flush=True)
            for writer in list(self._connections):
                writer.transport.abort()

    async def stall(self, after_s: float, for_s: float) -> None:
        """Carry nothing for a while."""
        await asyncio.sleep(after_s)
        self._stalled_until = time.monotonic() + for_s
        print(f"stalled for {for_s} s at {time.monotonic_ns()}", flush=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        deliver = asyncio.create_task(self._deliver(queue, writer))
        while piece := await reader.read(PIECE):
            due_s = time.monotonic() + self._delay_s + self._random.random() * self._jitter_s
            queue.put_nowait((max(due_s, self._stalled_until), piece))
        queue.put_nowait((time.monotonic() + self._delay_s, b""))
        await deliver

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due_s, piece = await queue.get()
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()
            if self._rate:
                await asyncio.sleep(len(piece) / self._rate)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("target", help="ADDRESS:PORT")
    for option, default in (("delay-ms", 0.0), ("jitter-ms", 0.0), ("drop-after-s", 0.0), ("stall-after-s", 0.0)):
        parser.add_argument(f"--{option}", type=float, default=default)
    parser.add_argument("--stall-s", type=float, default=1.0)
    for option in ("drops", "rate", "seed"):
        parser.add_argument(f"--{option}", type=int, default=0)
    options = parser.parse_args()
    address, _, port = options.target.rpartition(":")
    delays = options.delay_ms / 1e3, options.jitter_ms / 1e3
    relay = Relay((address, int(port)), *delays, options.rate, options.seed)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", options.port)
    async with server:
        mishaps = [relay.drop(options.drop_after_s, options.drops)] if options.drops else []
        mishaps += [relay.stall(options.stall_after_s, options.stall_s)] if options.stall_after_s else []
        await asyncio.gather(server.serve_forever(), *mishaps)


if __name__ == "__main__":
    asyncio.run(main())
