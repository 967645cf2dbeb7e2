"""The cache: what is seen, kept and evicted, without moving anything."""

import random

import pytest
import torch

from tests.support.literal import LiteralCache
from world.dit.cache import CacheBank
from world.dit.config import CacheConfig, DiTConfig
from world.dit.slots import Slots

GRID, HEADS, HEAD_DIM = (1, 2), 2, 8
ONE_LAYER = DiTConfig(dim=HEADS * HEAD_DIM, num_heads=HEADS, num_layers=1)


def bank_of(config: CacheConfig, batch: int = 1) -> CacheBank:
    return CacheBank(config, ONE_LAYER, GRID, batch)


def drawn(generator: torch.Generator, batch: int, frames: int) -> list[torch.Tensor]:
    """Random q, k, v of a call: [B, F, N, heads, d]."""
    return [torch.randn(batch, frames, 2, HEADS, HEAD_DIM, generator=generator) for _ in range(3)]


def call(bank: CacheBank, start: int, q, k, v, renew: bool = False) -> torch.Tensor:
    return bank.attend(start, q.shape[1], renew)(0, *(x.flatten(1, 2) for x in (q, k, v)))


def held(bank: CacheBank, literal: LiteralCache) -> torch.Tensor:
    """The bank's keys as the published cache stores them."""
    keys, _ = bank.logical(0)  # not rotated
    if bank.config.positions == "relative":
        return keys
    frames = [bank.slots.frame[slot] for slot in bank.slots.order]
    return torch.cat([literal.turn(keys[:, i : i + 1], range(f, f + 1)) for i, f in enumerate(frames)], 1)


def some_config(chance: random.Random) -> CacheConfig:
    """Any window, sink and block: sinks above a block, windows that are no multiple of it, no history, no window."""
    block, sink = chance.randint(1, 4), chance.randint(0, 5)
    positions = chance.choice(["relative", "absolute"])
    if chance.random() < 0.2:
        return CacheConfig(-1, sink, block, max(7 * block, sink + block), positions, published=True)
    window = sink + block + chance.randint(0, 5)
    slots = window + (chance.randint(0, 4) if positions == "absolute" else 0)
    return CacheConfig(window, sink, block, slots, positions, published=True)


@pytest.mark.parametrize("seed", range(60))
def test_the_ring_equals_the_published_clone_and_roll(seed):
    chance, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    config, batch = some_config(chance), chance.randint(1, 2)
    bank = bank_of(config, batch)
    literal = LiteralCache(config, GRID, bank.keys[0].shape)
    for block in range(7):
        for _ in range(chance.randint(1, 3)):
            qkv = drawn(generator, batch, config.block)
            ours, theirs = (run(block * config.block, *qkv) for run in (lambda *a: call(bank, *a), literal.call))
            assert (ours - theirs).abs().max() < 1e-5, config
        assert (bank.slots.made, bank.slots.filled) == (literal.made, literal.filled)
        assert (held(bank, literal) - literal.k).abs().max() < 1e-5, config
        assert torch.equal(bank.logical(0)[1], literal.v), config


def test_published_a_large_sink_keeps_the_noise_of_its_later_frames():
    bank, generator = bank_of(CacheConfig(5, 3, 1, published=True)), torch.Generator().manual_seed(0)
    call(bank, 0, *drawn(generator, 1, 1))
    noisy, clean = drawn(generator, 1, 1), drawn(generator, 1, 1)
    call(bank, 1, *noisy)
    call(bank, 1, *clean)
    assert torch.equal(bank.sink_keys[0][:, 1:2], noisy[1])


def test_a_large_sink_takes_the_clean_pass_of_every_frame_and_shows_no_empty_slot():
    bank, generator = bank_of(CacheConfig(5, 3, 1)), torch.Generator().manual_seed(0)
    call(bank, 0, *drawn(generator, 1, 1))
    assert bank.slots.place(0, 1).visible == [0]
    clean = drawn(generator, 1, 1)
    call(bank, 1, *drawn(generator, 1, 1))
    call(bank, 1, *clean)
    assert torch.equal(bank.sink_keys[0][:, 1:2], clean[1])


def test_the_shipped_window_evicts_the_oldest_block_after_the_sink_once_a_block():
    slots = Slots(CacheConfig(12, 3, 3, positions="absolute"))
    for block in range(6):
        for _ in range(5):
            slots.place(3 * block, 3)
    assert [slots.frame[slot] for slot in slots.order] == [0, 1, 2, 9, 10, 11, 12, 13, 14, 15, 16, 17]


@pytest.mark.parametrize("positions", ["relative", "absolute"])
def test_nothing_moves_in_memory_but_the_new_block_and_keys_of_a_sink_that_moves_along(positions):
    config = CacheConfig(6, 2, 2, positions=positions)
    bank, generator = bank_of(config), torch.Generator().manual_seed(0)
    for block in range(5):
        before, keys = bank.values[0].clone(), bank.keys[0].clone()
        where = bank.attend(2 * block, 2).placement.written
        call(bank, 2 * block, *drawn(generator, 1, 2))
        changed = [slot for slot in range(6) if not torch.equal(before[:, slot], bank.values[0][:, slot])]
        assert changed == sorted(where)
        turned = {slot for slot in range(6) if not torch.equal(keys[:, slot], bank.keys[0][:, slot])}
        moved = {0, 1} if positions == "relative" and block >= 3 else set()
        assert turned == {*where, *moved}


def test_a_full_window_is_read_without_a_copy():
    bank = bank_of(CacheConfig(6, 2, 2))
    for block in range(5):
        cached = bank.attend(2 * block, 2)
        assert cached.visible.of(bank.keys[0]).data_ptr() == bank.keys[0].data_ptr()


def test_with_relative_positions_the_sink_moves_along_with_the_stream():
    slots = Slots(CacheConfig(7, 2, 2))
    for block in range(1500):
        placement = slots.place(2 * block, 2)
    # the window is 7 long, so its sink stands 5 and 6 frames before the newest block
    assert placement.positions == [2998, 2999] and placement.sink == [2993, 2994]


def test_three_thousand_latent_frames_take_no_more_memory_or_work():
    bank, generator = bank_of(CacheConfig(6, 2, 2)), torch.Generator().manual_seed(0)
    qkv, buffers = drawn(generator, 1, 2), [buffer.data_ptr() for buffer in bank.keys + bank.values]
    outs, looked_at = [], set()
    for block in range(1500):
        cached = bank.attend(2 * block, 2)
        outs.append(cached(0, *(x.flatten(1, 2) for x in qkv)))
        looked_at.add(cached.visible.of(bank.keys[0]).shape[1])
    assert (outs[-1] - outs[20]).abs().max() < 1e-6
    assert looked_at == {2, 4, 6} and len(bank.slots.order) == 6
    assert [buffer.data_ptr() for buffer in bank.keys + bank.values] == buffers


def test_absolute_positions_go_on_past_1024():
    config = CacheConfig(6, 2, 2, positions="absolute")
    bank, generator = bank_of(config), torch.Generator().manual_seed(0)
    literal = LiteralCache(config, GRID, bank.keys[0].shape)
    for block in range(700):
        qkv = drawn(generator, 1, 2)
        ours, theirs = call(bank, 2 * block, *qkv), literal.call(2 * block, *qkv)
    assert (ours - theirs).abs().max() < 1e-5


def test_an_abandoned_block_is_made_again_in_its_own_slots():
    once, twice, generator = bank_of(CacheConfig(6, 2, 2)), bank_of(CacheConfig(6, 2, 2)), torch.Generator()
    for block in range(6):
        qkv = drawn(generator.manual_seed(block), 1, 2)
        call(twice, 2 * block, *drawn(generator, 1, 2))
        assert torch.equal(call(once, 2 * block, *qkv), call(twice, 2 * block, *qkv))


def test_a_window_without_end_says_when_it_is_full():
    bank = bank_of(CacheConfig(-1, 0, 2, slots=4))
    bank.attend(0, 2), bank.attend(2, 2)
    with pytest.raises(ValueError, match="latent frame 6 does not fit: the cache holds 4"):
        bank.attend(4, 2)


def test_frames_that_were_evicted_are_not_written_again():
    bank = bank_of(CacheConfig(4, 1, 1))
    for frame in range(9):
        bank.attend(frame, 1)
    with pytest.raises(ValueError, match="latent frames 2 to 3 are no longer in the cache"):
        bank.attend(2, 1)


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ({"window": 5}, "window 5: need at least sink 3 \\+ block 3"),
        ({"window": -1}, "say in `slots`"),
        ({"slots": 4}, "4 slots: need at least"),
        ({"positions": "polar"}, "positions 'polar': expected relative or absolute"),
        ({"block": 0}, "block 0, sink 3"),
    ],
)
def test_a_cache_that_cannot_work_is_refused(sizes, complaint):
    with pytest.raises(ValueError, match=complaint):
        CacheConfig(**sizes)
