"""Distribution matching: what the generator and the critic are punished for."""

from pathlib import Path

import pytest
import torch

from tests.conformance import load
from tests.conformance import losses as conformance
from world.train.learn.losses import Scores, critic_loss, generator_loss, noised, score_timesteps, x0_score

GOLDEN = Path(__file__).parent.parent / "golden" / "h_dmd_loss.json"
SHAPE = (2, 3, 4, 2, 2)
WORDS, NOTHING = torch.ones(2, 5, 8), torch.zeros(2, 5, 8)


def drawn(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def constant(value: float):
    return lambda noisy, t, context: torch.full_like(noisy, value)


def scores(fake: float = 0.0, real: float = 1.0, **options) -> Scores:
    return Scores(constant(fake), constant(real), WORDS, NOTHING, **options)


def critic(fake) -> Scores:
    return Scores(fake, constant(1.0), WORDS, NOTHING)


T = torch.full(SHAPE[:2], 500.0)


def test_the_gradient_points_from_the_real_score_to_the_fake_one():
    clip = drawn(0).requires_grad_()
    generator_loss(clip, drawn(1), T, scores(fake=0.0, real=1.0)).backward()
    distance = (clip.detach() - 1).abs().mean(dim=(1, 2, 3, 4), keepdim=True)
    assert torch.allclose(clip.grad, (-1 / distance / clip.numel()).expand(SHAPE))


def test_the_teacher_is_pushed_away_from_the_negative_prompt():
    def real(noisy, t, context):
        return torch.full_like(noisy, 2.0 if context is WORDS else 1.0)

    clip = torch.zeros(SHAPE)
    gradient = Scores(constant(0.0), real, WORDS, NOTHING, guidance=3.0).gradient(clip, clip, T)
    # 2 + 3 (2 - 1) = 5, and a clip of zeros is 5 away from it
    assert torch.allclose(gradient, torch.full(SHAPE, -1.0))


def test_only_what_is_supervised_moves_and_it_moves_more():
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[:, 1:] = True
    whole, part = drawn(0).requires_grad_(), drawn(0).requires_grad_()
    generator_loss(whole, drawn(1), T, scores()).backward()
    generator_loss(part, drawn(1), T, scores(), mask).backward()
    assert part.grad[:, 0].abs().max() == 0
    assert torch.allclose(part.grad[:, 1:], whole.grad[:, 1:] * 3 / 2)


def test_a_clip_that_both_scores_agree_with_is_left_alone():
    clip = torch.ones(SHAPE, requires_grad=True)
    loss = generator_loss(clip, drawn(1), T, scores(fake=1.0, real=1.0))
    loss.backward()
    assert loss == 0 and clip.grad.abs().max() == 0


def test_no_gradient_reaches_the_scores():
    weight = torch.ones((), requires_grad=True)
    judge = Scores(lambda n, t, c: n * weight, lambda n, t, c: n * weight + 1, WORDS, NOTHING)
    generator_loss(drawn(0).requires_grad_(), drawn(1), T, judge).backward()
    assert weight.grad is None


def test_a_critic_that_knows_the_clip_has_no_loss_and_any_other_learns():
    clip = drawn(0)
    assert critic_loss(clip, drawn(1), T, critic(lambda n, t, c: clip)) < 1e-10
    weight = torch.zeros((), requires_grad=True)
    critic_loss(clip, drawn(1), T, critic(lambda n, t, c: n * weight)).backward()
    assert weight.grad.abs() > 0.1


def test_the_critic_is_judged_where_the_clip_is_supervised():
    clip, known = drawn(0), drawn(0)
    known[:, 0] += 1
    mask = torch.ones(SHAPE, dtype=torch.bool)
    mask[:, 0] = False
    assert critic_loss(clip, drawn(1), T, critic(lambda n, t, c: known)) > 0.1
    assert critic_loss(clip, drawn(1), T, critic(lambda n, t, c: known), mask) < 1e-10


def test_timesteps_are_shifted_towards_noise_and_kept_off_both_ends():
    assert score_timesteps(torch.tensor([[0], [500], [999]])).flatten().tolist() == pytest.approx([20, 2500 / 3, 980])


def test_noise_and_its_score_are_inverse():
    clip, noise = drawn(0), drawn(1)
    noisy = noised(clip, noise, T)
    score = x0_score(lambda n, t, c: noise - clip)
    # the two grids round 500 to steps of their own
    assert torch.allclose(score(noisy, T, WORDS), clip, atol=5e-3)


def test_the_golden_losses_are_reproduced():
    tensors, case = load(GOLDEN)
    errors = conformance.check(tensors, case)
    assert max(errors.values()) < case["tolerance"]["abs"]
