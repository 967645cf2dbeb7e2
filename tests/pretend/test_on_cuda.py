"""What else runs on the pretended GPU: bundled worlds, every speed, the measurements, a training, whole shows.

On a real one `neverblink bench gpu` runs it, in the time that there is.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from loop.measure.gpu.command import _measure_all
from loop.measure.gpu.sections import SectionRun
from loop.measure.gpu.setting import GpuSetting
from loop.measure.shows.trial import Show, prompt_script, run_show
from loop.measure.trace.analysis import switch_times_ms
from tests.pretend.gpu import pretended_gpu
from world.block import Made
from world.diffusion.world import DiffusionWorld
from world.event import Dial, Prompt
from world.options import SPEEDS, WorldOptions
from world.train.learn.budget import Budget
from world.train.story.picture import StoryPicture
from world.train.story.run import StoryRun, StoryScale, train_tale
from world.zoo import open_options

CUDA = torch.device("cuda")
ERRORS = {"fast": 0.02, "fp8": 0.05, "int8": 0.05}  # relative, of latents in bfloat16
TINY = StoryScale(12, 4, 4, 2, 2, 2, 2, StoryPicture(0, clips=2, chunk=2, batch=1, small=2))


@pytest.fixture(autouse=True)
def pretended():
    with pretended_gpu():
        yield


def played(world: DiffusionWorld) -> tuple[np.ndarray, np.ndarray]:
    """Latents and frames of eight blocks with words in line, words ahead and a dial."""
    session, state = world.session(3, world.info.showpiece), world.decoder.start()
    words, latents, frames = [*world.info.examples, "one", "other"], [], []
    for number in range(8):
        events = [Prompt(words[1])] if number == 6 else []
        if number == 3 and world.info.dials:
            events.append(Dial(next(iter(world.info.dials)), 0.4))
        for done in session.begin(events):
            if isinstance(done, Made):
                latents.append(done.block.latents)
                shown, state = world.decoder.decode(state, done.block.latents)
                frames.append(shown)
                if number == 4:
                    session.ahead([Prompt(words[0])])
    return np.concatenate(latents, 1).astype(np.float32), np.concatenate(frames).astype(np.float32)


def error(made: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(made - true) / np.linalg.norm(true))


@pytest.mark.parametrize("speed", ["exact", "fast"])
@pytest.mark.parametrize("name", ["small", "tale"])
def test_a_bundled_world_shows_what_it_shows_on_a_cpu(name, speed):
    made, shown = played(open_options(WorldOptions(name, "cuda", 1, speed=speed)))
    expected, seen = played(open_options(WorldOptions(name, "cpu", 1)))
    assert error(made, expected) < 1e-3 and np.abs(shown - seen).mean() < 0.05


@pytest.mark.parametrize("speed", SPEEDS[1:])
def test_every_speed_makes_what_the_exact_one_makes(speed):
    made = []
    for chosen in (speed, "exact"):
        torch.manual_seed(0)  # of the decoder's weights
        options = WorldOptions("random-wan-tiny", "cuda", 1, (32, 16), decoder="taehv", speed=chosen, dtype="bfloat16")
        made.append(played(open_options(options)))
    (latents, shown), (expected, seen) = made
    assert error(latents, expected) < ERRORS[speed]
    assert np.abs(shown - seen).mean() < 3


@pytest.mark.slow
def test_every_stage_is_measured():
    world = WorldOptions("random-wan-tiny", "cuda", 1, (32, 16), dtype="float32")
    setting = GpuSetting(CUDA, torch.float32, world, side=64, copy_mib=1, blocks=2)
    wanted = ("ceilings", "attention", "open", "stages", "linears", "switch", "overlap", "error", "vae")
    run = SectionRun(wanted, 1e6, lambda figures: None)
    _measure_all(run, setting, ("exact", "fast"), partial(pytest.fail, seconds=1))
    assert run.figures["failed"] == run.figures["skipped"] == {}
    for measured in run.figures["modes"].values():
        assert measured.keys() == set(wanted) - {"ceilings", "attention"}


@pytest.mark.slow
def test_a_storybook_is_trained(tmp_path: Path):
    assert train_tale(StoryRun(tmp_path, Budget(0.02), CUDA, TINY, (64, 1)))
    assert "failed" not in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["inline", "overlap"])
def test_a_show_takes_prompts_in_a_process_of_its_own(switch):
    """Words are encoded in a thread beside blocks, recaches run beside them, and frames go into the ring by CuPy."""
    play = ("--world", "random-wan-tiny", "--device", "cuda", "--picture", "32x16", "--decoder", "taehv", "--headless")
    options = (*play, "--speed", "fast", "--seed", "0", "--spare", "off", "--switch", switch)
    recording = run_show(Show(options, prompt_script([3.0, 5.0, 7.0]), 10.0, module="tests.pretend"))
    assert not recording.faults and len(switch_times_ms(recording)) == 3
