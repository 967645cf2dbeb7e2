"""The decoders for a GPU give what the plain ones give, within the tolerance that `fast_decoder` states."""

import numpy as np
import pytest
import torch

from tests.conformance import load
from tests.conformance import taehv as taehv_golden
from tests.conformance import vae as vae_golden
from tests.wan.test_taehv import GOLDEN as TAEHV_GOLDEN
from tests.wan.test_wan_vae import GOLDEN as VAE_GOLDEN
from world.wan.fast.convolve import CausalStack, CausalSums, Enlarge
from world.wan.fast.decoder import FastDecoder, decoder_at, fast_decoder
from world.wan.fast.operations import Stepwise, stack
from world.wan.taehv import TAEHV, TAEHVConfig
from world.wan.vae import VAEConfig, WanVAE

CPU = torch.device("cpu")


def tiny_taehv() -> TAEHV:
    return TAEHV(TAEHVConfig(decoder=(16, 8, 8, 8), encoder=4))


def tiny_vae() -> WanVAE:
    return WanVAE(VAEConfig(dim=4, res_blocks=1))


@pytest.fixture(params=[tiny_taehv, tiny_vae], ids=["taehv", "vae"])
def plain(request):
    torch.manual_seed(0)
    return request.param().requires_grad_(False)


def fast(plain, dtype: torch.dtype = torch.float32, device: torch.device = CPU) -> FastDecoder:
    return fast_decoder(plain, device, dtype)


def latents(frames: int, height: int = 4, width: int = 6) -> torch.Tensor:
    return torch.randn(1, frames, 16, height, width, generator=torch.Generator().manual_seed(1))


def streamed(decoder, z: torch.Tensor) -> np.ndarray:
    """The frames of z, decoded one latent frame at a time."""
    state, shown = decoder.start(), []
    for latent in z.split(1, dim=1):
        frames, state = decoder.decode(state, latent)
        shown.append(frames)
    return np.concatenate(shown)


def test_in_float32_the_pixels_are_those_of_the_plain_decoder(plain):
    z = latents(5)
    expected, _ = plain.decode_raw(plain.start(), z)
    raw, _ = fast(plain).decode_raw((), z)
    assert raw.shape == expected.shape
    assert (raw - expected).abs().max() < 1e-4


@pytest.mark.parametrize(("golden", "path"), [(taehv_golden, TAEHV_GOLDEN), (vae_golden, VAE_GOLDEN)])
def test_the_golden_vectors_are_reproduced(golden, path):
    tensors, about = load(path)
    decoder = golden.build(tensors, about)
    errors = golden.decode_errors(fast(decoder), tensors, about)
    assert errors.pop("stream") < 1e-4
    assert max(errors.values()) < about["tolerance"]["abs"]


def test_in_bfloat16_it_is_no_farther_from_float32_than_the_plain_decoder(plain):
    z = latents(5)
    exact, _ = plain.decode_raw(plain.start(), z)
    off, _ = fast(plain, torch.bfloat16).decode_raw((), z)
    plainly_off, _ = plain.bfloat16().decode_raw(plain.start(), z)
    assert (off - exact).abs().mean() < 1.2 * (plainly_off - exact).abs().mean()
    assert (off - exact).abs().max() < 2 * (plainly_off - exact).abs().max()


def test_a_stream_shows_what_the_plain_decoder_shows(plain):
    z = latents(4)
    expected, shown = streamed(plain, z), streamed(fast(plain), z)
    assert shown.dtype == np.uint8 and shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() <= 1  # on the edge of rounding


def test_a_block_gives_the_same_as_its_latent_frames_one_by_one(plain):
    z, decoder = latents(4), fast(plain)
    assert np.array_equal(decoder.decode(decoder.start(), z)[0], streamed(decoder, z))


def test_an_older_state_is_never_written_to_and_can_be_decoded_from_again(plain):
    z, decoder = latents(6), fast(plain)
    _, first = decoder.decode(decoder.start(), z[:, :2])
    kept = [t.clone() for t in first]
    once, second = decoder.decode(first, z[:, 2:4])
    decoder.decode(second, z[:, 4:])
    again, _ = decoder.decode(first, z[:, 2:4])
    assert all(torch.equal(a, b) for a, b in zip(kept, first, strict=True))
    assert np.array_equal(once, again)


def test_a_state_holds_no_more_than_its_own_frames(plain):
    decoder = fast(plain)
    _, state = decoder.decode(decoder.start(), latents(2))
    assert all(t.untyped_storage().nbytes() == t.numel() * t.element_size() for t in state)


def test_states_lie_alike_in_memory_from_the_first_latent_frame_on(plain):
    """Otherwise what is compiled for one would be compiled again for the next."""
    decoder = fast(plain)
    _, first = decoder.decode(decoder.start(), latents(1))
    _, second = decoder.decode(first, latents(1))
    assert [(t.shape, t.stride()) for t in first] == [(t.shape, t.stride()) for t in second]


def test_latents_from_the_log_decode_like_tensors(plain):
    z, decoder = latents(2), fast(plain)
    stored = z.numpy()
    stored.setflags(write=False)
    assert np.array_equal(decoder.decode((), stored)[0], decoder.decode((), z)[0])


def test_the_plain_decoder_stays_where_it_must_be_exact_and_without_a_gpu(plain):
    assert decoder_at("exact", plain, torch.device("cuda"), torch.bfloat16) is plain
    assert decoder_at("fast", plain, CPU, torch.float32) is plain


def test_enlarging_is_folded_into_a_convolution_of_the_small_picture():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4, 5), torch.randn(2 * 6, 3, 3, 3)
    wide = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = torch.nn.functional.conv2d(wide, weight, padding=1).unflatten(1, (2, 6)).flatten(0, 1)
    phases = Enlarge(weight, 2, torch.float32)(x)
    assert torch.allclose(Stepwise().weave(phases, 2, None), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 1)])
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_both_causal_convolutions_see_a_frame_and_the_two_before_it(kernel, frames):
    torch.manual_seed(0)
    weight, x = torch.randn(5, 3, *kernel), torch.randn(1 + frames, 3, 4, 4)
    before = torch.zeros(2, 3, 4, 4)
    side = kernel[1] // 2
    expected = torch.nn.functional.conv3d(torch.cat([before, x]).transpose(0, 1)[None], weight, padding=(0, side, side))
    expected = expected[0].transpose(0, 1)

    sums = CausalSums(weight, torch.float32)
    first, past = sums(x[:1], None)
    assert torch.allclose(torch.cat([first, sums(x[1:], past)[0]]), expected, atol=1e-5)

    stacking = CausalStack(weight, torch.float32)
    stacked, past = stack(x[:1], before)
    rest = stacking(stack(x[1:], past)[0])
    assert torch.allclose(torch.cat([stacking(stacked), rest]), expected, atol=1e-5)


def test_on_a_gpu_a_replayed_graph_gives_new_tensors_each_time(cuda, plain):
    z, device = latents(6, 8, 8), torch.device("cuda")
    decoder = fast(plain, torch.bfloat16, device)
    _, first = decoder.decode_tensor(decoder.start(), z[:, :2].to(device))
    once, second = decoder.decode_tensor(first, z[:, 2:4].to(device))
    kept = once.clone(), [t.clone() for t in second]
    decoder.decode_tensor(second, z[:, 4:].to(device))
    assert torch.equal(once, kept[0]) and all(torch.equal(a, b) for a, b in zip(second, kept[1], strict=True))
    again, _ = decoder.decode_tensor(first, z[:, 2:4].to(device))
    assert torch.equal(once, again)


def test_on_a_gpu_it_shows_what_the_plain_decoder_shows(cuda, plain):
    z, device = latents(4, 8, 8), torch.device("cuda")
    expected = streamed(plain.to(device), z)
    shown = streamed(decoder_at("fast", plain, device, torch.bfloat16), z)
    assert np.abs(shown.astype(int) - expected).mean() < 2
