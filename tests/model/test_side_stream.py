"""Work beside the rest of a device: nothing reads what it writes before it was waited for. Checked without a GPU."""

from contextlib import contextmanager

import pytest
import torch

from tests.stream.test_take_back import Film
from tests.support.tiny import digests, tiny_world
from world.dit.config import CacheConfig
from world.dit.device import SideStream, finish, take_precedence
from world.event import Prompt
from world.info import WorldError

CPU = torch.device("cpu")


class TornSideStream:
    """What a GPU may show of a bank while a side stream still writes to it: nothing of use, until it is waited for.

    Work on the side stream itself goes on where it was.
    """

    def __init__(self, memory):
        self._memory, self._hidden = memory, []
        self.is_busy, self.begun = False, 0

    @contextmanager
    def beside(self):
        self.join()
        yield
        bank = self._memory.banks.back
        buffers = (*bank.keys, *bank.values, *bank.sink_keys, bank.table.whole)
        self._hidden = [(buffer, buffer.clone()) for buffer in buffers]
        for buffer, _ in self._hidden:
            buffer.fill_(torch.nan)
        self.is_busy, self.begun = True, self.begun + 1

    def join(self):
        for buffer, written in self._hidden:
            buffer.copy_(written)
        self._hidden, self.is_busy = [], False


def torn(session):
    """The same session with such a side stream."""
    with torch.inference_mode():
        session._memory.side = TornSideStream(session._memory)
    return session


CACHES = (CacheConfig(6, 2, 2), CacheConfig(6, 2, 2, keep_sink=False), CacheConfig(-1, 2, 2, slots=80))


@pytest.mark.parametrize("cache", CACHES, ids=["kept sink", "renewed sink", "global"])
@pytest.mark.parametrize("seed", range(4))
@torch.inference_mode()
def test_any_film_is_the_same_while_its_back_bank_is_torn_until_it_is_waited_for(cache, seed):
    plain, beside = (Film(tiny_world(cache).session(7, "first words"), seed) for _ in range(2))
    torn(beside.session)
    for film in (plain, beside):
        film.play(24)
    assert beside.session._memory.side.begun
    assert digests(plain.blocks.values()) == digests(beside.blocks.values())


@torch.inference_mode()
def test_a_bank_that_nobody_waited_for_shows():
    """The guard bites: without the wait at the swap the next block is not finite, however often it is made."""
    session = torn(tiny_world().session(1, "a"))
    for _ in range(4):
        session.step()
    session.ahead([Prompt("b")])
    session._memory.side.join = lambda: None
    with pytest.raises(WorldError, match="not finite"):
        session.step()


@torch.inference_mode()
def test_a_recache_ahead_is_under_way_until_its_block_begins():
    session = torn(tiny_world().session(1, "a"))
    for _ in range(4):
        session.step()
    session.ahead([Prompt("b")])
    assert session.is_recaching
    session.step()
    assert not session.is_recaching


def test_the_side_stream_of_a_cpu_is_the_place_itself():
    side, done = SideStream(CPU), []
    with side.beside():
        done.append(1)
    side.join()
    assert done == [1] and not side.is_busy
    take_precedence(CPU), finish(CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_side_stream_of_a_gpu_writes_what_is_read_after_the_join():
    device = torch.device("cuda")
    take_precedence(device)
    side, square = SideStream(device), torch.full((2048, 2048), 1 / 2048, device=device)
    with side.beside():
        written = square
        for _ in range(50):
            written = written @ square
    assert side.is_busy
    side.join()
    assert torch.allclose((written + 0).cpu(), square.cpu())
    finish(device)
    assert not side.is_busy
