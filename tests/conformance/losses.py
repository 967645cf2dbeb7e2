"""Kind `dmd_loss`: both scores, the generator's loss with its gradient, and the critic's loss on one clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import differences, grid
from world.dit.attend import Dense
from world.dit.config import DiTConfig
from world.dit.dit import CausalDiT
from world.train.learn.losses import (
    ScoreModel,
    Scores,
    critic_loss,
    fake_flow,
    generator_loss,
    noised,
    score_timesteps,
    x0_score,
)


def score(role: str, tensors: dict[str, Tensor], case: dict[str, Any]) -> ScoreModel:
    """The case's bidirectional model `role` ("fake" or "real") as a score."""
    sizes = {name: size for name, size in case["config"].items() if name in DiTConfig.__dataclass_fields__}
    dit = CausalDiT(DiTConfig(**sizes))
    prefix = f"{role}."
    dit.load_state_dict({name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)})
    dit.to(tensors["x"].device)

    def flow(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        attend = Dense(grid(noisy), range(noisy.shape[1]), dit.config.head_dim, device=noisy.device)
        return dit(noisy, t, dit.words(context), attend)

    return x0_score(flow, case["config"].get("score_shift", 8.0))


def recorded(tensors: dict[str, Tensor]) -> ScoreModel:
    """The real score's answers on the case's clip, for a copy of the case that leaves out its weights."""

    def real(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        return tensors["x0_real_uncond" if torch.equal(context, tensors["uncond"]) else "x0_real_cond"]

    return real


def is_recorded(tensors: dict[str, Tensor]) -> bool:
    """Whether the case has the real score's answers and not its weights."""
    return not any(name.startswith("real.") for name in tensors)


def scores(tensors: dict[str, Tensor], case: dict[str, Any]) -> Scores:
    """Both of the case's scores with its prompts."""
    real = recorded(tensors) if is_recorded(tensors) else score("real", tensors, case)
    sizes, fake = case["config"], score("fake", tensors, case)
    told = tensors["context"], tensors["uncond"]
    return Scores(fake, real, *told, sizes.get("guidance", 3.0), sizes.get("shift", 5.0))


def supervised(tensors: dict[str, Tensor], case: dict[str, Any]) -> Tensor | None:
    """The case's mask, bool like its clip: a tensor of its own, or all frames from one on; None for no mask."""
    clip, since = tensors["x"], case["config"].get("mask_from")
    given = next((tensors[name] for name in ("gradient_mask", "mask") if name in tensors), None)
    if given is not None:
        return given.reshape(*given.shape, *[1] * (clip.ndim - given.ndim)).bool().expand_as(clip)
    if since is None:
        return None
    return (torch.arange(clip.shape[1], device=clip.device) >= since).view(1, -1, 1, 1, 1).expand_as(clip)


def noising(tensors: dict[str, Tensor], shift: float) -> dict[str, Tensor]:
    """Timesteps and noised clips."""
    ours = {"noisy": noised(tensors["x"], tensors["noise"], tensors["t"], shift)}
    if "raw_t" in tensors:
        drawn = tensors["raw_t"].view(len(tensors["t"]), -1)
        ours["t"] = score_timesteps(drawn, shift).expand_as(tensors["t"])
    return ours


def judged(judges: Scores, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The scores' answers and what is made of them."""
    clip, noisy, t = tensors["x"], tensors["noisy"], tensors["t"]
    made = {"x0_fake": judges.fake(noisy, t, judges.context), "grad": judges.gradient(clip, noisy, t)}
    if not is_recorded(tensors):
        made["x0_real_cond"] = judges.real(noisy, t, judges.context)
        made["x0_real_uncond"] = judges.real(noisy, t, judges.negative)
    return made


def generated(judges: Scores, tensors: dict[str, Tensor], mask: Tensor | None) -> dict[str, Tensor]:
    """The generator's loss and its gradient."""
    with torch.enable_grad():
        clip = tensors["x"].clone().requires_grad_()
        loss = generator_loss(clip, tensors["noise"], tensors["t"], judges, mask)
        loss.backward()
    return {"loss": loss.detach(), "x_grad": clip.grad}


def criticised(judges: Scores, tensors: dict[str, Tensor], mask: Tensor | None) -> dict[str, Tensor]:
    """The critic's loss and what it is made of; the flow in the reference's shape, frames flattened."""
    noise, t = tensors["critic.noise"], tensors["critic.t"]
    noisy = noised(tensors["x"], noise, t, judges.shift)
    x0 = judges.fake(noisy, t, judges.context)
    flow = fake_flow(noisy, x0, t, judges.shift)
    flat = tensors["critic.flow"].ndim < flow.ndim if "critic.flow" in tensors else False
    return {
        "critic.noisy": noisy,
        "critic.x0": x0,
        "critic.flow": flow.flatten(0, 1) if flat else flow,
        "critic.loss": critic_loss(tensors["x"], noise, t, judges, mask),
    }


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output that the case has."""
    judges, mask = scores(tensors, case), supervised(tensors, case)
    ours = {**noising(tensors, judges.shift), **judged(judges, tensors), **generated(judges, tensors, mask)}
    if "critic.noise" in tensors:
        ours |= criticised(judges, tensors, mask)
    if "loss" in tensors:
        ours["loss"] = ours["loss"].view_as(tensors["loss"])
    return differences(ours, tensors)
