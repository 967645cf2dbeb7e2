"""Each family of checkpoints as a tiny random folder under its published names, and the loop of its own repository.

`python -m tests.trials.families` prints the table of docs/worlds.md: how far the engine's stream is from that loop.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from tests.wan.literal_family import Film, Loop
from tests.wan.wan_folder import LONGLIVE, Sizes, lora, transformer, write_folder
from world.dit.config import DiTConfig
from world.dit.dit import CausalDiT
from world.event import Prompt
from world.options import WorldOptions
from world.wan.family.facts import told_memory, told_steps
from world.wan.family.recognise import recognise
from world.zoo import open_options

SIZES = Sizes()
BLOCKS, SWITCH_AT, SEED = 12, 7, 3
QUARTERS = [1000.0, 750.0, 500.0, 250.0]
OTHER = 9  # the seed of weights that must not be played

Write = Callable[[Path], None]


def weights(seed: int = 2, prefix: str = "model.") -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in transformer(SIZES, seed).items()}


def saved(name: str, said: str = "", **content) -> Write:
    """A folder's weights, by name, with what else the published file holds, and its world.toml."""

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (save_file if path.suffix == ".safetensors" else torch.save)(content.get("bare", content), path)
        if said:
            (folder / "world.toml").write_text(said)

    return write


def both(played: str) -> dict[str, dict[str, torch.Tensor]]:
    """A file of training: the weights, their average and the critic; only `played` is to be played."""
    others = {name: weights(OTHER, "model._fsdp_wrapped_module.") for name in ("generator", "generator_ema", "critic")}
    return others | {played: weights(prefix="model._fsdp_wrapped_module.")}


def with_lora(write: Write, name: str) -> Write:
    def write_both(folder: Path) -> None:
        write(folder)
        torch.save({"generator_lora": lora(SIZES)}, folder / name)

    return write_both


@dataclass(frozen=True)
class Case:
    """A family's folder as it is published, and the loop of its repository."""

    write: Write
    loop: Loop
    has_lora: bool = False


WHOLE, FRAMES = Loop(QUARTERS, 21, 0, 3), Loop(QUARTERS, 21, 0, 1)
CASES = {
    "longlive": Case(
        with_lora(saved("longlive_models/models/longlive_base.pt", generator=weights()), LONGLIVE / "lora.pt"),
        Loop(QUARTERS, 12, 3, 3),
        has_lora=True,
    ),
    "self-forcing": Case(saved("checkpoints/self_forcing_dmd.pt", **both("generator_ema")), WHOLE),
    "infinity-rope": Case(
        saved("checkpoints/ema_model.pt", **both("generator_ema")), Loop(QUARTERS, 6, 1, 3, flush=True)
    ),
    "deep-sink": Case(
        saved("checkpoints/self_forcing_sid.pt", "family = 'deep-sink'\nweights = 'checkpoints/self_forcing_sid.pt'",
              **both("generator_ema")),
        Loop(QUARTERS, 21, 10, 3),
    ),
    "causal-forcing": Case(saved("checkpoints/chunkwise/causal_forcing.pt", **both("generator")), WHOLE),
    "causal-forcing-framewise": Case(saved("framewise/causal_forcing.pt", **both("generator_ema")), FRAMES),
    "causal-forcing-2step": Case(
        saved("checkpoints/causal-forcing++/framewise-2step.pt", **both("generator_ema")),
        replace(FRAMES, steps=[1000.0, 500.0], first_steps=QUARTERS),
    ),
    "causal-forcing-1step": Case(
        saved("checkpoints/causal-forcing++/framewise-1step.pt", **both("generator_ema")),
        replace(FRAMES, steps=[1000.0], first_steps=QUARTERS),
    ),
    "reward-forcing": Case(saved("rewardforcing.pt", bare=weights()), Loop(QUARTERS, 9, 3, 3, average=0.999)),
    "memflow": Case(
        with_lora(saved("base.pt", "family = 'memflow'", generator=weights()), Path("lora.pt")),
        Loop(QUARTERS, 12, 3, 3),
        has_lora=True,
    ),
    "anchor-forcing": Case(
        with_lora(saved("base.pt", "family = 'anchor-forcing'\nweights = 'base.pt'\nlora = 'final.pt'",
                        generator=weights()), Path("final.pt")),
        Loop(QUARTERS, 12, 3, 3, positions="21"),
        has_lora=True,
    ),
    "causvid": Case(
        saved("autoregressive_checkpoint/model.pt", generator=weights()),
        replace(WHOLE, steps=[1000.0, 757.0, 522.0], shift=8.0, warp=False),
    ),
    "causvid-4step": Case(
        saved("autoregressive_checkpoint_warp_4step_cfg2/model.pt", generator=weights()), replace(WHOLE, shift=8.0)
    ),
    "streamdiffusion-v2": Case(
        saved("wan_causal_dmd_v2v/model.pt", generator=weights(prefix="")),
        replace(WHOLE, shift=8.0, warp=False, clean=False),
    ),
    "krea": Case(saved("krea-realtime-video-14b.safetensors", bare=weights()), Loop(QUARTERS, 6, 0, 3)),
}  # fmt: skip


def write_wan(folder: Path) -> Path:
    """A folder of Wan's own files, its undistilled weights among them, without those of any family."""
    write_folder(folder)
    for name in ("longlive_base.pt", "lora.pt"):
        (folder / LONGLIVE / name).unlink()
    return folder


def opened(folder: Path, **options):
    """The folder's world, its latents stored as they are."""
    world = open_options(WorldOptions(str(folder), device="cpu", picture=(16, 16), decoder="taehv", **options))
    return replace(world, config=replace(world.config, latents=replace(world.config.latents, stored="float32")))


def reference(has_lora: bool) -> CausalDiT:
    """The transformer of the weights that are to be played, loaded by hand."""
    tensors = transformer(SIZES, 2)
    if has_lora:
        parts = lora(SIZES)
        for name in {name.removesuffix(".lora_A.weight") for name in parts if name.endswith(".lora_A.weight")}:
            added = parts[f"{name}.lora_B.weight"] @ parts[f"{name}.lora_A.weight"]
            tensors[f"{name.removeprefix('base_model.model.')}.weight"] += added
    sizes = DiTConfig(SIZES.dim, SIZES.ffn, SIZES.freq, SIZES.text, 512, 16, 16, SIZES.heads, SIZES.layers)
    dit = CausalDiT(sizes)
    dit.load_state_dict(tensors)
    return dit.eval()


def difference(folder: Path, case: Case) -> float:
    """The largest difference of 12 blocks with a switch: the engine's stream, and the literal loop."""
    world = opened(folder)
    session = world.session(SEED, "a red fox")
    ours = [session.step([Prompt("rain falls")] if n == SWITCH_AT else []).latents for n in range(BLOCKS)]
    words = {0: world.encode("a red fox").embedding, SWITCH_AT: world.encode("rain falls").embedding}
    theirs = Film(reference(case.has_lora), case.loop, (16, 2, 2)).make(words, BLOCKS, SEED)
    return float(np.abs(np.concatenate(ours, 1) - theirs.numpy()).max())


def main() -> None:
    """Print a row for each family."""
    torch.set_num_threads(1)
    print("| family | opened by | steps | memory | within |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        wan = write_wan(Path(place) / "wan")
        for name, case in CASES.items():
            folder = Path(shutil.copytree(wan, Path(place) / name))
            case.write(folder)
            plan = recognise(folder)
            opened_by = f"{plan.weights.relative_to(folder).as_posix()}, {plan.entry}"
            steps, memory = told_steps(plan.sampler), told_memory(plan.cache)
            print(f"| {name} | {opened_by} | {steps} | {memory} | {difference(folder, case):.0e} |", flush=True)


if __name__ == "__main__":
    main()
