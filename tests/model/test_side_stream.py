"""Work beside the rest of a device: nobody reads what it writes before it is waited for, nor uses what it reads."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from tests.pretend.gpu import pretended_gpu
from tests.support.tiny import tiny_world
from world.block import Block, Denoised, Made
from world.dit.device import SideStream, finish, take_precedence
from world.event import Event, Prompt, Scene

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SEEDS = range(8)


class Hasty(SideStream):
    """It lets nobody wait."""

    def join(self):
        pass


def blocks_with_a_switch_ahead(device: str, kind: type[SideStream] = SideStream) -> list[Block]:
    """Eight blocks; words come ahead twice, the second time while the block in flight is taken back."""
    session, blocks = tiny_world(stored="float32", device=device).session(3, "a"), []
    session._memory.side = kind(torch.device(device))
    for number in range(8):
        if number == 6:
            session.ahead([Prompt("b")])
            session.take_back(3)
        for done in session.begin():
            if isinstance(done, Denoised) and done.step == 0 and number == 3:
                session.ahead([Prompt("c")])
            if isinstance(done, Made):
                blocks.append(done.block)
    return blocks


def facts(blocks: list[Block]) -> list[tuple[str, Sequence[Event]]]:
    """What was made, and under which events: a block that comes out with garbage is made again, and they say so."""
    return [(block.digest, block.events) for block in blocks]


def differs(seed: int, kind: type[SideStream]) -> bool:
    """Whether those blocks come out otherwise than on a CPU, for an order of the device's work."""
    expected = blocks_with_a_switch_ahead("cpu")
    with pretended_gpu(seed):
        made = blocks_with_a_switch_ahead("cuda", kind)
    return facts(made) != facts(expected)


@torch.inference_mode()
def test_a_switch_ahead_comes_out_as_on_a_cpu_whatever_gets_on_first():
    assert not any(differs(seed, SideStream) for seed in SEEDS)


@torch.inference_mode()
def test_what_nobody_waited_for_shows():
    """The guard bites."""
    assert any(differs(seed, Hasty) for seed in SEEDS)


def overtaken(device: str, is_first: bool) -> list[Block]:
    """A recache ahead that a hard cut overtakes: of the first block, or later, to the same words.

    On the device its work stands still until it is waited for.
    """
    session = tiny_world(stored="float32", device=device).session(3, "a")
    blocks = [] if is_first else [session.step() for _ in range(4)]
    if device == "cuda":
        torch.cuda.current_stream().device.stand_still(session._memory.side._stream)
    for done in session.begin():
        if isinstance(done, Made):
            blocks.append(done.block)
        if isinstance(done, Denoised) and done.step == 0:
            session.ahead([Prompt("b")])
    return [*blocks, session.step([Scene("b")]), session.step()]


@pytest.mark.parametrize("is_first", [True, False])
@torch.inference_mode()
def test_a_hard_cut_that_overtakes_a_recache_uses_nothing_that_the_recache_would_have_made(is_first):
    expected = overtaken("cpu", is_first)
    with pretended_gpu():
        made = overtaken("cuda", is_first)
    assert facts(made) == facts(expected)


@torch.inference_mode()
def test_a_recache_ahead_is_under_way_until_its_block_begins():
    with pretended_gpu() as device:
        session = tiny_world(device="cuda").session(1, "a")
        for _ in range(4):
            session.step()
        device.stand_still(session._memory.side._stream)
        session.ahead([Prompt("b")])
        assert session.is_recaching
        session.step()
        assert not session.is_recaching


@torch.inference_mode()
def test_a_block_is_rehearsed_in_a_bank_that_no_recache_writes_to_any_more():
    plain = tiny_world(stored="float32").session(1, "a")
    blocks = [plain.step() for _ in range(3)]
    for seed in SEEDS:
        with pretended_gpu(seed):
            session = tiny_world(stored="float32", device="cuda").session(1, "a")
            session.step(), session.step()
            session.ahead([Prompt("b")])
            assert session.rehearse(blocks[2]).digest == blocks[2].digest


def test_the_side_stream_of_a_cpu_is_the_place_itself():
    side, done = SideStream(CPU), []
    with side.beside():
        done.append(1)
    side.join()
    assert done == [1] and not side.is_busy
    take_precedence(CPU), finish(CPU)


def test_the_side_stream_of_a_gpu_writes_what_is_read_after_the_join(cuda):
    take_precedence(CUDA)
    side, square = SideStream(CUDA), torch.full((2048, 2048), 1 / 2048, device=CUDA)
    if cuda:
        cuda.stand_still(side._stream)
    with side.beside():
        written = square
        for _ in range(2 if cuda else 50):
            written = written @ square
    assert side.is_busy
    side.join()
    assert torch.allclose((written + 0).cpu(), square.cpu())
    finish(CUDA)
    assert not side.is_busy
