import numpy as np
import pytest
import torch

from world.compact.model import shape
from world.compact.packed import pack, read_packed, unpack, write
from world.compact.world import CompactWorld
from world.event import Dial, Prompt
from world.info import WorldError
from world.options import WorldOptions
from world.zoo import open_in_own_process, open_world


@pytest.fixture(scope="module")
def world():
    return open_in_own_process(WorldOptions(name="small", device="cpu"))


def stream(world, prompt: str, blocks: int, seed: int = 1, events: dict | None = None) -> tuple[list, np.ndarray]:
    """The blocks of a session and their frames [blocks, 6, Y, X, 3]."""
    session, state = world.session(seed, prompt), world.decoder.start()
    made, frames = [], []
    for number in range(blocks):
        made.append(session.step((events or {}).get(number, ())))
        pixels, state = world.decoder.decode(state, torch.from_numpy(made[-1].latents))
        frames.append(pixels)
    return made, np.stack(frames)


def test_the_bundled_world_says_what_it_is(world):
    info = world.info
    assert (info.name, info.fps, info.block_frames, info.picture) == ("small", 24.0, 6, (224, 128))
    assert {"blue", "crimson", "ripples", "slow"} <= set(info.vocabulary)
    assert set(info.dials) == {"pan_x", "pan_y", "zoom", "energy", "steps", "grip", "press"}


def test_a_block_is_six_frames_of_the_picture(world):
    made, frames = stream(world, world.info.showpiece, 1)
    assert made[0].latents.shape == (1, 1, 32, 8, 14)
    assert frames.shape == (1, 6, 128, 224, 3) and frames.dtype == np.uint8


@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_typed_colour_is_the_colour_seen(world, colour: str, channel: int):
    _, frames = stream(world, f"a {colour} world", 2)
    mean = frames[-1].mean((0, 1, 2))
    assert mean.argmax() == channel
    assert mean[channel] > 1.5 * np.delete(mean, channel).max()


def test_new_words_change_the_colour_within_a_second(world):
    _, frames = stream(world, "blue", 9, events={4: [Prompt("now red")]})
    assert frames[3].mean((0, 1, 2)).argmax() == 2
    assert frames[-1].mean((0, 1, 2)).argmax() == 0


def test_the_same_seed_gives_the_same_bytes(world):
    digests = [[block.digest for block in stream(world, "green grid", 3, seed)[0]] for seed in (5, 5, 6)]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_a_world_dial_steers_the_next_block(world):
    still, _ = stream(world, "ripples", 3)
    zoomed, _ = stream(world, "ripples", 3, events={2: [Dial("zoom", 1.0)]})
    assert still[1].digest == zoomed[1].digest
    assert still[2].digest != zoomed[2].digest


def test_words_that_are_not_known_still_give_a_world(world):
    _, frames = stream(world, "zebra castle", 2)
    assert frames[-1].std() > 10


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a purple elephant spiral", "a purple spiral"),
        (" ".join(["zebra"] * 12) + " red rain", "red rain"),
        ("zebra", "slow purple ripples"),
        ("123 !", "slow purple ripples"),
        ("purple spiral:0.5 | zebra:0.5", "purple spiral"),
    ],
)
def test_words_that_are_not_known_change_nothing(world, typed: str, meant: str):
    (one,), (other,) = stream(world, typed, 1)[0], stream(world, meant, 1)[0]
    assert one.digest == other.digest


@pytest.mark.parametrize(("width", "layers"), [(64, 1), (128, 2)])
def test_a_world_of_another_size_plays_from_its_file(tmp_path, width: int, layers: int):
    torch.manual_seed(0)
    path = tmp_path / "small.safetensors"
    write(path, CompactWorld(shape(width, layers)).state_dict())
    mine = open_world(str(path), device="cpu")
    _, frames = stream(mine, "blue grid", 3)
    # a log must say which world it is of: this one is not the bundled `small`
    assert mine.info.name == str(path) and (mine.config.dit.dim, mine.config.dit.num_layers) == (width, layers)
    assert frames.shape == (3, 6, 128, 224, 3)


def test_a_width_that_heads_do_not_fill_is_refused():
    with pytest.raises(WorldError, match="width 100, 6 layers: expected a width of 64, 128"):
        shape(100, 6)


@pytest.mark.parametrize("content", ["nothing", "text", "other weights", "weights cut short"])
def test_a_file_that_holds_no_world_is_refused_in_one_line(tmp_path, content: str):
    path = tmp_path / "other.safetensors"
    if content == "other weights":
        write(path, {"matrix": torch.randn(96, 64)})
    elif content == "weights cut short":
        world = CompactWorld(shape(64, 1)).state_dict()
        write(path, {name: tensor for name, tensor in world.items() if "decoder" not in name})
    else:
        path.write_bytes(b"" if content == "nothing" else b"a story of no weights at all")
    with pytest.raises(WorldError, match="neverblink train package") as wrong:
        open_world(str(path))
    assert str(path) in str(wrong.value) and "\n" not in str(wrong.value)


def test_another_picture_size_is_refused_with_the_one_there_is():
    with pytest.raises(WorldError, match="224x128"):
        open_world("small", picture=(640, 360))


def test_packed_weights_come_back_to_within_half_a_step(tmp_path):
    tensors = {"matrix": torch.randn(96, 64), "vector": torch.randn(64), "one": torch.tensor(2.5)}
    write(tmp_path / "weights.safetensors", tensors)
    back = read_packed(tmp_path / "weights.safetensors")
    step = tensors["matrix"].abs().amax(1, keepdim=True) / 127
    assert ((back["matrix"] - tensors["matrix"]).abs() <= 0.51 * step).all()
    torch.testing.assert_close(back["vector"], tensors["vector"], atol=1e-3, rtol=1e-3)
    assert back["one"] == 2.5


def test_packing_what_was_packed_changes_nothing():
    once = unpack(pack({"matrix": torch.randn(96, 64)}))
    assert torch.allclose(unpack(pack(once))["matrix"], once["matrix"], atol=1e-6)


def test_damaged_weights_are_one_line_for_the_user(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(WorldError, match="cannot be read"):
        read_packed(tmp_path / "weights.safetensors")
