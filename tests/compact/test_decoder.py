import numpy as np
import pytest
import torch

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.form import PictureForm
from world.compact.geometry import Geometry
from world.compact.sharpen import CONTOUR, sharpen
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


def test_an_untrained_refiner_changes_no_picture():
    plain, refined = PictureDecoder(TINY), PictureDecoder(TINY, form=PictureForm(refiner_width=8, refiner_depth=2))
    refined.load_state_dict(plain.state_dict(), strict=False)
    now, before = torch.randn(2, 2, 8, 2, 3)
    torch.testing.assert_close(refined(now, before), plain(now, before))


def test_a_refiner_knows_where_it_is():
    decoder = PictureDecoder(TINY, form=PictureForm(refiner_width=8, refiner_depth=1))
    torch.nn.init.normal_(decoder.refiner.leave.weight)
    torch.nn.init.normal_(decoder.refiner.place[:, :, 1])
    still = torch.zeros(1, 8, 2, 3)
    corrected = decoder.refiner(still, still)
    decoder.refiner.place.data = decoder.refiner.place.data.roll(1, -1)
    assert not torch.allclose(decoder.refiner(still, still), corrected)


def ramp() -> torch.Tensor:
    """A blurred contour between two flat grounds, uint8 [3, 6, 12]: it rises over six columns."""
    row = torch.tensor([40, 40, 40, 44, 62, 98, 134, 170, 188, 192, 192, 192], dtype=torch.uint8)
    return row.expand(3, 6, 12).contiguous()


def test_sharpening_makes_a_contour_steeper_and_keeps_its_grounds():
    steps = [sharpen(ramp(), passes).short().diff(dim=-1) for passes in (0, 1, 2)]
    steepest = [int(step.max()) for step in steps]
    assert steepest[0] < steepest[1] < steepest[2]
    sharp = sharpen(ramp(), 2)
    assert sharp.min() == 40 and sharp.max() == 192, "no halo"
    assert (steps[2] >= 0).all(), "no ripples"


def test_sharpening_leaves_even_slopes_and_faint_texture():
    slope = torch.arange(0, 96, 8, dtype=torch.uint8).expand(3, 6, 12).contiguous()
    assert torch.equal(sharpen(slope, 2)[..., 2:-2], slope[..., 2:-2])
    torch.manual_seed(0)
    paper = (128 + torch.randint(0, CONTOUR // 8, (3, 40, 40))).to(torch.uint8)
    assert (sharpen(paper, 2).short() - paper.short()).abs().max() <= 1


def test_sharpening_is_the_same_along_rows_and_columns_and_with_colours_last():
    torch.manual_seed(0)
    picture = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    sharp = sharpen(picture, 2)
    assert not torch.equal(sharp, picture)
    assert torch.equal(sharpen(picture.mT.contiguous(), 2).mT, sharp)
    colours_last = picture.permute(1, 2, 0).flatten(1)
    assert torch.equal(sharpen(colours_last, 2, step=3), sharp.permute(1, 2, 0).flatten(1))


def test_trained_pictures_are_not_sharpened_and_shown_ones_are(decoder: PictureDecoder):
    latents = torch.randn(2, 8, 2, 3)
    drawn = decoder.draw(latents, latents)
    assert torch.equal(decoder(latents, latents), drawn)
    decoder.form = PictureForm(sharpenings=1)
    levels = ((drawn + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
    shown = ((decoder(latents, latents) + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(shown, sharpen(levels, 1)) and decoder.draw(latents, latents).requires_grad
