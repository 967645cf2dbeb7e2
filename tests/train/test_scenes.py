import random

import pytest
import torch

from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.train.data.captions import (
    ATTRIBUTES,
    COLOURS,
    DEFAULT_COLOURS,
    SCENES,
    Look,
    describe_look,
    look_of,
    random_caption,
)
from world.train.data.library import LatentPainter, project_maps
from world.train.data.render import dials_per_frame, paint, random_colours, random_dials, render_maps
from world.train.data.scenes import SCENE_FUNCTIONS

SMALL = (112, 64)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(look: Look, dials: torch.Tensor | None = None, seed: int = 0) -> torch.Tensor:
    """Brightness [T, Y, X] of one clip."""
    dials = torch.zeros(1, 2, 4) if dials is None else dials
    return render_maps(look, dials, chance(seed), SMALL).body[0]


def moved(before: torch.Tensor, after: torch.Tensor) -> tuple[int, int]:
    """Pixels (x, y) by which `after` is shifted, from the peak of the phase correlation."""
    rows, columns = before.shape
    window = torch.hann_window(rows)[:, None] * torch.hann_window(columns)
    spectra = [torch.fft.fft2((picture - picture.mean()) * window) for picture in (before, after)]
    cross = spectra[1] * spectra[0].conj()
    peak = int(torch.fft.ifft2(cross / (cross.abs() + 1e-3)).real.argmax())
    y, x = divmod(peak, columns)
    return (x + columns // 2) % columns - columns // 2, (y + rows // 2) % rows - rows // 2


def test_captions_repeat_with_their_seed():
    made = [[random_caption(random.Random(seed)) for seed in range(30)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 25


def test_a_full_description_is_read_back_exactly():
    rng = random.Random(1)
    for _ in range(200):
        look = look_of(random_caption(rng, ATTRIBUTES))
        assert look_of(describe_look(look, rng)) == look


def test_a_colour_alone_repaints_what_is_there():
    before = Look("rain", "blue", "up", "fast")
    assert look_of("now red", before) == Look("rain", "red", "up", "fast")


def test_a_scene_alone_keeps_the_colour():
    assert look_of("ripples", Look("rain", "blue", "up", "fast")) == Look("ripples", "blue", "outwards", "normal")


def test_nothing_known_is_plasma_in_its_habit():
    assert look_of("zebra") == Look("plasma", DEFAULT_COLOURS["plasma"], "right")


def test_a_second_colour_is_the_ground():
    assert look_of("red stripes on blue").background == "blue"


@pytest.mark.parametrize("scene", ["plasma", "grid", "orbs"])
@pytest.mark.parametrize(
    ("direction", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_motion_goes_the_labelled_way(scene: str, direction: str, axis: int, sign: int):
    frames = clip(Look(scene, "red", direction, "fast"))
    shift = moved(frames[0], frames[4])
    assert shift[axis] * sign > 0
    assert abs(shift[axis]) > abs(shift[1 - axis])


def test_rain_falls():
    frames = clip(Look("rain", "red", "down", "fast"))
    assert moved(frames[0], frames[3])[1] > 0


@pytest.mark.parametrize(("direction", "sign"), [("outwards", 1), ("inwards", -1)])
@pytest.mark.parametrize("scene", ["ripples", "tunnel"])
def test_rings_move_along_their_radius(scene: str, direction: str, sign: int):
    frames = clip(Look(scene, "red", direction, "normal"))
    right_half = frames[:, 28:36, 64:].mean(1)  # a strip along the radius
    shift, _ = moved(right_half[0].expand(8, -1), right_half[2].expand(8, -1))
    assert shift * sign > 0


def test_fast_goes_further_than_slow():
    steps = [clip(Look("plasma", "red", "right", speed)) for speed in ("slow", "fast")]
    slow, fast = (moved(frames[0], frames[5])[0] for frames in steps)
    assert fast > slow > 0


def test_looking_right_moves_the_picture_left():
    dials = torch.zeros(1, 2, 4)
    dials[..., 0] = 1
    look = Look("waves", "red", "right", "slow")
    assert moved(clip(look, dials)[0], clip(look, dials)[8])[0] < 0


def test_zooming_in_makes_rings_wider():
    dials = torch.zeros(1, 2, 4)
    dials[..., 2] = 1
    look = Look("ripples", "red", "outwards", "slow")
    near, far = clip(look, dials)[0, 32], clip(look)[0, 32]
    crossings = [int(((row[:-1] - 0.5) * (row[1:] - 0.5) < 0).sum()) for row in (near, far)]
    assert crossings[0] < crossings[1]


def test_dials_glide_over_a_block():
    path = dials_per_frame(torch.tensor([[[0.0] * 4, [0.6] * 4]]))[0, 0, :, 0, 0]
    torch.testing.assert_close(path, torch.tensor([0.0] * 6 + [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))


def test_dial_paths_stay_in_range_and_some_rest():
    paths = random_dials(64, 16, chance())
    assert paths.abs().max() <= 1
    assert 16 < int((paths.abs().amax((1, 2)) == 0).sum()) < 56


@pytest.mark.parametrize("scene", SCENE_FUNCTIONS)
def test_every_scene_is_bold(scene: str):
    frames = clip(Look(scene, "white", SCENES[scene][0]))
    assert frames.min() >= 0 and frames.max() <= 1
    assert frames.std() > 0.2


@pytest.mark.parametrize("colour", COLOURS)
def test_a_painted_clip_is_nearest_to_its_own_colour(colour: str):
    look = Look("plasma", colour, "right")
    pixels = paint(render_maps(look, torch.zeros(1, 1, 4), chance(), SMALL), random_colours([look], chance()))
    seen = pixels.mean((0, 1, 3, 4))
    likeness = {name: torch.cosine_similarity(seen, torch.tensor(rgb).float(), 0) for name, rgb in COLOURS.items()}
    assert max(likeness, key=likeness.get) == colour


def test_painting_latents_equals_the_latents_of_a_painting():
    torch.manual_seed(0)
    latents = LinearLatents(Geometry(rows=4, columns=7))
    latents.basis.copy_(torch.linalg.qr(torch.randn(4608, 32))[0].T)
    latents.mean.normal_()
    look = Look("grid", "pink", "left", background="blue")
    maps, colours = render_maps(look, random_dials(1, 2, chance()), chance(), SMALL), random_colours([look], chance())
    painted = LatentPainter(latents).paint(project_maps(latents, maps), colours)
    torch.testing.assert_close(painted, latents.encode(paint(maps, colours) / 127.5 - 1), atol=1e-4, rtol=1e-4)
