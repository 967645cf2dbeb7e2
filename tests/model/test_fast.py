"""The fast transformer equals the plain one, through films with every kind of switch."""

import copy
from dataclasses import replace

import pytest
import torch

from tests.stream.test_take_back import Film
from tests.support.tiny import tiny_world
from world.diffusion.world import DiffusionWorld
from world.dit.attend import attention
from world.dit.config import CacheConfig
from world.dit.fast import FastDiT
from world.dit.kernels import AttentionKernel, fastest_kernel
from world.dit.pass_graph import PassGraphs
from world.dit.quantised import Float8Linear, Int8Linear
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
    monkeypatch.setattr("world.dit.quantised.cpu_multiplies_exactly", lambda: False)
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


def test_a_cpu_is_exact_unless_it_is_asked_to_be_fast():
    assert speed_for(CPU, None, torch.float32) == "exact"
    world = plain_world()
    assert accelerate(world.dit, world.config, CPU, "exact") is world.dit
    assert fastest_kernel(6, 12, (2, 8), CPU) == AttentionKernel("sdpa")


@pytest.mark.parametrize(
    "asked, told", [("warp", "expected one of exact, fast, fp8, int8"), ("fp8", "needs an NVIDIA GPU")]
)
def test_a_speed_that_cannot_be_had_is_refused_in_one_line(asked, told):
    with pytest.raises(WorldError, match=told):
        speed_for(CPU, asked, torch.float32)


def test_without_a_compiler_a_cpu_cannot_be_fast(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(WorldError, match="install g\\+\\+"):
        speed_for(CPU, "fast", torch.float32)
