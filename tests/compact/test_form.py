"""What makes one compact world differ from another lies in its file."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from world.compact.decoder import PictureDecoder
from world.compact.files import BUNDLED, file_of
from world.compact.form import FORMAT, KEY, PictureForm, WorldForm, describe_form, form_in, read_form
from world.compact.geometry import Geometry
from world.compact.language import Language
from world.compact.model import shape
from world.compact.small import SMALL
from world.compact.world import CompactWorld
from world.event import Dial, Prompt
from world.info import DialRange, WorldError
from world.zoo import listed_words, open_world

GARDEN = WorldForm(
    geometry=Geometry(frames=4, cell=8, channels=5, rows=4, columns=6, enlarge=2, patch_rows=2, patch_columns=3),
    language=Language(
        synonyms={"rose": ("rose", "roses"), "pond": ("pond", "lake")},
        silent=frozenset({"the"}),
        groups=(("things", ("rose", "roses", "pond", "lake")),),
        examples=("roses the pond",),
        showpiece="the lake",
        most_words=5,
    ),
    dials={"wind": DialRange(0.0, 2.0, 1.0)},
    steps=(1000, 400),
    shift=3.0,
    window=4,
    sink=2,
    text_width=32,
    head_width=16,
    has_scales=True,
    pictures=PictureForm(refiner_width=8, refiner_depth=1, sharpenings=1),
)


def garden_file(folder, **changes):
    """The file of a world of another kind, with weights that were never trained."""
    torch.manual_seed(0)
    path = folder / "garden.safetensors"
    CompactWorld(shape(64, 1, GARDEN), replace(GARDEN, **changes)).save(path)
    return path


def damaged(path, change):
    """The same file with another description."""
    told = json.loads(describe_form(GARDEN)[KEY])
    change(told)
    save_file(load_file(path), path, {KEY: json.dumps(told)})
    return path


@pytest.mark.parametrize("form", [SMALL, GARDEN])
def test_a_form_comes_back_from_its_description(form: WorldForm):
    back = form_in(describe_form(form)[KEY])
    assert back == form and list(back.language.synonyms) == list(form.language.synonyms)


def test_a_world_of_another_kind_plays_from_its_file_alone(tmp_path):
    world = open_world(str(garden_file(tmp_path)), device="cpu")
    assert (world.info.block_frames, world.info.picture) == (4, (96, 64))
    assert world.info.vocabulary == ("lake", "pond", "rose", "roses") and set(world.info.dials) == {
        "wind",
        "steps",
        "grip",
        "press",
    }
    session, state = world.session(seed=3, prompt="roses"), world.decoder.start()
    for events in ([], [Prompt("the pond"), Dial("wind", 2.0)], []):
        frames, state = world.decoder.decode(state, session.step(events).latents)
    assert frames.shape == (4, 64, 96, 3) and frames.dtype == np.uint8


def test_a_file_of_the_first_format_opens_and_draws_as_it_did(tmp_path):
    def older(told):
        told["format"] = 1
        del told["pictures"]

    path = damaged(garden_file(tmp_path, pictures=PictureForm()), older)
    world = CompactWorld.load(path)
    assert world.form.pictures == PictureForm() and world.decoder.refiner is None
    assert open_world(str(path), device="cpu").info.picture == (96, 64)


def test_its_words_are_listed_without_torch(tmp_path):
    path = garden_file(tmp_path)
    code = f"import sys; from world.zoo import listed_words; print(listed_words({str(path)!r}), 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "roses" in told and told.strip().endswith("False")


def test_a_file_without_a_description_is_of_the_form_of_small(tmp_path):
    path = tmp_path / "old.safetensors"
    save_file({"one": torch.ones(1)}, path)
    assert read_form(path) is None
    assert listed_words(str(path))[1] == SMALL.language.examples


def test_every_component_has_its_own_scale_where_the_form_says_so():
    torch.manual_seed(0)
    plain, scaled = PictureDecoder(GARDEN.geometry).linear, PictureDecoder(GARDEN.geometry, has_scales=True).linear
    basis = torch.linalg.qr(torch.randn(GARDEN.geometry.numbers, 5))[0].T
    for latents in (plain, scaled):
        latents.basis.copy_(basis)
    scaled.scale.copy_(torch.arange(1.0, 6.0))
    frames = torch.randn(2, 8, 3, 32, 48)
    torch.testing.assert_close(scaled.encode(frames) * torch.arange(1.0, 6.0).view(-1, 1, 1), plain.encode(frames))
    torch.testing.assert_close(scaled.decode(scaled.encode(frames)), plain.decode(plain.encode(frames)))


def test_an_untrained_decoder_draws_the_linear_picture_enlarged():
    decoder = PictureDecoder(GARDEN.geometry)
    decoder.linear.mean.fill_(0.25)
    frames = decoder(torch.randn(2, 5, 4, 6), torch.randn(2, 5, 4, 6))
    assert frames.shape == (2, 4, 3, 64, 96)
    torch.testing.assert_close(frames, torch.full_like(frames, 0.25))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda told: told.update(format=FORMAT + 1), "format 3.*upgrade"),
        (lambda told: told.pop("language"), "description is damaged .*language"),
        (lambda told: told.update(colour=3), "description is damaged .*colour"),
        (lambda told: told["geometry"].update(rows=-4), "rows -4: expected"),
        (lambda told: told["geometry"].update(rows=10**9), "rows 1000000000: expected"),
        (lambda told: told["geometry"].update(columns=7), "whole patches"),
        (lambda told: told["language"].update(showpiece="the dragon"), "'dragon' is not known"),
        (lambda told: told.update(steps=[]), "steps"),
        (lambda told: told["pictures"].update(sharpenings=9), "sharpenings 9: expected"),
        (lambda told: told["pictures"].update(refiner_depth=0), "expected both sizes"),
        (lambda told: told["pictures"].update(halo=1), "description is damaged .*halo"),
        (lambda told: told.update(window=1, sink=1), "window 1"),
        (lambda told: told["geometry"].update(channels=6), "size mismatch"),
    ],
)
def test_a_damaged_description_is_one_line(tmp_path, change, told):
    path = damaged(garden_file(tmp_path), change)
    with pytest.raises(WorldError, match=told) as wrong:
        open_world(str(path), device="cpu")
    assert str(path) in str(wrong.value) and "\n" not in str(wrong.value)


def test_another_picture_is_refused_with_the_one_that_the_file_draws(tmp_path):
    with pytest.raises(WorldError, match="draws 96x64 only"):
        open_world(str(garden_file(tmp_path)), picture=(640, 360))


def test_a_bundled_world_whose_file_is_missing_is_named_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("world.compact.files.ASSETS", tmp_path)
    with pytest.raises(WorldError, match=r"tale\.safetensors: weights cannot be read .*install neverblink again"):
        open_world("tale")


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_world_plays_from_the_package(name: str):
    world = open_world(name, device="cpu")
    assert world.info.name == name and listed_words(name)[0] == world.info.word_groups
    block = world.session(seed=1, prompt=world.info.showpiece).step()
    frames, _ = world.decoder.decode(world.decoder.start(), block.latents)
    assert frames.shape == (6, *world.info.picture[::-1], 3) and frames.std() > 20


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_file_fits_a_package(name: str):
    assert file_of(name).stat().st_size <= 16_000_000
