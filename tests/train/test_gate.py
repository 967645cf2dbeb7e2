import random

import torch

from world.compact.geometry import Geometry
from world.compact.model import CompactModel
from world.train.data.captions import Look, exam_prompts
from world.train.data.latents import fit_latents
from world.train.judge.evaluate import Judge
from world.train.judge.gate import GATE_RECIPE, criteria, linear_marker, print_criteria
from world.train.judge.recognise import Recogniser
from world.train.judge.scores import ClipMark

RAIN, TUNNEL = Look("rain", "cyan", "down"), Look("tunnel", "red", "inwards")


def mark(scene: bool = True, direction: bool = True) -> ClipMark:
    return ClipMark(scene, True, direction, True, True, pace=0.5, contrast=0.6, motion=1.0)


def test_the_gate_looks_at_middles_and_straight_motions_apart():
    seen = [(RAIN, mark(direction=False)), (RAIN, mark()), (TUNNEL, mark(scene=False)), (TUNNEL, mark(direction=False))]
    reached = [criterion.reached for criterion in criteria(seen).values()]
    assert [(share.value, share.count) for share in reached] == [(0.75, 4), (0.5, 2), (0.5, 2), (0.5, 2)]


def test_the_gate_names_what_fell_short():
    good = [(RAIN, mark()), (TUNNEL, mark())]
    assert print_criteria(criteria(good)) == []
    assert print_criteria(criteria([*good, (RAIN, mark(direction=False))])) == ["direction left, right, up, down"]


def test_the_gate_needs_no_trained_decoder():
    latents = fit_latents(Geometry(), clips=4)
    marker = linear_marker(latents, Recogniser(32, 8, 14).eval())
    made = torch.randn(2, 3, 32, 8, 14, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(marker.frames(made, 1), latents.decode(made[:, 1:]).clamp(-1, 1), atol=1e-5)
    torch.manual_seed(0)
    seen = Judge(CompactModel().eval(), marker, GATE_RECIPE).early(3)
    assert [look for look, _ in seen] == [look for _, look in exam_prompts(random.Random(5), 3)]


def test_the_gate_samples_in_eight_plain_steps():
    sigmas = GATE_RECIPE.sigmas
    assert len(sigmas) == 8 and sigmas[0] == 1 and not GATE_RECIPE.renoise and GATE_RECIPE.guidance == 1
    assert list(sigmas) == sorted(sigmas, reverse=True)
