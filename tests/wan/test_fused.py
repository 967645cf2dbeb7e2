"""The Triton kernels compute what `Stepwise` computes: on a GPU, or on a CPU where Triton interprets its kernels.

With Triton installed: `TRITON_INTERPRET=1 python -m pytest tests/wan/test_fused.py`.
"""

import os
from itertools import product

import pytest
import torch

from world.wan.fast.convolve import channels_last
from world.wan.fast.decoder import fast_decoder
from world.wan.fast.operations import Stepwise
from world.wan.taehv import TAEHV, TAEHVConfig
from world.wan.vae import VAEConfig, WanVAE

pytest.importorskip("triton", reason="needs Triton")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not (torch.cuda.is_available() or INTERPRETED):
    pytest.skip("needs a CUDA device or TRITON_INTERPRET=1", allow_module_level=True)

from world.wan.fast.fused import Fused  # noqa: E402

DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
# the interpreter cannot multiply in bfloat16
TOLERANCES = {torch.float32: 1e-5} if INTERPRETED else {torch.float32: 1e-5, torch.bfloat16: 2e-2}
pytestmark = pytest.mark.gpu


@pytest.fixture(params=TOLERANCES, ids=str, autouse=True)
def dtype(request, without_tf32):
    torch.manual_seed(0)
    return request.param


def random(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape).to(DEVICE, dtype)


def frames(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return channels_last(random(*shape, dtype=dtype))


def same(found: torch.Tensor | None, expected: torch.Tensor | None, tolerance: float) -> bool:
    if found is None or expected is None:
        return found is expected
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert found.permute(0, 2, 3, 1).is_contiguous() and expected.permute(0, 2, 3, 1).is_contiguous()
    off = (found.float() - expected.float()).abs().max()
    return bool(off <= tolerance * expected.float().abs().max())


@pytest.mark.parametrize(("channels", "steps", "n"), [(6, 2, 2), (96, 1, 1), (64, 2, 1)])
@pytest.mark.parametrize("has_bias", [False, True])
def test_phases_are_woven_into_pictures(channels, steps, n, has_bias, dtype):
    phases = frames(n, 4 * steps * channels, 4, 6, dtype=dtype)
    bias = random(channels, dtype=dtype) if has_bias else None
    expected = Stepwise().weave(phases, steps, bias)
    assert same(Fused().weave(phases, steps, bias), expected, TOLERANCES[dtype])


@pytest.mark.parametrize(("channels", "steps", "n"), [(6, 2, 2), (64, 2, 1)])
@pytest.mark.parametrize(("height", "width"), [(3, 5), (4, 10)])  # of the small picture: less and more than a tile
def test_the_last_convolution_reads_phases(channels, steps, n, height, width, dtype):
    phases = frames(n, 4 * steps * channels, height + 1, width + 1, dtype=dtype)
    weight, bias = random(3, 3, channels, 16, dtype=dtype) / 10, random(16, dtype=dtype)
    weight[..., 3:], bias[3:] = 0, 0
    expected = Stepwise().finish(phases, steps, weight, bias)
    assert same(Fused().finish(phases, steps, weight, bias), expected, TOLERANCES[dtype])


@pytest.mark.parametrize(("channels", "f", "height", "width"), [(6, 1, 3, 5), (96, 4, 6, 7), (192, 2, 4, 4)])
def test_frames_are_added_up_normed_and_stacked(channels, f, height, width, dtype):
    raw, skip = (frames(f, channels, height, width, dtype=dtype) for _ in range(2))
    past = frames(2, channels, height, width, dtype=dtype)
    bias, gain = random(channels, dtype=dtype), torch.rand(channels, device=DEVICE) * channels**0.5
    for case in product((None, bias), (None, skip), (None, past)):
        given = (raw, case[0], case[1], gain, case[2])
        found, expected = Fused().normed(*given), Stepwise().normed(*given)
        used = slice(1, None) if case[0] is not None and case[1] is None else slice(None)
        for one, other in zip(found[used], expected[used], strict=True):
            assert same(one, other, TOLERANCES[dtype])


@pytest.mark.parametrize(
    "plain", [TAEHV(TAEHVConfig(decoder=(16, 8, 8, 8))), WanVAE(VAEConfig(dim=4, res_blocks=1))], ids=["taehv", "vae"]
)
def test_a_whole_decoder_gives_what_the_plain_one_gives(plain, dtype):
    z = random(1, 3, 16, 2, 3, dtype=torch.float32)
    plain = plain.requires_grad_(False).to(DEVICE)
    expected, _ = plain.decode_raw(plain.start(), z)
    raw, _ = fast_decoder(plain, DEVICE, dtype, Fused()).decode_raw((), z)
    assert (raw - expected).abs().max() < 10 * TOLERANCES[dtype] * expected.abs().max()
