"""--sink-ema LONG,SHORT: two running averages of what leaves the window, MemRoPE's rule, between sink and window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from net.picture import MAX_AVERAGES
from tests.model.test_cache import GRID, bank_of, call, drawn
from tests.support.tiny import SIZES, digests, tiny_world
from world.block import AVERAGES_BYTES, Made, Snapshot
from world.dit.config import CacheConfig, DiffusionConfig, DiTConfig
from world.dit.rope import rotate, rotation
from world.event import Dial, Prompt, Rebuild, Recall
from world.info import WorldError
from world.zoo import open_world

LONG, SHORT = 0.9, 0.5
AVERAGED = CacheConfig(6, 2, 2, averages=(LONG, SHORT))
WORDS = "slow blue plasma"


def attended(q, frames, position: int):
    """Attention of frames q, the last ones at `position`, to `frames`: (keys, values) of one frame, its position."""

    def turned(x, at: int):
        return rotate(x, rotation(torch.tensor([at]), GRID, x.shape[-1]))

    keys = torch.cat([turned(k, at) for k, _, at in frames], 1).double().transpose(1, 2)
    values = torch.cat([v for _, v, _ in frames], 1).double().transpose(1, 2)
    turned_q = torch.cat([turned(part, position + n) for n, part in enumerate(q.unbind(1))], 1).double().transpose(1, 2)
    weights = torch.softmax(turned_q @ keys.transpose(2, 3) / q.shape[-1] ** 0.5, -1)
    return (weights @ values).transpose(1, 2).float()


class LiteralAverages:
    """A sink of 2, two averages and 4 frames more, blocks of 2: lists of frames, and the rule as it is published."""

    def __init__(self) -> None:
        self.sink, self.window, self.averages = [], [], []

    def call(self, q, k, v):
        for pair in zip(k.unbind(1), v.unbind(1), strict=True):
            (self.window if len(self.sink) == 2 else self.sink).append(pair)
        leaving, self.window = self.window[:-4], self.window[-4:]
        if leaving:
            tokens = [torch.cat([pair[part] for pair in leaving], 1).mean(1, keepdim=True) for part in (0, 1)]
            mean = [part.expand(-1, 2, -1, -1) for part in tokens]  # one token for each of the two of a frame
            old = self.averages or [mean, mean]
            self.averages = [
                [kept * a + (1 - kept) * m for a, m in zip(average, mean, strict=True)]
                for kept, average in zip((LONG, SHORT), old, strict=True)
            ]
        line = [*self.sink, *self.averages, *self.window]
        return attended(q, [(*pair, at) for at, pair in enumerate(line)], len(line) - 2)


def test_blocks_attend_to_the_sink_then_the_averages_then_the_newest_frames():
    bank, literal, generator = bank_of(AVERAGED), LiteralAverages(), torch.Generator().manual_seed(0)
    for block in range(9):
        qkv = drawn(generator, 1, 2)
        assert (call(bank, 2 * block, *qkv) - literal.call(*qkv)).abs().max() < 1e-5, block


def test_nothing_is_seen_of_the_averages_before_something_has_left_the_window():
    bank, generator = bank_of(AVERAGED), torch.Generator().manual_seed(0)
    for start in (0, 2, 4):
        call(bank, start, *drawn(generator, 1, 2))
    assert not bank.slots.averaged and bank.slots.place(4, 2).visible == list(range(6))
    call(bank, 6, *drawn(generator, 1, 2))
    assert bank.slots.averaged and len(bank.slots.place(6, 2).visible) == 8


def test_every_pass_over_a_full_window_with_averages_has_the_same_shapes():
    bank, generator = bank_of(AVERAGED), torch.Generator().manual_seed(0)
    is_steady = []
    for block in range(6):
        call(bank, 2 * block, *drawn(generator, 1, 2))
        is_steady.append(bank.attend(2 * block, 2).is_steady)
    assert is_steady == [False, False, False, True, True, True]


def streamed(cache: CacheConfig = AVERAGED, blocks: int = 6):
    session = tiny_world(cache).session(7, "first words")
    return session, [session.step() for _ in range(blocks)]


def averages(session):
    return session.banks.front._averages.now


def goes_on_from(session, log) -> bool:
    folded = session._model.session(7, "first words")
    folded.fold(log)
    after = [[], [Prompt("z")], []]
    return digests([folded.step(events) for events in after]) == digests([session.step(events) for events in after])


def test_new_words_keep_the_averages_and_a_sink_that_is_made_anew_forgets_them():
    session, _ = streamed()
    before = averages(session)
    next(session.begin([Prompt("b")]))
    assert averages(session) is before and session.banks.front.slots.averaged
    next(session.begin([Rebuild()]))
    assert averages(session) is None and not session.banks.front.slots.averaged


@pytest.mark.parametrize(
    "cache", [AVERAGED, CacheConfig(5, 2, 1, averages=(0.99, 0.9)), CacheConfig(8, 3, 2, averages=(0.5, 0.0))]
)
def test_a_fold_of_the_log_goes_on_bit_for_bit(cache):
    session, log = streamed(cache, 7)
    for events in ([Prompt("b")], [], [Recall((log[0].past,), "c")], [], [], [Dial("zoom", 0.5), Prompt("d")], []):
        log.append(session.step(events))
    assert goes_on_from(session, log)


def test_the_averages_change_once_a_block_however_often_the_block_is_begun():
    session, log = streamed()
    for _ in range(3):
        next(session.begin())
        session.state.abandon()
    log.append(session.step())
    assert goes_on_from(session, log)


def test_a_recache_beside_a_block_takes_the_averages_of_before_that_block():
    session, log = streamed()
    passes = session.begin()
    next(passes)
    session.ahead([Prompt("b")])
    log += [done.block for done in passes if isinstance(done, Made)]
    log.append(session.step())
    assert (log[-1].cut, log[-1].seen) == (6, 7) and goes_on_from(session, log)


def test_a_session_that_takes_blocks_back_has_the_averages_of_the_block_it_returns_to():
    session, log = streamed()
    session.take_back(4)
    next(session.begin())
    assert np.array_equal(session.banks.front.averages(10).array(), log[4].averages)
    block = session.step()
    assert block.events == () and goes_on_from(session, [*log[:5], block])


def resumed(log, averages: bool = True):
    """A session that goes on from the newest three blocks of `log`, with their averages or without."""
    blocks = log[-3:] if averages else [replace(block, averages=None) for block in log[-3:]]
    other = tiny_world(AVERAGED).session(7, "first words")
    other.resume(Snapshot(7, len(log), 2 * len(log), "first words", {}, tuple(blocks)))
    return other


def test_a_session_that_is_resumed_has_the_averages_of_its_newest_block():
    session, log = streamed()
    other = resumed(log)
    next(other.begin())
    assert np.array_equal(other.banks.front.averages(12).array(), log[5].averages)
    block, kept = other.step(), session.step([Rebuild(keeps_averages=True)])
    assert block.events == (Rebuild(keeps_averages=True),)
    assert block.digest == kept.digest and np.array_equal(block.averages, kept.averages)


def test_without_stored_averages_a_resumed_session_begins_them_anew_in_the_open():
    session, log = streamed()
    block = resumed(log, averages=False).step()
    assert block.events == (Rebuild(),) and block.digest == session.step([Rebuild()]).digest


def test_averages_of_another_world_are_not_gone_on_from():
    _, log = streamed()
    log[-1] = replace(log[-1], averages=log[-1].averages[:, :1])
    assert resumed(log).step().events == (Rebuild(),)


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_fold_over_a_resumed_session_goes_on_bit_for_bit(is_stored: bool):
    """From the stored averages, or from the latents alone: both are the same."""
    _, log = streamed()
    session = resumed(log)
    log += [session.step(events) for events in ([], [Prompt("b")], [])]
    folded = log if is_stored else [replace(block, averages=None) for block in log]
    assert goes_on_from(session, folded)


def test_a_fold_needs_nothing_before_a_cut_that_goes_on_from_stored_averages():
    """As for a guest's saved session, which begins with what the host sent."""
    _, log = streamed()
    session = resumed(log)
    log += [session.step(), session.step()]
    assert goes_on_from(session, log[3:])
    with pytest.raises(ValueError, match="must reach back"):
        goes_on_from(session, [replace(block, averages=None) for block in log[3:]])


def test_averages_travel_with_a_block_where_they_are_small():
    def stored(dit: DiTConfig):
        return DiffusionConfig(dit, CacheConfig(10, 3, 3, averages=(0.99, 0.9))).stored_averages

    assert stored(open_world("small").config.dit) == (2, 6, 1, 2, 3, 64)
    assert stored(DiTConfig()) is None, "Wan's 1.3B"
    assert DiffusionConfig(SIZES, CacheConfig(6, 2, 2)).stored_averages is None
    assert AVERAGES_BYTES <= MAX_AVERAGES, "what is stored can be sent"


def test_bundled_worlds_take_two_averages_out_of_their_window():
    world = open_world("small", sink_ema=(0.99, 0.9))
    plain = open_world("small")
    cache = world.config.cache
    assert cache.window + 2 == plain.config.cache.window and cache.averages == (0.99, 0.9)
    made = []
    for one in (plain, world):
        session = one.session(3, WORDS)
        made.append(digests([session.step() for _ in range(9)]))
    assert made[0][:6] == made[1][:6] and made[0][6:] != made[1][6:]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "probe", "sink_ema": (0.99, 0.9)}, "the test card has none"),
        ({"sink_ema": (0.9, 0.99)}, "need a long and a short one"),
        ({"sink": 0, "sink_ema": (0.99, 0.9)}, "--sink 3"),
        ({"sink": 6, "sink_ema": (0.99, 0.9)}, "do not fit into a window of 8"),
    ],
)
def test_averages_that_a_world_cannot_have_are_refused_in_one_line(options, told):
    with pytest.raises(WorldError, match=told) as refused:
        open_world(**options)
    assert "\n" not in str(refused.value)
