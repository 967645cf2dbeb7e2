import numpy as np
import pytest
import torch

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.geometry import Geometry
from world.train.stages.decoder import pairs, picture_loss

TINY = Geometry(channels=8, rows=2, columns=3)


@pytest.fixture
def decoder() -> PictureDecoder:
    torch.manual_seed(0)
    model = PictureDecoder(TINY, (16, 8, 8))
    model.linear.basis.copy_(torch.linalg.qr(torch.randn(TINY.numbers, 8))[0].T)
    for parameter in model.leave.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model


def assert_same_pictures(frames: np.ndarray, others: np.ndarray) -> None:
    """One level in 255 apart at most: a CPU rounds a product differently where the shapes differ."""
    assert frames.shape == others.shape
    assert np.abs(frames.astype(int) - others).max() <= 1


def test_streaming_equals_decoding_in_one_go(decoder: PictureDecoder):
    latents = torch.randn(1, 5, 8, 2, 3)
    whole, _ = decoder.decode(decoder.start(), latents)
    state, parts = decoder.start(), []
    for block in latents.split(1, 1):
        frames, state = decoder.decode(state, block)
        parts.append(frames)
    assert_same_pictures(np.concatenate(parts), whole)


def test_the_state_is_a_value_that_can_be_used_again(decoder: PictureDecoder):
    latents = torch.randn(1, 2, 8, 2, 3)
    _, state = decoder.decode(decoder.start(), latents[:, :1])
    first, _ = decoder.decode(state, latents[:, 1:])
    again, _ = decoder.decode(state, latents[:, 1:])
    assert np.array_equal(first, again)


def test_memory_says_how_many_latent_frames_decide_the_next(decoder: PictureDecoder):
    latents = torch.randn(1, 4, 8, 2, 3)
    whole, _ = decoder.decode(decoder.start(), latents)
    late, _ = decoder.decode(decoder.start(), latents[:, 3 - decoder.memory :])
    assert_same_pictures(late[-6:], whole[-6:])
    alone, _ = decoder.decode(decoder.start(), latents[:, 3:])
    assert np.abs(alone[-6:].astype(int) - whole[-6:]).max() > 1


def test_a_latent_frame_is_six_frames_of_bytes(decoder: PictureDecoder):
    frames, _ = decoder.decode(decoder.start(), np.zeros((1, 1, 8, 2, 3), np.float16))
    assert frames.shape == (6, 32, 48, 3) and frames.dtype == np.uint8


def test_linear_latents_hold_what_lies_in_their_basis():
    torch.manual_seed(0)
    linear = LinearLatents(TINY)
    linear.basis.copy_(torch.linalg.qr(torch.randn(TINY.numbers, 8))[0].T)
    linear.mean.normal_()
    linear.scale.fill_(3.0)
    latents = torch.randn(2, 3, 8, 2, 3)
    torch.testing.assert_close(linear.encode(linear.decode(latents)), latents, atol=1e-4, rtol=1e-4)


def test_a_cross_fade_of_latents_is_a_cross_fade_of_pixels():
    torch.manual_seed(0)
    linear = LinearLatents(TINY)
    linear.basis.normal_()
    one, other = torch.randn(2, 1, 1, 8, 2, 3)
    mixed = linear.decode(0.3 * one + 0.7 * other)
    torch.testing.assert_close(mixed, 0.3 * linear.decode(one) + 0.7 * linear.decode(other), atol=1e-4, rtol=1e-4)


def test_training_pairs_hold_each_block_with_the_one_before():
    linear = LinearLatents(TINY)
    linear.basis.copy_(torch.eye(TINY.numbers)[:8])
    frames = torch.randn(2, 18, 3, 32, 48)
    z, before, true = pairs(linear, frames, 0.0, torch.Generator())
    assert torch.equal(before[1], z[0]) and torch.equal(before[3], z[3])
    assert torch.equal(true[4], frames[1, 6:12])


def test_the_picture_loss_is_nothing_for_the_true_picture():
    frames = torch.randn(1, 6, 3, 8, 8)
    assert picture_loss(frames, frames) == 0
    assert picture_loss(frames + 0.1, frames) > 0
