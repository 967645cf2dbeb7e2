"""The recache: what a prompt switch re-encodes, what it keeps, and what it leaves alone."""

import pytest
import torch

from tests.support.tiny import SIZES, encode, tiny_world
from world.diffusion.recache import Encoder, Stretch, append, rebuild
from world.dit.cache import BankPair, CacheBank
from world.dit.config import CacheConfig
from world.dit.dit import TimeEmbeddings

GRID = (2, 3)


class Stream:
    """A bank pair filled with `blocks` clean blocks under the words "old"; rebuilt under "new"."""

    def __init__(self, cache: CacheConfig, blocks: int) -> None:
        self.dit = tiny_world().dit
        times = TimeEmbeddings(self.dit)
        self.old, self.new = (
            Encoder(self.dit, times, self.dit.words(encode(text).embedding)) for text in ("old", "new")
        )
        self.banks = BankPair(*(CacheBank(cache, SIZES, GRID) for _ in range(2)))
        frames = blocks * cache.block
        self.latents = torch.randn(1, frames, 4, 4, 6, generator=torch.Generator().manual_seed(1))
        for start in range(0, frames, cache.block):
            append(self.old, self.banks.front, Stretch(self.latents[:, start : start + cache.block], start))

    def rebuild(self, renew: bool = False) -> CacheBank:
        rebuild(self.new, self.banks, Stretch(self.latents, 0), renew)
        return self.banks.back

    def published(self, renew: bool) -> CacheBank:
        """The published procedure on a copy of the front bank: the whole window again, its sink protected or not."""
        window, made = self.banks.front.config.window, self.latents.shape[1]
        self.banks.back.reset(made, None if renew else self.banks.front, 0 if renew else self.banks.front.config.size)
        past = Stretch(self.latents, 0).last(min(window, made))
        self.new.write(self.banks.back, past, renew)
        return self.banks.back


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def contents(bank: CacheBank) -> torch.Tensor:
    """Keys and values of every layer in the order of time: [layers, 2, B, slots, N, heads, d]."""
    return torch.stack([torch.stack(bank.logical(layer)) for layer in range(SIZES.num_layers)])


def cache(positions: str = "relative", window: int = 6, sink: int = 2) -> CacheConfig:
    return CacheConfig(window, sink, 2, positions=positions, published=True)


def test_recache_keeps_the_sink_of_the_first_prompt():
    stream = Stream(cache(), blocks=6)
    before, after = contents(stream.banks.front), contents(stream.rebuild())
    assert torch.equal(before[:, :, :, :2], after[:, :, :, :2])
    assert all(not torch.allclose(before[..., slot, :, :, :], after[..., slot, :, :, :]) for slot in range(2, 6))


def test_recache_inside_the_first_window_writes_the_sink_too():
    stream = Stream(cache(), blocks=3)
    before, after = contents(stream.banks.front), contents(stream.rebuild())
    assert not torch.allclose(before[:, :, :, :2], after[:, :, :, :2])


@pytest.mark.parametrize("positions", ["relative", "absolute"])
@pytest.mark.parametrize(("window", "sink"), [(6, 2), (7, 2), (8, 4), (4, 2), (6, 0)])
@pytest.mark.parametrize("renew", [False, True])
def test_encoding_what_is_needed_equals_encoding_the_whole_window(positions, window, sink, renew):
    stream = Stream(cache(positions, window, sink), blocks=7)
    ours = contents(stream.rebuild(renew))
    frames = list(stream.banks.back.slots.frame)
    theirs = contents(stream.published(renew))
    assert (ours - theirs).abs().max() < 1e-5
    assert positions == "relative" or frames == [
        stream.banks.back.slots.frame[slot] for slot in stream.banks.back.slots.order
    ]


def test_a_kept_sink_spares_as_many_frames():
    assert CacheConfig(12, 3, 3).rules.frames_needed(made=30, renew=False) == 9
    assert CacheConfig(12, 3, 3).rules.frames_needed(made=30, renew=True) == 12
    assert CacheConfig(12, 3, 3).rules.frames_needed(made=9, renew=False) == 9
    assert CacheConfig(12, 3, 3, slots=33).rules.frames_needed(made=60, renew=False) == 12
    assert CacheConfig(-1, 3, 3, slots=60).rules.frames_needed(made=60, renew=False) == 60


def test_a_renewed_sink_is_made_of_the_windows_first_frames():
    stream = Stream(cache("absolute"), blocks=6)
    slots = stream.rebuild(renew=True).slots
    assert [slots.frame[slot] for slot in slots.order] == [6, 7, 8, 9, 10, 11]


def test_the_front_bank_is_not_touched():
    stream = Stream(cache(), blocks=6)
    before, order = contents(stream.banks.front), list(stream.banks.front.slots.order)
    stream.rebuild()
    assert torch.equal(before, contents(stream.banks.front)) and order == stream.banks.front.slots.order


def test_a_rebuild_does_not_depend_on_where_the_ring_stood():
    early, late = Stream(cache(), blocks=6), Stream(cache(), blocks=6)
    late.rebuild()
    late.banks.swap()
    late.new.write(late.banks.front, Stretch(late.latents[:, :2] * 0, 12))  # the ring moves on
    keys = [stream.rebuild(renew=True).keys for stream in (early, late)]
    assert all(torch.equal(a, b) for a, b in zip(*keys, strict=True))


def test_every_frame_of_a_recache_sees_every_other():
    stream = Stream(cache(), blocks=3)
    before = contents(stream.rebuild())
    stream.latents[:, -1] += 1
    after = contents(stream.rebuild())
    assert torch.equal(before[0, ..., 0, :, :, :], after[0, ..., 0, :, :, :])  # the first layer sees single frames
    assert not torch.allclose(before[1, ..., 0, :, :, :], after[1, ..., 0, :, :, :])


def test_a_recache_before_the_first_block_leaves_an_empty_cache():
    stream = Stream(cache(), blocks=0)
    bank = stream.rebuild()
    assert bank.slots.filled == 0 and not contents(bank).any()


def test_too_few_latents_are_refused():
    stream = Stream(cache(), blocks=6)
    with pytest.raises(ValueError, match="a rebuild needs 4 latent frames, got the last 2"):
        rebuild(stream.new, stream.banks, Stretch(stream.latents[:, -2:], 10), False)
