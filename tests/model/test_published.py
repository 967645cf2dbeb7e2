"""A session against the published loop, said slowly: any window, sink and block, any batch, any number of switches."""

import random
from dataclasses import replace

import pytest
import torch

from tests.support.literal import LiteralFilm
from tests.support.tiny import encode, tiny_world
from world.diffusion.model import TextEncoding
from world.diffusion.session import DiffusionSession
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig
from world.dit.denoise import Sampler, add_noise, flow_to_x0, normal
from world.event import Prompt

BLOCKS = 9


def some_world(chance: random.Random) -> DiffusionWorld:
    block, sink = chance.randint(1, 3), chance.randint(0, 4)
    window = sink + block + chance.randint(0, 4)
    everything = chance.random() < 0.15
    cache = CacheConfig(
        window=-1 if everything else window,
        sink=sink,
        block=block,
        slots=BLOCKS * block + sink if everything else 0,
        positions=chance.choice(["relative", "absolute"]),
        keep_sink=chance.random() < 0.6,
        published=True,
    )
    world, batch = tiny_world(cache, stored="float32"), chance.randint(1, 2)
    config = replace(world.config, latents=replace(world.config.latents, batch=batch))
    return replace(
        world, config=config, condition=None, encode=lambda text: TextEncoding(encode(text)[0].repeat(batch, 1, 1))
    )


def literal_film(world: DiffusionWorld, switches: dict[int, str]) -> tuple[torch.Tensor, LiteralFilm]:
    """All latents [B, F, C, h, w] of the published loop, and the loop's caches."""
    config, sampler = world.config, Sampler(world.config.sampler)
    film = LiteralFilm(world.dit, config.cache, config.latents.grid, config.latents.batch)
    words, shape = world.dit.words(world.encode("0").embedding), config.latents.shape(config.cache.block)
    made = torch.zeros(config.latents.shape(0))
    for block in range(BLOCKS):
        start = made.shape[1]
        if block in switches:
            words = world.dit.words(world.encode(switches[block]).embedding)
            film.switch(made, words)
        x0 = torch.zeros(shape)
        for step, (timestep, sigma) in enumerate(zip(sampler.timesteps, sampler.sigmas, strict=True)):
            x = add_noise(x0, normal(7, block, step, shape), sigma)
            x0 = flow_to_x0(film.run(x, timestep, words, start), x, sigma)
        film.run(x0, 0.0, words, start)
        made = torch.cat([made, x0], 1)
    return made, film


@pytest.mark.parametrize("seed", range(24))
def test_a_session_equals_the_published_loop(seed):
    chance = random.Random(seed)
    world = some_world(chance)
    switches = {block: str(block) for block in range(BLOCKS) if chance.random() < 0.3}
    session = DiffusionSession(world, 7, "0")
    ours = [session.step([Prompt(switches[block])] if block in switches else []) for block in range(BLOCKS)]
    with torch.no_grad():
        theirs, film = literal_film(world, switches)
    made = torch.cat([torch.from_numpy(block.latents) for block in ours], 1)
    assert (made - theirs).abs().max() < 1e-4, (world.config.cache, switches)
    values = session.banks.front.logical(1)[1]
    assert (values - film.caches[1].v).abs().max() < 1e-4, (world.config.cache, switches)
