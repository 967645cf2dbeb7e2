"""How much GPU memory a folder of checkpoints needs: the estimate against the real modules, and what is advised."""

import copy
import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from loop.cli.doctor import _published
from tests.support.peak_memory import PeakBytes
from tests.support.tiny import SIZES, tiny_world
from world.diffusion.encoded_prompts import EncodedPrompts
from world.dit.cache import CacheBank
from world.dit.config import CacheConfig, DiTConfig
from world.dit.dit import CausalDiT, TimeEmbeddings
from world.dit.fast import FastDiT
from world.dit.linears import Int8Linear
from world.event import Prompt
from world.info import WorldError
from world.wan.fit import (
    DECODERS,
    GIB,
    PROMPTS,
    TEXT_WEIGHTS,
    TEXT_WORK,
    Setting,
    cache_numbers,
    eight_bit_numbers,
    fitted,
    memory_need,
    options_that_fit,
    parameters,
    pass_bytes,
    prompt_numbers,
    smaller_options,
    what_fits,
)
from world.wan.taehv import TAEHV
from world.wan.umt5 import UMT5, UMT5Config
from world.wan.vae import WanVAE
from world.zoo import open_world

META = torch.device("meta")
WAN, CACHE = DiTConfig(), CacheConfig()
CARDS_GIB = {80: 79.2, 24: 23.5, 16: 15.4, 8: 7.6}


def counted(module):
    return sum(parameter.numel() for parameter in module.parameters())


def bytes_of(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


# the estimate against the real modules


@pytest.mark.parametrize("sizes", [DiTConfig(), DiTConfig(dim=48, ffn_dim=80, num_heads=4, num_layers=3, text_dim=8)])
def test_the_weights_of_the_transformer_are_counted_exactly(sizes):
    with META:
        assert parameters(sizes) == counted(CausalDiT(sizes))


def test_what_a_tiny_world_keeps_is_counted_exactly():
    world = tiny_world()
    banks, grid = world.session(0, "a").banks, world.config.latents.grid
    kept = [tensor for bank in (banks.front, banks.back) for tensor in (*bank.keys, *bank.values, *bank.sink_keys)]
    numbers = cache_numbers(world.config.dit, world.config.cache, grid[0] * grid[1])
    assert bytes_of(kept) == 4 * 2 * numbers
    need = memory_need(world.config.dit, world.config.cache, Setting(picture=(48, 32), number_bytes=4))
    assert need.parts["caches"] == bytes_of(kept)


@pytest.mark.parametrize(("name", "kind"), [("vae", WanVAE), ("taehv", TAEHV)])
def test_the_sizes_of_the_decoders_are_those_of_the_modules(name, kind):
    with META:
        decoder = kind()
    assert counted(decoder) == DECODERS[name].parameters
    decoder, latents = decoder.to(META, torch.bfloat16), torch.zeros(1, 1, 16, 30, 52, device=META)
    _, first = decoder.decode_tensor((), latents)
    with PeakBytes() as memory:
        _, state = decoder.decode_tensor(first, latents)
    assert bytes_of(state) == 2 * 30 * 52 * DECODERS[name].state
    work = memory.peak - bytes_of(state)
    assert 0.95 < work / (2 * 30 * 52 * DECODERS[name].work) < 1.05


@pytest.mark.parametrize(
    ("dtype", "speed"), [(torch.bfloat16, "exact"), (torch.float32, "exact"), (torch.bfloat16, "int8")]
)
def test_a_pass_takes_no_more_than_is_counted_and_not_much_less(dtype, speed):
    sizes = replace(WAN, num_layers=2) if speed == "int8" else WAN
    with META:
        dit = CausalDiT(sizes).to(dtype)
    modulation = TimeEmbeddings(dit).modulation(0.0, None)
    dit = dit if speed == "exact" else FastDiT(dit, speed, is_compiled=False)
    bank = CacheBank(CACHE, sizes, (30, 52), 1, META, dtype)
    words = dit.words(torch.zeros(1, 9, sizes.text_dim, device=META))
    for frames in (CACHE.block, CACHE.size):
        bank.reset(frames)
        with torch.inference_mode(), PeakBytes() as memory:
            attend = bank.attend(0, frames)
            dit.predict(torch.zeros(1, frames, 16, 60, 104, device=META), modulation, words, attend)
        setting = Setting(picture=(832, 480), number_bytes=dtype.itemsize, speed=speed)
        assert 0.8 * pass_bytes(sizes, frames, setting) < memory.peak < pass_bytes(sizes, frames, setting)


def test_weights_in_eight_bits_are_counted_exactly():
    sizes = DiTConfig(dim=96, ffn_dim=128, num_heads=4, num_layers=3, text_dim=8)
    fast = FastDiT(CausalDiT(sizes).to(torch.bfloat16), "int8", is_compiled=False)
    layers = [layer for block in fast.blocks for layer in block.modules() if isinstance(layer, Int8Linear)]
    assert sum(layer.weight.numel() for layer in layers) == eight_bit_numbers(sizes)
    assert all(layer.weight.element_size() == 1 for layer in layers)
    exact, eight = (memory_need(sizes, CACHE, Setting(speed=speed)).parts["weights"] for speed in ("exact", "int8"))
    assert exact - eight == eight_bit_numbers(sizes)


def test_the_prompts_that_a_session_keeps_are_counted_exactly():
    assert inspect.signature(EncodedPrompts).parameters["capacity"].default == PROMPTS
    sizes = replace(SIZES, text_len=5)
    words = CausalDiT(sizes).words(torch.zeros(1, 3, sizes.text_dim))
    assert sum(k.numel() + v.numel() for k, v in words) == prompt_numbers(sizes)


def test_the_text_encoder_is_counted_with_its_weights_and_without_them():
    with META:
        encoder = UMT5().to(torch.bfloat16)
    assert 2 * counted(encoder) == TEXT_WEIGHTS
    encoder.blocks = encoder.blocks[:2]
    encoder.offload(META)
    assert counted(encoder) < 1e5
    ids = torch.ones(1, 512, dtype=torch.long, device=META)
    with PeakBytes() as memory:
        encoder.embed(ids, ids)
    assert memory.peak + 2 * max(part.numel() for part in weights_on_host(encoder)) * 2 < TEXT_WORK


def weights_on_host(encoder):
    return [part._weight for name, part in encoder.named_modules() if "blocks" in name and hasattr(part, "_weight")]


def test_processes_that_share_the_work_share_the_caches_and_the_activations():
    one, two = (memory_need(WAN, CACHE, Setting(ranks=ranks)).parts for ranks in (1, 2))
    assert {name for name in one if two[name] < one[name]} == {"caches", "passes"}
    assert two["caches"] == one["caches"] / 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_world_on_a_gpu_takes_no_more_than_is_counted_and_not_much_less():
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() / GIB
    world = open_world("random-wan", device="cuda", decoder="taehv", speed="exact")
    session, state = world.session(0, "a"), world.decoder.start()
    for words in "aaaaabbc":
        _, state = world.decoder.decode_tensor(state, session.step([Prompt(words)]).latents)
    measured, setting = torch.cuda.max_memory_allocated() / GIB - before, Setting(decoder="taehv", text="cpu")
    counted_gib = sum(memory_need(WAN, CACHE, setting).parts.values()) / GIB
    assert 0.7 * counted_gib < measured < counted_gib


def test_a_gpu_encodes_alike_with_the_weights_on_it_and_in_host_memory(cuda):
    torch.manual_seed(0)
    encoder = UMT5(UMT5Config(vocabulary=80, dim=64, attention_dim=64, ffn_dim=96, heads=2, layers=2)).bfloat16()
    ids = torch.arange(40)[None].cuda()
    there = copy.deepcopy(encoder).cuda().embed(ids, torch.ones_like(ids))
    encoder.offload(torch.device("cuda"))
    here = encoder.embed(ids, torch.ones_like(ids))
    assert here.is_cuda and torch.equal(there, here)


# what is advised


def test_the_text_encoder_stays_on_a_gpu_that_has_room_for_it_and_else_in_host_memory():
    auto = Setting(decoder="taehv", text="auto")
    assert fitted(WAN, CACHE, auto, 79.0).text == "cuda"
    assert fitted(WAN, CACHE, auto, 20.0).text == "offload"
    assert fitted(WAN, CACHE, replace(auto, text="cpu"), 79.0).text == "cpu"


def test_a_world_that_does_not_fit_is_refused_in_one_line_with_what_to_try():
    with pytest.raises(WorldError) as caught:
        fitted(WAN, CACHE, Setting(text="auto"), 16.0)
    told = r"this world needs [\d.]+ GiB of GPU memory, and 16.0 GiB are free: try --decoder taehv"
    assert re.fullmatch(told, str(caught.value))
    with pytest.raises(WorldError, match="no setting fits, use --device cpu"):
        fitted(WAN, CACHE, Setting(text="auto"), 2.0)


@pytest.mark.parametrize("free_gib", [4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 40.0])
def test_what_is_advised_does_fit(free_gib):
    options = options_that_fit(WAN, CACHE, setting_with(""), free_gib)
    assert (options is None) or memory_need(WAN, CACHE, setting_with(options)).gib <= free_gib


def test_only_settings_that_need_less_are_tried():
    assert smaller_options(Setting((480, 272), "taehv", text="offload", speed="int8")) == ["--text-device cpu"]
    assert smaller_options(Setting((480, 272), "taehv", text="cpu", speed="fp8")) == []
    assert smaller_options(Setting())[0] == "--text-device offload"


def test_the_doctor_says_which_options_fit_the_free_memory_of_a_gpu(monkeypatch):
    monkeypatch.setattr("world.dit.device.free_gib", lambda device: 15.4)
    ((subject, found, remedy),) = _published()
    assert (subject, remedy) == ("Wan, LongLive", "")
    assert re.match(
        r"15\.4 GiB free: --text-device offload --decoder taehv, takes about 14\.\d GiB \(weights 2\.6", found
    )
    assert what_fits(Setting(), 79.0).startswith("no option is needed, takes about 3")
    assert what_fits(Setting(), 2.0) == "too little at any setting"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_doctor_says_nothing_of_its_memory():
    assert list(_published()) == []


def test_the_table_of_cards_in_the_documents_is_what_the_estimate_says():
    page = Path(__file__).parent.parent.parent / "docs/checkpoints.md"
    assert "\n".join(card_table()) in page.read_text()


def setting_with(options):
    """The default setting with these options of the command line."""
    asked = dict(re.findall(r"--(\S+) (\S+)", options or ""))
    width, height = map(int, asked.get("picture", "832x480").split("x"))
    text, speed = asked.get("text-device", "cuda"), asked.get("speed", "fast")
    return Setting((width, height), asked.get("decoder", "vae"), text=text, speed=speed)


def card_table():
    """The lines of the table: for each card the first setting that fits."""
    lines = ["| card | free | options | needs about |", "|---|---|---|---|"]
    for card, free_gib in CARDS_GIB.items():
        options = options_that_fit(WAN, CACHE, setting_with(""), free_gib)
        assert options is not None
        shown = " ".join(f"`{option}`" for option in re.findall(r"--\S+ \S+", options)) or "none"
        lines.append(f"| {card} GB | {free_gib} GiB | {shown} | {memory_need(WAN, CACHE, setting_with(options))} |")
    return lines
