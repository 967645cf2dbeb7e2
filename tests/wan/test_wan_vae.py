"""The Wan VAE: the published numbers, and a stream whose state is a value."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conformance import load
from tests.conformance import vae as conformance
from world.wan.vae import VAEConfig, WanVAE

GOLDEN = Path(__file__).parent.parent / "golden" / "e_wan_vae.json"


def tiny(**sizes) -> WanVAE:
    torch.manual_seed(0)
    return WanVAE(VAEConfig(dim=4, **sizes))


def latents(frames: int, size: int = 2) -> torch.Tensor:
    return torch.randn(1, frames, 16, size, size, generator=torch.Generator().manual_seed(1))


def test_the_golden_vectors_are_reproduced():
    tensors, about = load(GOLDEN)
    errors = conformance.check(tensors, about)
    assert errors["stream"] == 0
    assert max(errors.values()) < about["tolerance"]["abs"]


def test_the_released_sizes_have_the_released_parameters():
    with torch.device("meta"):
        vae = WanVAE()
    assert sum(p.numel() for p in vae.parameters()) == 126_892_531
    shapes = {name: tuple(t.shape) for name, t in vae.state_dict().items()}
    assert shapes["decoder.upsamples.3.time_conv.weight"] == (768, 384, 3, 1, 1)
    assert shapes["decoder.upsamples.4.shortcut.weight"] == (384, 192, 1, 1, 1)
    assert shapes["encoder.downsamples.8.resample.1.weight"] == (384, 384, 3, 3)
    assert shapes["encoder.head.2.weight"] == (32, 384, 3, 3, 3)


def test_a_stream_gives_one_frame_and_then_four_for_each_latent_frame():
    vae, state = tiny(), ()
    counts = []
    for latent in latents(3).split(1, dim=1):
        frames, state = vae.decode(state, latent)
        counts.append(len(frames))
    assert counts == [1, 4, 4]
    assert frames.dtype == np.uint8 and frames.shape == (4, 16, 16, 3)


def test_an_older_state_stays_usable_after_later_blocks():
    vae, z = tiny(), latents(8)
    _, first = vae.decode_raw(vae.start(), z[:, :2])
    kept = [t.clone() for t in first]
    once, second = vae.decode_raw(first, z[:, 2:5])
    vae.decode_raw(second, z[:, 5:])
    assert all(torch.equal(a, b) for a, b in zip(kept, first, strict=True))
    again, _ = vae.decode_raw(first, z[:, 2:5])
    assert torch.equal(once, again)


def test_a_state_holds_no_more_than_its_own_frames():
    vae = tiny()
    _, state = vae.decode_raw(vae.start(), latents(2))
    assert all(t.untyped_storage().nbytes() == t.numel() * t.element_size() for t in state)


@pytest.mark.parametrize(("res_blocks", "memory"), [(1, 30), (2, 38)])
def test_memory_is_as_far_as_a_latent_frame_is_felt(res_blocks, memory):
    vae, z = tiny(res_blocks=res_blocks), latents(memory + 4, size=1)
    z[:, 1] = torch.nan  # not a number spreads to everything that depends on it, however faintly
    raw, _ = vae.decode_raw(vae.start(), z)
    last_frame = raw.isnan().flatten(2).any(2)[0].nonzero().max().item()
    assert vae.memory == memory
    assert (last_frame + 3) // 4 == 1 + memory


def test_memory_is_enough_to_join_a_stream():
    vae = tiny(res_blocks=1)
    z = latents(vae.memory + 5)
    whole, _ = vae.decode_raw(vae.start(), z)
    _, state = vae.decode_raw(vae.start(), z[:, 4:-1])
    joined, _ = vae.decode_raw(state, z[:, -1:])
    assert torch.equal(joined, whole[:, -4:])


def test_encoding_in_groups_equals_encoding_at_once():
    vae = tiny(res_blocks=1)
    video = torch.rand(1, 13, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    whole, _ = vae.encode(vae.start(), video)
    first, state = vae.encode(vae.start(), video[:, :5])
    rest, _ = vae.encode(state, video[:, 5:])
    assert torch.equal(torch.cat([first, rest], dim=1), whole)


def test_a_group_that_does_not_fill_a_latent_frame_is_refused():
    with pytest.raises(ValueError, match=r"6 frames to encode: need 1 \+ a multiple of 4"):
        tiny(res_blocks=1).encode((), torch.zeros(1, 6, 3, 16, 16))


def test_latents_from_the_log_decode_like_tensors():
    vae, z = tiny(res_blocks=1), latents(2)
    stored = z.numpy()
    stored.setflags(write=False)
    from_array, _ = vae.decode(vae.start(), stored)
    from_tensor, _ = vae.decode(vae.start(), z)
    assert np.array_equal(from_array, from_tensor)


def test_decoding_in_bfloat16_stays_near_float32():
    tensors, about = load(GOLDEN)
    exact, _ = conformance.build(tensors, about).decode((), tensors["latents"])
    halved, _ = conformance.build(tensors, about).bfloat16().decode((), tensors["latents"])
    assert np.abs(exact.astype(int) - halved).mean() < 2
