"""Streams on a CUDA device, pretended or real: they make what a CPU makes, and wait for nothing within a pass."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from loop.measure.gpu.blocks import TimedStream
from tests.stream.test_take_back import Film
from tests.support.tiny import tiny_world
from world.block import Block, Denoised, Made
from world.diffusion import session as session_module
from world.diffusion.session import DiffusionSession
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig
from world.dit.device import capture
from world.dit.fast import FastDiT
from world.dit.pass_graph import PassGraphs
from world.event import Dial, Prompt
from world.options import WorldOptions
from world.zoo import open_options

pytestmark = [
    pytest.mark.usefixtures("cuda", "without_tf32"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode"),  # torch calls it a prototype, once
]
CACHES = {
    "kept sink": CacheConfig(6, 2, 2),
    "renewed sink": CacheConfig(6, 2, 2, keep_sink=False),
    "absolute positions": CacheConfig(6, 2, 2, positions="absolute"),
    "two averages": CacheConfig(6, 2, 2, averages=(0.9, 0.5)),
    "averaged sink": CacheConfig(6, 2, 2, sink_average=0.8),
    "no clean pass": CacheConfig(6, 2, 2, clean_pass=False),
    "flush": CacheConfig(8, 2, 2, flush=True),
    "global": CacheConfig(-1, 2, 2, slots=80),
}
CLOSE = 2e-3  # of latents of about unit variance, after a film in float32


def world_on(device: str, cache: CacheConfig | None = None, is_fast: bool = False) -> DiffusionWorld:
    """The tiny world; fast: with captured graphs, not compiled."""
    world = tiny_world(cache, stored="float32", device=device)
    if is_fast:
        fast = FastDiT(copy.deepcopy(world.dit), is_compiled=False, graphs=PassGraphs(capture))
        fast.config = replace(fast.config, text_len=3)  # rows of text that the graphs are made for
        object.__setattr__(world, "dit", fast)
    return world


def assert_alike(ours: dict[int, Block], theirs: dict[int, Block]) -> None:
    assert ours.keys() == theirs.keys()
    # a block that came out with garbage is made again, and says so among its events
    assert [block.events for block in ours.values()] == [block.events for block in theirs.values()]
    far = {index: float(np.abs(ours[index].latents - theirs[index].latents).max()) for index in ours}
    assert max(far.values()) < CLOSE, far


@pytest.mark.parametrize("is_fast", [False, True], ids=["exact", "fast"])
@pytest.mark.parametrize("cache", CACHES)
@torch.inference_mode()
def test_any_film_comes_out_as_on_a_cpu(cache, is_fast):
    """Switches in line and ahead, dials, hard cuts, rebuilds, blocks left and taken back."""
    for seed in range(2):
        there = Film(world_on("cuda", CACHES[cache], is_fast).session(7, "first words"), seed)
        here = Film(world_on("cpu", CACHES[cache]).session(7, "first words"), seed)
        there.play(20), here.play(20)
        assert there.taken_back == here.taken_back
        assert_alike(there.blocks, here.blocks)


@torch.inference_mode()
def test_blocks_that_were_taken_back_are_made_again_as_on_a_cpu():
    made = {}
    for device in ("cuda", "cpu"):
        session = world_on(device).session(3, "a")
        blocks = [session.step() for _ in range(5)]
        session.take_back(2)
        blocks += [session.step([Prompt("b")]), session.step()]
        made[device] = {block.index: block for block in blocks}
    assert_alike(made["cuda"], made["cpu"])


def warm(session: DiffusionSession) -> None:
    """Run every kind of pass with both caches: first calls choose, allocate and capture."""
    for words in "aaaaaabbbaaab":
        session.step([Prompt(words)])


def passes_without_waiting(session: DiffusionSession, events) -> list[str]:
    """The kinds of passes of one block, each made while torch refuses to wait for the device.

    Not so the one after the last denoising step: it fetches the latents, which is what a block is for.
    """
    passes, kinds = session.begin(events), []
    steps = len(session._config.sampler.steps)
    last = None
    try:
        while True:
            is_fetching = isinstance(last, Denoised) and last.step == steps - 1
            torch.cuda.set_sync_debug_mode("default" if is_fetching else "error")
            last = next(passes, None)
            if last is None:
                return kinds
            kinds.append(type(last).__name__)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("is_fast", [False, True], ids=["exact", "fast"])
@torch.inference_mode()
def test_nothing_waits_for_the_device_within_a_pass(is_fast, monkeypatch):
    session = world_on("cuda", is_fast=is_fast).session(3, "a")
    warm(session)
    finish = session_module.finish

    def wait_between_passes(device: torch.device) -> None:
        torch.cuda.set_sync_debug_mode("default")
        finish(device)
        torch.cuda.set_sync_debug_mode("error")

    monkeypatch.setattr(session_module, "finish", wait_between_passes)
    session.prepare(Prompt("c"))
    plain = ["Denoised", "Denoised", "Made", "Clean"]
    assert passes_without_waiting(session, [Dial("zoom", 0.3)]) == plain
    assert passes_without_waiting(session, [Prompt("c")]) == ["Recached", *plain]


def test_a_wait_within_a_pass_would_be_noticed():
    """The guard bites."""
    number = torch.ones(1, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchroniz"):
            number.item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@torch.inference_mode()
def test_a_recache_ahead_runs_beside_the_block_and_comes_out_as_on_a_cpu():
    made = {}
    for device in ("cuda", "cpu"):
        session, blocks = world_on(device).session(3, "a"), []
        for number in range(8):
            for done in session.begin():
                if isinstance(done, Denoised) and done.step == 0 and number in (3, 5):
                    session.ahead([Prompt("b" * number)])
                if isinstance(done, Made):
                    blocks.append(done.block)
        assert [block.seen for block in blocks if block.seen] == [4, 6]
        made[device] = {block.index: block for block in blocks}
    assert_alike(made["cuda"], made["cpu"])


@pytest.mark.parametrize("decoder", ["taehv", "vae"])
def test_frames_in_the_ring_are_those_that_the_decoder_gives(decoder):
    """Decoded and uploaded on their own streams, while the next passes are already begun."""
    options = WorldOptions("random-wan-tiny", device="cuda", picture=(32, 16), decoder=decoder, speed="exact")
    world = open_options(options)
    stream, expected, state = TimedStream(world), [], world.decoder.start()
    shown = []
    ring = stream._ring
    publish = ring.publish
    ring.publish = lambda mark: shown.append(ring.slot(mark.ordinal).copy()) or publish(mark)
    blocks = []
    note = stream._output.uploads
    stream._output.uploads = lambda block, latents: blocks.append(block) or note(block, latents)
    for _ in range(3):
        stream.block()
    for block in blocks:
        for frame in range(block.latents.shape[1]):
            frames, state = world.decoder.decode(state, block.latents[:, frame : frame + 1])
            expected.append(frames)
    stream.close()
    expected = np.concatenate(expected)
    assert len(shown) == len(expected) == 9 + 12 + 12
    assert np.abs(np.stack(shown).astype(int) - expected).max() <= 1
