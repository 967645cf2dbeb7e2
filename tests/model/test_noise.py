"""Chance and the schedule: noise is a function, timesteps are the released model's."""

import pytest
import torch

from world.dit.config import SamplerConfig
from world.dit.denoise import NoiseSchedule, Sampler, add_noise, flow_to_x0, normal, x0_to_flow
from world.seeds import mix


def test_noise_is_a_function_of_seed_block_and_step():
    noise = normal(3, 5, 1, (2, 8))
    normal(3, 6, 0, (100,))
    torch.manual_seed(0)
    assert torch.equal(noise, normal(3, 5, 1, (2, 8)))


def test_every_block_and_step_draws_its_own():
    drawn = {normal(seed, block, step, (1,)).item() for seed in range(5) for block in range(20) for step in range(4)}
    assert len(drawn) == 400


def test_noise_is_unit_normal():
    noise = normal(0, 0, 0, (100_000,))
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01 and noise.dtype == torch.float32


def test_every_bit_of_a_seed_counts():
    mixed = {mix(1 << bit, 0, 0) & 0xFFFFFFFF for bit in range(64)}
    assert len(mixed) == 64  # the generator reads the lower half only


def test_negative_seeds_are_seeds():
    assert 0 <= mix(-5, 0, 0) < 1 << 64 and mix(-5, 0, 0) != mix(5, 0, 0)


def test_the_four_steps_are_the_released_ones():
    sampler = Sampler(SamplerConfig())
    assert sampler.timesteps == [1000.0, 937.5, 833.3333129882812, 625.0]
    assert sampler.sigmas == pytest.approx([1.0, 0.9375, 0.8333333, 0.625], abs=1e-7)


def test_the_grid_ends_above_zero():
    sigmas = NoiseSchedule(5.0).sigmas
    assert len(sigmas) == 1000 and sigmas[0] == 1 and sigmas[-1].item() == pytest.approx(0.00498008)
    assert NoiseSchedule(5.0).warp([0]) == [0.0]


def test_a_timestep_off_the_grid_takes_the_nearest_level():
    schedule = NoiseSchedule(5.0)
    assert schedule.sigma(937.4) == schedule.sigma(937.5) == 0.9375


def test_flow_and_x0_are_each_others_inverse():
    x0, noise = normal(0, 0, 0, (4, 4)), normal(0, 0, 1, (4, 4))
    x = add_noise(x0, noise, 0.7)
    assert torch.allclose(flow_to_x0(noise - x0, x, 0.7), x0, atol=1e-6)
    assert torch.allclose(x0_to_flow(x0, x, 0.7), noise - x0, atol=1e-6)


def test_the_sampler_stops_after_each_pass_and_ends_with_the_block():
    asked = []

    def predict(x, timestep):
        asked.append(timestep)
        return x - 5.0  # the flow of an x0 of 5, at sigma 1

    steps = Sampler(SamplerConfig((1000, 500), shift=1.0)).run(predict, lambda step: normal(0, 0, step, (3,)))
    assert torch.allclose(next(steps), torch.full((3,), 5.0)) and asked == [1000.0]
    assert len(list(steps)) == 1 and asked == [1000.0, 500.0]


def test_a_model_of_x0_is_not_converted():
    config = SamplerConfig((1000,), prediction="x0")
    steps = Sampler(config).run(lambda x, t: torch.full((3,), 2.0), lambda step: torch.zeros(3))
    assert next(steps).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"steps": (500, 1000)}, "need descending timesteps"),
        ({"steps": ()}, "need descending timesteps"),
        ({"steps": (1200, 500)}, "at most 1000"),
        ({"prediction": "noise"}, "prediction 'noise': expected flow or x0"),
    ],
)
def test_a_sampler_that_cannot_work_is_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        SamplerConfig(**given)
