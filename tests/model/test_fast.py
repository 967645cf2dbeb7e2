"""The fast transformer equals the plain one, through films with every kind of switch."""

import copy
from dataclasses import replace

import pytest
import torch

from tests.stream.test_take_back import Film
from tests.support.tiny import tiny_world
from world.diffusion.world import DiffusionWorld
from world.dit import linears
from world.dit.attend import attention
from world.dit.config import CacheConfig
from world.dit.fast import FastDiT
from world.dit.kernels import AttentionKernel, fastest_kernel
from world.dit.linears import Float8Linear, Int8Linear
from world.dit.linears import has_onednn as build_has_onednn
from world.dit.pass_graph import PassGraphs
from world.dit.speed import accelerate, speed_for
from world.event import Prompt
from world.info import WorldError

CPU = torch.device("cpu")
CACHES = {
    "kept sink": CacheConfig(6, 2, 2),
    "renewed sink": CacheConfig(6, 2, 2, keep_sink=False),
    "absolute positions": CacheConfig(6, 2, 2, positions="absolute"),
    "two averages": CacheConfig(6, 2, 2, averages=(0.9, 0.5)),
    "no sink": CacheConfig(6, 0, 2),
    "more slots than the window": CacheConfig(6, 2, 2, slots=9),
}


def plain_world(cache: CacheConfig | None = None) -> DiffusionWorld:
    return tiny_world(cache, stored="float32")


def fast_world(cache: CacheConfig | None = None, **options) -> DiffusionWorld:
    world = plain_world(cache)
    options.setdefault("is_compiled", False)
    object.__setattr__(world, "dit", FastDiT(copy.deepcopy(world.dit), **options))
    return world


class NoDecoder:
    def start(self):
        return None

    def decode(self, state, latents):
        return None, None


class InParts(AttentionKernel):
    """Attention in parts, by plain arithmetic where a GPU has a kernel."""

    def _run(self, q, k, v):
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        return scores.softmax(-1) @ v, scores.logsumexp(-1)


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_any_film_comes_out_the_same(cache, seed):
    worlds = plain_world(CACHES[cache]), fast_world(CACHES[cache])
    plain, fast = (Film(world.session(7, "first words"), seed) for world in worlds)
    plain.play(16), fast.play(16)
    assert plain.blocks.keys() == fast.blocks.keys()
    for index, block in plain.blocks.items():
        assert abs(block.latents - fast.blocks[index].latents).max() < 1e-4


@pytest.mark.parametrize("has_onednn", [True, False], ids=["oneDNN", "torch alone"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_film_by_layers_packed_for_a_cpu_comes_out_the_same(has_onednn, dtype, monkeypatch):
    monkeypatch.setattr(linears, "has_onednn", lambda asked: has_onednn and build_has_onednn(asked))
    plain, packed = plain_world(), plain_world()
    for world in (plain, packed):
        world.dit.to(dtype)
    object.__setattr__(packed, "dit", accelerate(packed.dit, packed.config, CPU, "exact"))
    ours, theirs = (Film(world.session(7, "first words"), 1) for world in (packed, plain))
    ours.play(16), theirs.play(16)
    limit = 1e-4 if dtype == torch.float32 else 0.1
    assert ours.blocks.keys() == theirs.blocks.keys()
    for index, block in ours.blocks.items():
        assert abs(block.latents - theirs.blocks[index].latents).max() < limit


def test_packed_layers_take_the_place_of_plain_ones():
    world = plain_world()
    held = sum(weights.numel() for weights in world.dit.blocks.parameters())
    accelerate(world.dit, world.config, CPU, "exact")
    assert not any(isinstance(layer, torch.nn.Linear) for layer in world.dit.blocks.modules())
    assert sum(weights.numel() for weights in world.dit.blocks.parameters()) < 0.1 * held


@torch.inference_mode()
def test_a_full_window_is_made_by_steady_passes_and_a_switch_by_one_more():
    world, steady = fast_world(), []
    count = world.dit._graphs.run
    world.dit._graphs.run = lambda kind, *inputs: steady.append(kind.__name__) or count(kind, *inputs)
    session = world.session(7, "first words")
    for _ in range(3):
        session.step()
    steady.clear()
    session.step()
    assert steady == ["_predict_steady"] * 2 + ["_remember_steady"]
    session.step([Prompt("others")])
    assert steady[3:] == ["_remember_steady"] + ["_predict_steady"] * 2 + ["_remember_steady"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
@torch.inference_mode()
def test_compiled_layers_come_out_the_same():
    plain, fast = (world.session(7, "a") for world in (plain_world(), fast_world(is_compiled=True)))
    for words in "aaaaabb":
        ours, theirs = fast.step([Prompt(words)]), plain.step([Prompt(words)])
        assert abs(ours.latents - theirs.latents).max() < 1e-4


class Captures(PassGraphs):
    """Graphs on a CPU: what is captured is called again, on the memory that a graph would read."""

    def __init__(self) -> None:
        super().__init__(self._captured)
        self.captured, self.replayed = 0, 0

    def _captured(self, function, pool):
        self.captured += 1

        def replay():
            self.replayed += 1
            return function()

        return replay


def captured_world(graphs: PassGraphs, **options) -> DiffusionWorld:
    """A fast world whose passes are replayed; every prompt has as many rows of text as the graphs were made for."""
    world = fast_world(graphs=graphs, **options)
    world.dit.config = replace(world.dit.config, text_len=3)
    return world


@pytest.mark.parametrize("seed", range(4))
@torch.inference_mode()
def test_a_film_of_captured_passes_comes_out_the_same(seed):
    graphs = Captures()
    worlds = plain_world(), captured_world(graphs)
    plain, fast = (Film(world.session(7, "first words"), seed) for world in worlds)
    assert graphs.captured == 4  # both kinds of pass over both banks, before the film begins
    plain.play(24), fast.play(24)
    for index, block in plain.blocks.items():
        assert abs(block.latents - fast.blocks[index].latents).max() < 1e-4
    assert graphs.captured == 4 and graphs.replayed > 40


def test_a_fast_model_says_how_far_it_is_with_getting_ready_and_an_exact_one_is_ready():
    told = []
    for world in (plain_world(), captured_world(Captures())):
        object.__setattr__(world, "decoder", NoDecoder())
        world.prepare(told.append)
    assert told[0].startswith("compiling the model") and told[-1] == "warming the model up, 6 of 7 blocks ..."


@torch.inference_mode()
def test_words_of_another_length_are_read_without_a_graph():
    graphs = Captures()
    plain, fast = (world.session(7, "a") for world in (plain_world(), fast_world(graphs=graphs)))
    for _ in range(5):
        assert abs(plain.step().latents - fast.step().latents).max() < 1e-4
    assert graphs.captured == graphs.replayed == 4  # before the film


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_is_compiled_again_in_a_show():
    """A capture fails where a layer is compiled in it, and a show would stand still."""
    world = captured_world(Captures(), is_compiled=True)
    object.__setattr__(world, "decoder", NoDecoder())
    world.prepare()
    with torch.compiler.set_stance("fail_on_recompile"):
        session = world.session(7, "a")
        blocks = [session.step([Prompt(words)]) for words in "aaaaaabbbbc"]
        for seed in range(3):
            Film(world.session(7, "first words"), seed).play(12)
    assert [block.seen for block in blocks if block.seen] == [6, 10]  # both switches were made, without a compiler


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_attention_in_parts_is_attention(parts):
    q, k, v = (torch.randn(1, n, 2, 8, generator=torch.Generator().manual_seed(n)) for n in (5, 12, 12))
    seen = InParts("flash", parts)(q, k, v)
    assert seen.shape == q.shape and torch.allclose(seen, attention(q, k, v), atol=1e-6)


@torch.inference_mode()
def test_a_film_with_attention_in_parts_comes_out_the_same():
    plain, fast = (world.session(7, "a") for world in (plain_world(), fast_world(kernel=InParts("flash", 2))))
    for _ in range(6):
        assert abs(plain.step().latents - fast.step().latents).max() < 1e-4


def seeded_linear() -> torch.nn.Linear:
    torch.manual_seed(2)
    return torch.nn.Linear(64, 48)


def test_products_of_whole_numbers_are_the_same_on_a_cpu_that_cannot_multiply_them_exactly(monkeypatch):
    plain, x = seeded_linear(), torch.randn(33, 64, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr("world.dit.linears.cpu_multiplies_exactly", lambda: False)
    layer = Int8Linear(plain.weight.data, None)
    rows, scale = layer.quantise(x)
    products = (rows.long() @ layer.weight.long().t()).float() * scale * layer.scale
    assert torch.equal(layer(x), products)


@pytest.mark.parametrize("layer, limit", [(Float8Linear, 0.08), (Int8Linear, 0.02)])
def test_a_layer_in_eight_bits_comes_close(layer, limit):
    generator = torch.Generator().manual_seed(1)
    plain, x = seeded_linear(), torch.randn(2, 33, 64, generator=generator)
    x[0, 3] *= 100  # each token has a scale of its own
    exact, quantised = plain(x), layer(plain.weight.data, plain.bias.data)(x)
    error = (quantised - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert 0 < error.max() < limit
    assert layer(plain.weight.data, plain.bias.data).weight.element_size() == 1


@pytest.mark.parametrize("speed, limit", [("fp8", 0.1), ("int8", 0.05)])
@torch.inference_mode()
def test_a_film_in_eight_bits_stays_close_to_the_plain_one(speed, limit):
    plain, fast = (world.session(7, "a").step().latents for world in (plain_world(), fast_world(speed=speed)))
    error = ((plain - fast) ** 2).sum() ** 0.5 / (plain**2).sum() ** 0.5
    assert 0 < error < limit


@pytest.mark.parametrize("asked", [None, "exact", "fast"])
def test_on_a_cpu_the_layers_that_are_laid_out_for_it_are_the_fast_ones(asked):
    speed, world = speed_for(CPU, asked, torch.float32), plain_world()
    assert speed == "exact" and accelerate(world.dit, world.config, CPU, speed) is world.dit
    assert fastest_kernel(6, 12, (2, 8), CPU) == AttentionKernel("sdpa")


@pytest.mark.parametrize(
    "asked, told", [("warp", "expected one of exact, fast, fp8, int8"), ("fp8", "needs an NVIDIA GPU")]
)
def test_a_speed_that_cannot_be_had_is_refused_in_one_line(asked, told):
    with pytest.raises(WorldError, match=told):
        speed_for(CPU, asked, torch.float32)
