"""The public face: `open_world`, its four verbs, and the example that shows them."""

import runpy

import numpy as np
import pytest
import torch

from tests.rooms import ROOT
from world.block import Denoised
from world.event import Prompt
from world.info import WorldError
from world.options import ProbeOptions, WorldOptions
from world.wan.random import SIZES
from world.zoo import NAMES, RANDOM, memory_told, open_in_own_process, open_options, open_world


@pytest.fixture(autouse=True)
def one_thread():
    """One thread for torch, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_world_opens_by_name_and_its_four_verbs_make_frames():
    world = open_world("small", device="cpu")
    session, state = world.session(seed=7, prompt="slow blue plasma"), world.decoder.start()
    for events in ([], [Prompt("green rain")]):
        frames, state = world.decoder.decode(state, session.step(events).latents)
    assert frames.shape == (6, 128, 224, 3) and frames.dtype == np.uint8


def test_the_bundled_world_needs_no_name():
    assert open_world(device="cpu").info.name == "tale"


def test_options_are_keywords():
    assert open_world("probe", picture=(320, 200), probe=ProbeOptions(fps=30)).info.fps == 30


def test_opening_a_world_leaves_the_threads_of_the_process_alone():
    torch.set_num_threads(3)
    open_world("small", device="cpu")
    assert torch.get_num_threads() == 3


def test_a_process_of_its_own_gets_the_threads_that_were_asked_for():
    open_in_own_process(WorldOptions("small", device="cpu", threads=2))
    assert torch.get_num_threads() == 2


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS)
def test_memory_that_runs_out_is_told_in_one_line_with_what_to_change(error):
    smaller = [
        "--text-device offload",
        "--decoder taehv",
        "--picture 640x368",
        "--picture 480x272",
        "--text-device cpu",
    ]
    for options, advice in (
        (WorldOptions("random-wan", speed="fp8"), f"try {', '.join(smaller)}"),
        (WorldOptions("small"), "use --device cpu"),
    ):
        with pytest.raises(WorldError) as caught, memory_told(options):
            raise error
        assert str(caught.value) == f"out of memory: {advice}"


def test_another_error_is_none_of_memorys():
    with pytest.raises(RuntimeError, match="no such kernel"), memory_told(WorldOptions("small")):
        raise RuntimeError("no such kernel")


def test_a_world_for_which_memory_does_not_suffice_is_the_users_to_mend(monkeypatch):
    def open_small(options):
        raise MEMORY_ERRORS[0]

    monkeypatch.setattr("world.compact.world.open_compact", open_small)
    with pytest.raises(WorldError, match=r"^out of memory: use --device cpu$"):
        open_in_own_process(WorldOptions("small", device="cpu"))


@pytest.mark.parametrize(("typed", "meant"), [("smal", "small"), ("Probe", "probe")])
def test_a_wrong_name_is_answered_with_the_nearest_one(typed, meant):
    with pytest.raises(
        WorldError, match=rf"^unknown world '{typed}' \(did you mean {meant}\?\): expected one of tale, "
    ) as e:
        open_world(typed)
    assert "\n" not in str(e.value)


def test_a_name_that_is_near_to_none_gets_no_guess():
    with pytest.raises(WorldError, match=r"^unknown world 'atlantis': expected one of tale, "):
        open_world("atlantis")


@pytest.mark.parametrize("option", [{"positions": "absolute"}, {"decoder": "taehv"}, {"dtype": "bfloat16"}])
def test_an_option_that_the_world_would_ignore_is_refused(option):
    with pytest.raises(
        WorldError, match=f"^{next(iter(option))} is for a folder of checkpoints: the world 'small' has"
    ):
        open_world("small", **option)


@pytest.mark.parametrize("name", ["film.npy", "film.mp4"])
def test_the_example_makes_a_film(tmp_path, name):
    make_film = runpy.run_path(str(ROOT / "examples" / "session.py"))["make_film"]
    make_film(tmp_path / name, {1: [Prompt("night falls")]}, blocks=3)
    if name.endswith(".npy"):
        assert np.load(tmp_path / name).shape == (18, 256, 448, 3)
    else:
        assert (tmp_path / name).stat().st_size > 1000


def test_worlds_of_random_weights_open_like_a_folder_and_nobody_is_told_of_them():
    assert set(RANDOM) == set(SIZES) and not set(RANDOM) & set(NAMES)
    options = WorldOptions("random-wan-tiny", device="cpu", picture=(32, 16), decoder="taehv", dtype="bfloat16")
    world = open_options(options)
    assert world.info.picture == (32, 16) and world.dit.dtype == torch.bfloat16
    assert world.session(1, "a").step().latents.shape == (1, 3, 16, 2, 4)
    with pytest.raises(WorldError) as e:
        open_world("random")
    assert "random-wan" not in str(e.value)


@pytest.mark.parametrize("name", ["small", "random-wan-tiny"])
def test_no_more_blocks_come_back_than_there_are_memory_slots(name):
    sizes = {} if name == "small" else {"picture": (32, 16), "decoder": "taehv"}
    world = open_world(name, device="cpu", sink=6, memory_slots=2, **sizes)
    assert world.info.sink_blocks == 2 and world.config.cache.sink == 6


@pytest.mark.parametrize(
    ("name", "slots", "told"),
    [
        ("small", 2, "memory-slots 2: a sink of 1 holds 1 blocks of 1 latent frames, and --sink N makes it larger"),
        ("small", 0, "memory-slots 0"),
        ("random-wan-tiny", 2, "a sink of 3 holds 1 blocks of 3"),
        ("probe", 1, "the test card has none"),
    ],
)
def test_more_memory_slots_than_the_sink_holds_are_refused_in_one_line(name, slots, told):
    with pytest.raises(WorldError, match=told) as refused:
        open_world(name, device="cpu", memory_slots=slots)
    assert "\n" not in str(refused.value)


def test_worlds_of_random_weights_follow_the_options_of_a_world():
    asked = {"steps": "first:3,then:2", "sink": 4, "sink_ema": (0.99, 0.9), "carry": 5}
    world = open_world("random-wan-tiny", device="cpu", picture=(32, 16), decoder="taehv", **asked)
    cache, sampler, dials = world.config.cache, world.config.sampler, world.info.dials
    assert (cache.sink, cache.averages, cache.window) == (4, (0.99, 0.9), 10)
    assert (len(sampler.first_steps), dials["steps"].rest, dials["grip"].rest) == (3, 2, 0.5)
    session = world.session(1, "a")
    assert [sum(isinstance(done, Denoised) for done in session.begin()) for _ in range(2)] == [3, 2]


def test_a_deep_sink_is_as_deep_as_was_asked_for():
    world = open_world("small", device="cpu", sink=4)
    assert (world.config.cache.sink, world.info.sink_blocks) == (4, 4)
    session = world.session(7, "slow blue plasma")
    for _ in range(10):
        session.step()
    assert sorted(session.banks.front.slots.frame) == [0, 1, 2, 3, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("name", "sink", "told"),
    [
        ("small", 8, "sink 8: this world's window of 8 holds a sink of at most 7"),
        ("random-wan-tiny", 10, "window 12: need at least sink 10"),
        ("probe", 1, "the test card has none"),
    ],
)
def test_a_sink_that_does_not_fit_is_refused_in_one_line(name, sink, told):
    with pytest.raises(WorldError, match=told) as caught:
        open_world(name, device="cpu", sink=sink)
    assert len(str(caught.value).splitlines()) == 1
