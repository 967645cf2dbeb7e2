"""What a compact world computes on a CPU equals its plain modules, with oneDNN and without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.stream.test_take_back import Film
from world.compact.cpu_decoder import CpuDecoder
from world.compact.cpu_dit import CpuDiT
from world.compact.decoder import PictureDecoder
from world.compact.form import PictureForm
from world.compact.geometry import Geometry
from world.compact.model import shape
from world.compact.onednn import PackedConv
from world.compact.small import SMALL
from world.compact.world import CompactWorld, open_compact, sizes
from world.diffusion.world import DiffusionWorld
from world.dit import linears
from world.dit.linears import PackedLinear
from world.options import WorldOptions

GEOMETRIES = {
    "one pixel for one": Geometry(frames=3, channels=8, rows=4, columns=6),
    "enlarged": Geometry(frames=3, channels=8, rows=4, columns=6, enlarge=2),
}


@pytest.fixture(params=["oneDNN", "torch alone"], autouse=True)
def build(request, monkeypatch):
    """A build of torch with the operators of oneDNN, and one without."""
    if request.param == "torch alone":
        monkeypatch.setattr(linears, "has_onednn", lambda dtype=None: False)
    elif not linears.has_onednn():
        pytest.skip("this build of torch has no oneDNN")


def draw_weights(module: torch.nn.Module) -> None:
    """Let no weight be zero, which many are before a training."""
    torch.manual_seed(0)
    for weights in module.parameters():
        torch.nn.init.normal_(weights, std=1 / max(8, weights[0].numel()) ** 0.5)


def plain_world() -> DiffusionWorld:
    """A small compact world on the plain modules."""
    world = CompactWorld(shape(64, 2)).eval().requires_grad_(False)
    draw_weights(world)
    config = sizes(dit=world.model.dit.config)
    config = replace(config, latents=replace(config.latents, stored="float32"))
    info, condition = SMALL.info("drawn"), world.model.condition
    return DiffusionWorld(config, world.model.dit, world.encode, world.decoder, info, condition)


@pytest.mark.parametrize("seed", range(3))
def test_any_film_comes_out_the_same(seed: int):
    plain = plain_world()
    fast = replace(plain, dit=CpuDiT(plain.dit))
    films = [Film(world.session(7, "slow blue rain"), seed) for world in (plain, fast)]
    for film in films:
        film.play(16)
    assert films[0].blocks.keys() == films[1].blocks.keys()
    for index, block in films[0].blocks.items():
        assert np.abs(block.latents - films[1].blocks[index].latents).max() < 1e-3


@pytest.fixture(params=GEOMETRIES)
def decoder(request) -> PictureDecoder:
    form = PictureForm(refiner_width=16, refiner_depth=2)  # what sharpening adds has a test of its own
    model = PictureDecoder(GEOMETRIES[request.param], (16, 8, 8), True, form).requires_grad_(False)
    draw_weights(model)
    for buffer in model.linear.buffers():
        torch.nn.init.normal_(buffer, std=0.2)
    return model


def test_pictures_come_out_the_same(decoder: PictureDecoder):
    fast, latents = CpuDecoder(decoder), torch.randn(1, 4, 8, 4, 6)
    pictures, _ = decoder.decode(decoder.start(), latents)
    others, state = fast.decode(fast.start(), latents.numpy())
    assert 20 < pictures.std() < 120, "a picture that is all black or white says nothing"
    assert pictures.shape == others.shape and others.dtype == np.uint8
    assert np.abs(pictures.astype(int) - others).max() <= 1
    assert torch.equal(state, latents[0, -1:])


def test_contours_are_sharpened_the_same(decoder: PictureDecoder):
    decoder.form = PictureForm(sharpenings=2)
    fast, latents = CpuDecoder(decoder), torch.randn(1, 4, 8, 4, 6)
    pictures, others = (each.decode(None, latents)[0] for each in (decoder, fast))
    # a level's difference from rounding may grow to four in two passes
    assert np.abs(pictures.astype(int) - others).max() <= 6
    assert (pictures == others).mean() > 0.98
    decoder.form = PictureForm()
    assert np.abs(decoder.decode(None, latents)[0].astype(int) - pictures).mean() > 1


def test_each_picture_is_drawn_when_it_is_asked_for(decoder: PictureDecoder):
    fast, latents = CpuDecoder(decoder), torch.randn(1, 1, 8, 4, 6)
    whole, _ = fast.decode(None, latents)
    asked = []
    fast._pictures = [lambda *inputs, draw=draw: asked.append(draw) or draw(*inputs) for draw in fast._pictures]
    pictures, _ = fast.pictures(None, latents)
    assert asked == []
    for count, picture in enumerate(pictures, 1):
        assert len(asked) == count and np.array_equal(picture, whole[count - 1 : count])


@pytest.mark.parametrize("is_gelu", [False, True])
def test_layers_compute_what_torch_computes(is_gelu: bool):
    torch.manual_seed(0)
    linear, conv = torch.nn.Linear(24, 40), torch.nn.Conv2d(8, 16, 3, padding=1)
    for layer, packed, x in (
        (linear, PackedLinear(linear.weight, linear.bias, 5, is_gelu), torch.randn(2, 7, 24)),
        (conv, PackedConv(conv.weight, conv.bias, (6, 5), is_gelu), torch.randn(1, 8, 6, 5)),
    ):
        with torch.inference_mode():
            expected = torch.nn.functional.gelu(layer(x), approximate="tanh") if is_gelu else layer(x)
            torch.testing.assert_close(packed(x), expected, atol=1e-5, rtol=1e-5)


def test_a_bundled_world_runs_on_them_on_a_cpu():
    world = open_compact(WorldOptions(device="cpu"))
    assert isinstance(world.dit, CpuDiT) and isinstance(world.decoder, CpuDecoder)
