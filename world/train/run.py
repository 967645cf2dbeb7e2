"""`neverblink train`: the bundled world from nothing, in stages that can each be run and resumed alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from world.compact.geometry import Geometry
from world.compact.model import shape
from world.compact.world import CompactWorld
from world.dit.device import resolve, use_threads
from world.train.data.latents import fit_latents
from world.train.data.library import Library, build_library
from world.train.job import GATE, STAGES, TALE, Job, parse_job
from world.train.judge import exam, gate
from world.train.judge.evaluate import Judge
from world.train.judge.scores import Marker
from world.train.learn.budget import Budget
from world.train.marks.exam import examine_tale
from world.train.stages.base import BaseConfig, BaseTrainer
from world.train.stages.decoder import train_decoder
from world.train.stages.pace import PaceConfig, PaceTuner
from world.train.stages.teacher import TeacherTrainer
from world.train.stages.tune import TuneConfig, Tuner
from world.train.story.run import CPU_SCALE, GPU_SCALE, StoryRun, train_tale
from world.train.workers import enter_worker, run_workers, start_log, use_device

# of the minutes of `small`
MINUTES_SHARES = {"base": 0.5, "teacher": 0.1, "tune": 0.25, "pace": 0.06, "decoder": 0.09}


def _run_latents(job: Job) -> None:
    """Fit the latents, and render the library of clips in them."""
    use_device(job, job.workers)
    latents = fit_latents(Geometry(), seed=job.seed)
    job.out.mkdir(parents=True, exist_ok=True)
    torch.save(latents.state_dict(), job.out / "latents.pt")
    build_library(job.out / "library", latents, per_kind=job.clips, blocks=16, seed=job.seed)


def _run_base(job: Job) -> None:
    """Train the transformer and the text encoder."""
    run_workers(_base_worker, job)


def _base_worker(rank: int, job: Job) -> None:
    enter_worker(rank, job)
    config = BaseConfig(job.minutes, job.workers, job.width, job.layers, seed=job.seed)
    BaseTrainer(config, Library(job.out / "library"), job.load_linear(), job.out / "base.pt", rank).train()


def _run_teacher(job: Job) -> None:
    """Train the teacher of whole clips, starting from the base."""
    run_workers(_teacher_worker, job)


def _teacher_worker(rank: int, job: Job) -> None:
    enter_worker(rank, job)
    # the base is trained already: a gentler rate, and batches that fill a core
    config = BaseConfig(job.minutes, job.workers, streams=16, matrix_rate=6e-3, other_rate=1e-3, seed=job.seed)
    library, base = Library(job.out / "library"), job.out / "base.pt"
    TeacherTrainer(config, library, job.load_linear(), job.out / "teacher.pt", base, rank).train()


def _run_tune(job: Job) -> None:
    """Tune the base on long streams, with teacher and critic."""
    run_workers(_tune_worker, job)


def _tune_worker(rank: int, job: Job) -> None:
    enter_worker(rank, job)
    base, teacher = job.load_model("base"), job.load_model("teacher")
    config = TuneConfig(job.minutes, job.workers, seed=job.seed)
    Tuner(config, job.load_linear(), base, teacher, job.out / "tuned.pt", rank).train()


def _run_pace(job: Job) -> None:
    """Train the motion of the tuned model."""
    run_workers(_pace_worker, job)


def _pace_worker(rank: int, job: Job) -> None:
    enter_worker(rank, job)
    config = PaceConfig(job.minutes, job.workers, seed=job.seed)
    PaceTuner(config, job.load_linear(), job.load_model("tuned"), job.out / "paced.pt", rank).train()


def _run_decoder(job: Job) -> None:
    """Train the picture decoder."""
    use_device(job, job.workers)
    train_decoder(job.load_linear(), job.out / "decoder.pt", job.minutes, job.seed)


def _run_tale(job: Job) -> None:
    """Train the storybook, all of it."""
    device = resolve(job.device)
    if device.type == "cpu":
        use_threads(1)
    scale = CPU_SCALE if device.type == "cpu" else GPU_SCALE
    start = None if job.start is None else CompactWorld.load(job.start).to(device)
    config = shape(job.width, job.layers) if start is None else start.model.dit.config
    size = config.dim, config.num_layers
    if not train_tale(StoryRun(job.out, Budget(job.minutes), device, scale, size, job.seed, start)):
        sys.exit(f"neverblink train: a stage failed; see {job.out / 'log.txt'}")


def _run_evaluate(job: Job) -> None:
    """Print tables and write contact sheets of every model there is, in the denoising steps of play."""
    if job.is_tale:
        examine_tale(job.out, resolve(job.device), job.trials, job.seed, job.rules)
        return
    use_device(job, job.workers)
    latents, library = job.load_linear(), Library(job.out / "library")
    recogniser = exam.folder_recogniser(job.out, library, latents, job.seed)
    for name in job.finished_models():
        world = exam.assemble_world(job.out, name)
        marker = Marker(world.decoder, recogniser)
        judge = Judge(world.model, marker, job.rules.recipe(world.form))
        reference = exam.rendered_reference(marker, latents, job.trials, job.seed + 5)
        exam.write_sheets(judge, job.out, name)
        exam.publish({"clips": reference} | exam.examine(judge, job.trials), job.out, name, job.rules)


def _run_gate(job: Job) -> None:
    """Check whether a short run of the base is good enough for a long one to be worth its time."""
    use_device(job, job.workers)
    latents, library = job.load_linear(), Library(job.out / "library")
    marker = gate.linear_marker(latents, exam.folder_recogniser(job.out, library, latents, job.seed))
    judge = Judge(job.load_model("base"), marker, gate.GATE_RECIPE)
    missed = gate.print_criteria(gate.criteria(judge.early(job.trials)))
    if missed:
        sys.exit(f"neverblink train: short of the goal in {'; '.join(missed)}: change the recipe before a long run")


def _run_package(job: Job) -> None:
    """Write the file that the package carries: the paced model, or the newest one before it."""
    exam.assemble_world(job.out, job.finished_models()[-1]).save(job.out / "small.safetensors")


STAGE_FUNCTIONS: dict[str, Callable[[Job], None]] = {
    "latents": _run_latents,
    "base": _run_base,
    "teacher": _run_teacher,
    "tune": _run_tune,
    "pace": _run_pace,
    "decoder": _run_decoder,
    "evaluate": _run_evaluate,
    "package": _run_package,
    GATE: _run_gate,
    TALE: _run_tale,
}


def main(argv: Sequence[str]) -> int:
    """Run one stage, or with `small` all of them; gives the exit status."""
    job, stage = parse_job(argv, __doc__)
    start_log()
    for name in STAGES if stage == "small" else [stage]:
        minutes = job.minutes * MINUTES_SHARES.get(name, 1) if stage == "small" else job.minutes
        STAGE_FUNCTIONS[name](replace(job, minutes=minutes))
    return 0
