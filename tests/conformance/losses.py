"""Kind `dmd_loss`: both scores, the generator's loss with its gradient, and the critic's loss on one clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference
from world.attend import Dense
from world.config import DiTConfig
from world.dit import CausalDiT
from world.train.losses import Model, Scores, critic_loss, generator_loss, noised, score_timesteps, x0_score


def score(role: str, tensors: dict[str, Tensor], case: dict[str, Any]) -> Model:
    """The case's bidirectional model `role` ("fake" or "real") as a score."""
    sizes = {name: size for name, size in case["config"].items() if name in DiTConfig.__dataclass_fields__}
    dit = CausalDiT(DiTConfig(**sizes))
    prefix = f"{role}."
    dit.load_state_dict({name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)})
    rows, columns = (side // 2 for side in case["config"]["latent_hw"])

    def flow(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        attend = Dense((rows, columns), range(noisy.shape[1]), dit.config.head_dim)
        return dit(noisy, t, dit.words(context), attend)

    return x0_score(flow, case["config"]["score_shift"])


def recorded(tensors: dict[str, Tensor]) -> Model:
    """The real score's answers on the case's clip, for a copy of the case that leaves out its weights."""

    def real(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        return tensors["x0_real_uncond" if torch.equal(context, tensors["uncond"]) else "x0_real_cond"]

    return real


def scores(tensors: dict[str, Tensor], case: dict[str, Any]) -> Scores:
    """Both of the case's scores with its prompts."""
    has_real = any(name.startswith("real.") for name in tensors)
    real = score("real", tensors, case) if has_real else recorded(tensors)
    fake = score("fake", tensors, case)
    return Scores(fake, real, tensors["context"], tensors["uncond"], case["config"]["guidance"])


def noising_errors(tensors: dict[str, Tensor]) -> dict[str, float]:
    """How far timesteps and noised clips are off."""
    clip, noise, t = tensors["x"], tensors["noise"], tensors["t"]
    return {
        "t": difference(score_timesteps(tensors["raw_t"]).expand_as(t), t),
        "noisy": difference(noised(clip, noise, t), tensors["noisy"]),
        "critic.noisy": difference(noised(clip, tensors["critic.noise"], tensors["critic.t"]), tensors["critic.noisy"]),
    }


def score_errors(judges: Scores, tensors: dict[str, Tensor]) -> dict[str, float]:
    """How far the scores and what is made of them are off."""
    clip, noisy, t = tensors["x"], tensors["noisy"], tensors["t"]
    return {
        "x0_fake": difference(judges.fake(noisy, t, judges.context), tensors["x0_fake"]),
        "x0_real_cond": difference(judges.real(noisy, t, judges.context), tensors["x0_real_cond"]),
        "x0_real_uncond": difference(judges.real(noisy, t, judges.negative), tensors["x0_real_uncond"]),
        "grad": difference(judges.gradient(clip, noisy, t), tensors["grad"]),
    }


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output."""
    judges = scores(tensors, case)
    with torch.enable_grad():
        clip = tensors["x"].clone().requires_grad_()
        loss = generator_loss(clip, tensors["noise"], tensors["t"], judges)
        loss.backward()
    critic = critic_loss(tensors["x"], tensors["critic.noise"], tensors["critic.t"], judges.fake, judges.context)
    return {
        **noising_errors(tensors),
        **score_errors(judges, tensors),
        "loss": difference(loss.detach(), tensors["loss"]),
        "x_grad": difference(clip.grad, tensors["x_grad"]),
        "critic.loss": difference(critic, tensors["critic.loss"]),
    }
