"""Streams without an end: three thousand latent frames, where the published table of positions stops at 1,024."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from tests.support.tiny import tiny_world
from world.diffusion.session import DiffusionSession
from world.dit.config import CacheConfig

BLOCKS, BLOCK = 1000, 3
TABLE = 1024  # latent frames, the last position of the published table


def tensor_bytes() -> int:
    """Of all the tensors that are alive."""
    gc.collect()
    alive = [thing for thing in gc.get_objects() if type(thing) in (torch.Tensor, torch.nn.Parameter)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in alive}.values())


def places(session: DiffusionSession) -> list[int]:
    """Where the caches' keys and values lie in memory."""
    return [
        part.data_ptr() for bank in (session.banks.front, session.banks.back) for part in (*bank.keys, *bank.values)
    ]


@dataclass
class Film:
    """A long stream, and what it cost."""

    latents: list[np.ndarray] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    moved: bool = False

    @classmethod
    def run(cls, positions: str, sink: int) -> Film:
        world = tiny_world(CacheConfig(12, sink, BLOCK, positions=positions), stored="float32")
        session, film = world.session(7, "first words"), cls()
        stays = places(session)
        for block in range(BLOCKS):
            before = world.dit.passes
            film.latents.append(session.step().latents.copy())  # else it holds the tensor it came from
            film.passes.append(world.dit.passes - before)
            film.moved |= places(session) != stays
            if block % 300 == 99:
                film.sizes.append(tensor_bytes())
        return film

    def jumps(self) -> np.ndarray:
        """How far the picture moves from each block's last latent frame to the next one's first."""
        pairs = zip(self.latents, self.latents[1:], strict=False)
        return np.array([np.abs(later[:, 0] - earlier[:, -1]).mean() for earlier, later in pairs])


@pytest.fixture(scope="module", params=["relative", "absolute"])
def film(request) -> Film:
    return Film.run(request.param, sink=3)


@pytest.mark.slow
def test_a_long_stream_costs_no_more_memory_and_no_more_passes(film):
    assert set(film.passes) == {2 + 1}  # two steps and the clean pass
    assert not film.moved
    assert len(set(film.sizes)) == 1, film.sizes


@pytest.mark.slow
def test_a_long_stream_has_no_seam(film):
    jumps, edge = film.jumps(), TABLE // BLOCK
    assert np.isfinite(jumps).all()
    assert jumps[10:].max() < 1.5 * np.median(jumps)
    assert jumps[edge - 3 : edge + 3].max() < jumps.max()
    first, last = (np.concatenate(film.latents[part]).std() for part in (slice(100, 200), slice(-100, None)))
    assert abs(last / first - 1) < 0.05


@pytest.mark.slow
def test_without_a_sink_the_two_kinds_of_positions_make_one_film_past_the_table():
    # only differences of positions count, and without a sink both kinds see the same ones
    relative, absolute = (np.concatenate(Film.run(positions, sink=0).latents) for positions in ("relative", "absolute"))
    assert len(relative) * BLOCK == 3000 > TABLE
    assert np.abs(relative - absolute).max() < 1e-3
