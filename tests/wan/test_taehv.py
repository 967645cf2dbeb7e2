"""The tiny autoencoder: the published numbers, and a stream whose state is a value."""

from pathlib import Path

import numpy as np
import torch

from tests.conformance import load
from tests.conformance import taehv as conformance
from world.wan.taehv import TAEHV, TAEHVConfig, trim_grow

GOLDEN = Path(__file__).parent.parent / "golden" / "f_taehv.json"
TINY = TAEHVConfig(decoder=(8, 6, 4, 4), encoder=4)


def tiny() -> TAEHV:
    torch.manual_seed(0)
    return TAEHV(TINY)


def latents(frames: int, size: int = 2) -> torch.Tensor:
    return torch.randn(1, frames, 16, size, size, generator=torch.Generator().manual_seed(1))


def test_the_golden_vectors_are_reproduced():
    tensors, about = load(GOLDEN)
    errors = conformance.check(tensors, about)
    assert errors["stream"] == 0
    assert max(errors.values()) < about["tolerance"]["abs"]


def test_the_released_sizes_have_the_released_parameters():
    with torch.device("meta"):
        taehv = TAEHV()
    assert sum(p.numel() for p in taehv.parameters()) == 11_315_539
    shapes = {name: tuple(t.shape) for name, t in taehv.state_dict().items()}
    assert shapes["decoder.7.conv.weight"] == (256, 256, 1, 1)
    assert shapes["decoder.13.conv.weight"] == (256, 128, 1, 1)
    assert shapes["decoder.19.conv.weight"] == (128, 64, 1, 1)
    assert shapes["encoder.12.conv.weight"] == (64, 64, 1, 1)


def test_the_first_latent_frame_gives_the_last_of_its_four_frames():
    tensors, about = load(GOLDEN)
    taehv = conformance.build(tensors, about)
    first, state = taehv.decode(taehv.start(), tensors["latents"][:, :1])
    rest, _ = taehv.decode(state, tensors["latents"][:, 1:])
    shown = np.concatenate([first, rest])
    assert len(first) == 1 and len(shown) == 13
    golden = tensors["decode.raw"][0, 3:].clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(shown[:, ::2, ::2] - golden).max() < 0.51


def test_an_older_state_stays_usable_after_later_blocks():
    taehv, z = tiny(), latents(6)
    _, first = taehv.decode_raw(taehv.start(), z[:, :2])
    once, second = taehv.decode_raw(first, z[:, 2:4])
    taehv.decode_raw(second, z[:, 4:])
    again, _ = taehv.decode_raw(first, z[:, 2:4])
    assert torch.equal(once, again)


def test_memory_is_as_far_as_a_latent_frame_is_felt():
    taehv, z = tiny(), latents(12)
    z[:, 1] = torch.nan  # not a number spreads to everything that depends on it, however faintly
    raw, _ = taehv.decode_raw(taehv.start(), z)
    last_frame = raw.isnan().flatten(2).any(2)[0].nonzero().max().item()
    assert last_frame // 4 == 1 + taehv.memory


def test_memory_is_enough_to_join_a_stream():
    taehv, z = tiny(), latents(13)
    whole, _ = taehv.decode_raw(taehv.start(), z)
    _, state = taehv.decode_raw(taehv.start(), z[:, -1 - taehv.memory : -1])
    joined, _ = taehv.decode_raw(state, z[:, -1:])
    assert torch.equal(joined, whole[:, -4:])


def test_encoding_fills_the_last_group_with_its_last_frame():
    taehv = tiny()
    video = torch.rand(1, 6, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    filled = torch.cat([video, video[:, -1:], video[:, -1:]], dim=1)
    assert torch.equal(taehv.encode((), video)[0], taehv.encode((), filled)[0])


def test_only_the_last_steps_of_a_wider_grow_are_kept():
    taehv = tiny()
    own = taehv.state_dict()
    wider = {**own, "decoder.7.conv.weight": torch.cat([torch.zeros(8, 8, 1, 1), own["decoder.7.conv.weight"]])}
    kept = trim_grow(wider, TINY)
    assert all(torch.equal(kept[name], own[name]) for name in own)
