"""The families of checkpoints: each opened by its published names, streamed as its own loop would, or refused."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loop.__main__ import main
from tests.trials.families import CASES, OTHER, SIZES, both, difference, opened, saved, weights, write_wan
from tests.wan.wan_folder import transformer
from world.block import Denoised
from world.event import Dial
from world.info import WorldError
from world.options import WorldOptions, step_counts
from world.wan.family.presets import FAMILIES
from world.wan.family.recognise import recognise
from world.wan.files import check_weights, read_weights
from world.zoo import check_options


@pytest.fixture(scope="module")
def wan(tmp_path_factory) -> Path:
    return write_wan(tmp_path_factory.mktemp("wan") / "folder")


@pytest.fixture
def folder(wan, tmp_path) -> Path:
    return Path(shutil.copytree(wan, tmp_path / "folder"))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors are so small here that a second thread only costs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def said(folder: Path, *lines: str) -> None:
    (folder / "world.toml").write_text("\n".join(lines))


def refusal(folder: Path) -> str:
    """The one line by which the folder is refused, before and when it is opened."""
    with pytest.raises(WorldError) as caught:
        check_weights(recognise(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "FOLDER")


# what a family is played as


@pytest.mark.parametrize("name", CASES)
def test_a_family_is_opened_by_its_published_names_and_streams_as_its_own_loop(folder, name):
    CASES[name].write(folder)
    assert recognise(folder).family.name == name
    assert difference(folder, CASES[name]) < 1e-4


def test_every_family_has_such_a_folder():
    assert {family.name for family in FAMILIES} - set(CASES) == {"wan"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("reward-forcing", {"average": 0.0}),
        ("streamdiffusion-v2", {"clean": True}),
        ("infinity-rope", {"flush": False}),
    ],
)
def test_what_a_family_differs_by_can_be_seen(folder, name, change):
    """By far more than what two ways of rounding differ by; how much more depends on the CPU's instructions."""
    case = CASES[name]
    case.write(folder)
    rounding = difference(folder, case)
    assert difference(folder, replace(case, loop=replace(case.loop, **change))) > 30 * rounding


def test_the_description_beats_what_is_known_of_the_family(folder):
    CASES["self-forcing"].write(folder)
    said(
        folder,
        "entry = 'generator'",
        "licence = 'mine'",
        "[sampler]\nsteps = [1000, 500]\nshift = 8\nclean = 'none'",
        "[memory]\nwindow = 9\nsink = 3\nspan = 12",
        "[picture]\nsize = [32, 16]\nfps = 24",
    )
    plan = recognise(folder)
    assert (plan.family.name, plan.entry, plan.licence, plan.fps) == ("self-forcing", "generator", "mine", 24)
    assert (plan.sampler.steps, plan.sampler.shift, plan.sampler.warp) == ((1000, 500), 8.0, True)
    cache = plan.cache
    assert (cache.window, cache.sink, cache.block, cache.span, cache.clean_pass) == (9, 3, 3, 12, False)
    assert cache.keep_sink, "a sink that is asked for is kept"
    weights_played = read_weights(plan)[0]
    assert torch.equal(weights_played["head.head.bias"], transformer(SIZES, OTHER)["head.head.bias"])


def test_an_option_of_the_command_line_beats_the_description(folder):
    CASES["self-forcing"].write(folder)
    said(folder, "[memory]\npositions = 'absolute'", "[picture]\nsize = [32, 32]")
    assert opened(folder).config.cache.positions == "absolute"
    assert opened(folder, positions="relative").config.cache.positions == "relative"


def test_a_sink_that_the_command_line_asks_for_is_kept_as_one_that_the_description_asks_for(folder):
    CASES["self-forcing"].write(folder)
    assert not opened(folder).config.cache.keep_sink
    assert opened(folder, sink=3).config.cache.keep_sink


def test_a_description_gives_a_family_without_a_clean_pass_one(folder):
    CASES["streamdiffusion-v2"].write(folder)
    assert not recognise(folder).cache.clean_pass
    said(folder, "[sampler]\nclean = 0")
    assert recognise(folder).cache.clean_pass


def test_a_family_without_names_of_its_own_takes_the_only_file_there_is(folder):
    CASES["self-forcing"].write(folder)
    said(folder, "family = 'deep-sink'")
    assert recognise(folder).weights.name == "self_forcing_dmd.pt" and recognise(folder).cache.sink == 10


# the forms in which weights come


def diffusers(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights under the names of the library diffusers."""
    pairs = {
        "text_embedding.0": "condition_embedder.text_embedder.linear_1",
        "text_embedding.2": "condition_embedder.text_embedder.linear_2",
        "time_embedding.0": "condition_embedder.time_embedder.linear_1",
        "time_embedding.2": "condition_embedder.time_embedder.linear_2",
        "time_projection.1": "condition_embedder.time_proj",
        "head.modulation": "scale_shift_table",
        "head.head": "proj_out",
        ".modulation": ".scale_shift_table",
        ".norm3": ".norm2",
        "self_attn.o": "attn1.to_out.0",
        "cross_attn.o": "attn2.to_out.0",
        "ffn.0": "ffn.net.0.proj",
        "ffn.2": "ffn.net.2",
    }

    def renamed(name: str) -> str:
        for ours, theirs in pairs.items():
            name = name.replace(ours, theirs)
        name = re.sub(r"(self|cross)_attn\.([qkv])\.", lambda m: f"attn{1 + (m[1] == 'cross')}.to_{m[2]}.", name)
        return name.replace("self_attn.norm", "attn1.norm").replace("cross_attn.norm", "attn2.norm")

    return {renamed(name): tensor for name, tensor in tensors.items()}


def save_shards(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    names = sorted(tensors)
    files = [f"self_forcing_dmd-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for file, part in zip(files, (names[::2], names[1::2]), strict=True):
        save_file({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: files[i % 2] for i, name in enumerate(names)}}
    (folder / "self_forcing_dmd.safetensors.index.json").write_text(json.dumps(index))


FORMS = {
    "in a state_dict": lambda folder: torch.save({"state_dict": weights()}, folder / "self_forcing_dmd.pt"),
    "the average of a training": lambda folder: torch.save(both("generator_ema"), folder / "self_forcing_dmd.pt"),
    "bare, in safetensors": lambda folder: save_file(weights(), folder / "self_forcing_dmd.safetensors"),
    "prefixed twice": lambda folder: save_file(
        weights(prefix="model.diffusion_model."), folder / "self_forcing_dmd.safetensors"
    ),
    "names of diffusers": lambda folder: save_file(
        diffusers(transformer(SIZES, 2)), folder / "self_forcing_dmd.safetensors"
    ),
    "in shards": lambda folder: save_shards(weights(), folder),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_the_same_in_every_form(folder, form):
    FORMS[form](folder)
    found, _ = read_weights(recognise(folder))
    expected = transformer(SIZES, 2)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_names_of_diffusers_are_as_many_as_ours():
    assert len(diffusers(transformer(SIZES, 2))) == len(transformer(SIZES, 2)) == 15 + 27 * SIZES.layers


def test_a_shard_that_is_missing_is_named(folder):
    save_shards(weights(), folder)
    (folder / "self_forcing_dmd-00002-of-00002.safetensors").unlink()
    assert refusal(folder).startswith("self_forcing_dmd-00002-of-00002.safetensors cannot be read")


# what is refused, in one line that says what would resolve it

REFUSED = {
    "an unknown file": (
        saved("model.pt", generator=weights()),
        "model.pt may be of any family: say which in world.toml, like family = 'self-forcing' and weights = 'model.pt'",
    ),
    "a file whose folder would tell": (
        saved("causal_forcing.pt", generator=weights()),
        "causal_forcing.pt may be of any family: say which in world.toml, "
        "like family = 'self-forcing' and weights = 'causal_forcing.pt'",
    ),
    "two families": (
        lambda folder: [CASES[name].write(folder) for name in ("self-forcing", "causvid")],
        "FOLDER holds autoregressive_checkpoint/model.pt, checkpoints/self_forcing_dmd.pt: "
        "say in world.toml which to play, weights = 'autoregressive_checkpoint/model.pt'",
    ),
    "two files of one family": (
        lambda folder: [saved(f"self_forcing_{name}.pt", generator_ema=weights())(folder) for name in ("dmd", "sid")],
        "FOLDER holds self_forcing_dmd.pt, self_forcing_sid.pt: say in world.toml which to play, "
        "weights = 'self_forcing_dmd.pt'",
    ),
    "Wan's own weights alone": (
        lambda folder: None,
        "FOLDER holds Wan's own weights only, which were made for many more steps: "
        "add a family's file, or say family = 'wan' in world.toml to see noise",
    ),
    "the weights in training for their average": (
        saved("self_forcing_dmd.pt", generator=weights(), critic=weights()),
        "self_forcing_dmd.pt holds generator, and generator_ema is to be played: say the entry in world.toml",
    ),
    "two containers, none of them meant": (
        saved("14b_400.pt", generator=weights(), generator_ema=weights()),
        "14b_400.pt holds generator and generator_ema, and model is to be played: say the entry in world.toml",
    ),
    "an entry that is not there": (
        saved("self_forcing_dmd.pt", "entry = 'ema'", generator_ema=weights()),
        "self_forcing_dmd.pt holds generator_ema, and ema is to be played: say the entry in world.toml",
    ),
    "a family whose loop is not made": (
        saved("checkpoints/rolling_forcing_dmd.pt", generator_ema=weights()),
        "checkpoints/rolling_forcing_dmd.pt is of Rolling Forcing, which has several blocks in flight at once: "
        "this engine does not play it (docs/worlds.md says why)",
    ),
    "modules of another family": (
        saved("self_forcing_dmd.pt", bare=weights() | {"blocks.0.self_attn.linear_proj.weight": torch.zeros(2)}),
        "self_forcing_dmd.pt holds blocks.0.self_attn.linear_proj.weight: it is of Hybrid Forcing, which attends "
        "linearly to what left the window, and cannot be played here",
    ),
    "a family nobody knows": (
        saved("self_forcing_dmd.pt", "family = 'self forcing'", generator_ema=weights()),
        f"world.toml says family = 'self forcing': expected one of {', '.join(family.name for family in FAMILIES)}",
    ),
    "a family without its file": (
        saved("a.pt", "family = 'reward-forcing'\nweights = 'b.pt'", bare=weights()),
        "world.toml names weights = 'b.pt', and there is no such file",
    ),
    "a family whose own file is not there": (
        saved("self_forcing_dmd.pt", "family = 'reward-forcing'", generator_ema=weights()),
        "FOLDER holds no file for Reward Forcing: say in world.toml which, weights = '...'",
    ),
    "a key nobody knows": (
        saved("self_forcing_dmd.pt", "[memory]\nwindows = 9", generator_ema=weights()),
        "world.toml cannot be used: 'memory.windows' is not known: expected window, sink, block, positions, span, "
        "sink_average, switch",
    ),
    "a value that cannot be meant": (
        saved("self_forcing_dmd.pt", "[memory]\nsink = 'three'", generator_ema=weights()),
        "world.toml cannot be used: memory.sink is 'three', expected a whole number from 0 to 1024",
    ),
    "numbers that cannot work together": (
        saved("self_forcing_dmd.pt", "[memory]\nwindow = 3\nsink = 3", generator_ema=weights()),
        "world.toml cannot be used: window 3: need at least sink 3 + block 3 frames",
    ),
    "a file outside the folder": (
        saved("self_forcing_dmd.pt", "weights = '../self_forcing_dmd.pt'", generator_ema=weights()),
        "world.toml cannot be used: weights is '../self_forcing_dmd.pt', expected a path below the folder",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_or_ambiguous_folder_is_refused_in_one_line(folder, name):
    write, told = REFUSED[name]
    write(folder)
    assert refusal(folder) == told


def test_a_description_that_is_no_toml_is_refused_by_its_name(folder):
    said(folder, "family = ")
    assert refusal(folder).startswith("world.toml cannot be used: Invalid value")


def test_whatever_stands_in_a_description_is_used_or_refused_in_one_line(folder):
    CASES["self-forcing"].write(folder)
    whole = (
        b"family = 'self-forcing'\nweights = 'checkpoints/self_forcing_dmd.pt'\nentry = 'generator_ema'\n"
        b"[sampler]\nsteps = [1000, 500]\nclean = 0\n[memory]\nwindow = 9\nsink = 3\n[picture]\nsize = [32, 16]\n"
    )
    chance, used = random.Random(0), 0
    for _ in range(150):
        harmed = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 5])):
            at = chance.randrange(len(harmed))
            harmed[at : at + chance.randrange(4)] = bytes(chance.choice(b"\x00\n[]={}'\"9.-ae#\xff") for _ in range(2))
        (folder / "world.toml").write_bytes(bytes(harmed))
        try:
            recognise(folder)
            used += 1
        except WorldError as error:
            assert "\n" not in str(error) and "world.toml" in str(error) and len(str(error)) < 700
    assert 0 < used < 100


def test_an_ambiguous_folder_is_refused_before_anything_is_opened(folder):
    torch.save(weights(), folder / "model.pt")
    with pytest.raises(WorldError, match="may be of any family"):
        check_options(WorldOptions(str(folder)))


# the command


def test_worlds_says_what_a_folder_is_recognised_as_and_why(folder, capsys):
    CASES["causal-forcing-2step"].write(folder)
    assert main(["worlds", str(folder)]) == 0
    told = capsys.readouterr().out.splitlines()
    place = "checkpoints/causal-forcing++/framewise-2step.pt"
    assert told[0] == f"family    Causal-Forcing++ in 2 steps (causal-forcing-2step)  (the published name {place})"
    assert told[1] == f"weights   {place}"
    assert told[2].startswith("entry     generator_ema  (")
    assert told[5] == "steps     1000 500, shifted by 5; the first block 1000 750 500 250  (as published)"
    assert told[6].startswith("memory    window 21, sink 0, blocks of 1 latent frame, relative positions")
    assert told[-1] == "tensors   69, and all of them fit the sizes"


def test_worlds_refuses_what_it_cannot_recognise(folder, tmp_path, capsys):
    assert main(["worlds", str(folder)]) == 2 and main(["worlds", str(tmp_path / "none")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "holds Wan's own weights only" in told[0] and "is no folder" in told[1] and len(told) == 2


# steps


def steps_of(session, events=()) -> int:
    return sum(isinstance(done, Denoised) for done in session.begin(events))


@pytest.mark.parametrize(
    ("asked", "counts"), [(None, [4, 4]), ("2", [2, 2]), ("first:4,then:1", [4, 1]), ("first:1", [1, 4])]
)
def test_the_user_chooses_in_how_many_steps_blocks_are_made(folder, asked, counts):
    CASES["self-forcing"].write(folder)
    session = opened(folder, steps=asked).session(1, "a red fox")
    assert [steps_of(session), steps_of(session)] == counts


def test_steps_are_a_dial_that_is_logged_with_each_block(folder):
    CASES["self-forcing"].write(folder)
    world = opened(folder)
    session = world.session(1, "a red fox")
    log = [session.step(), session.step([Dial("steps", 2)]), session.step()]
    assert [block.dials["steps"] for block in log] == [4, 2, 2]
    folded = world.session(1, "a red fox")
    folded.fold(log)
    assert folded.step().digest == session.step().digest
    assert steps_of(session, [Dial("steps", 1)]) == 1


@pytest.mark.parametrize("text", ["0", "9", "first:", "then:2,first:1", ",", "first:2,", "first:4then:2", "two", ""])
def test_steps_that_cannot_be_meant_are_refused(text):
    with pytest.raises(WorldError, match=r"expected 1 to 8, or first:4,then:2"):
        step_counts(text)
