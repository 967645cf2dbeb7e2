"""`neverblink train`: the bundled world from nothing, in stages that can each be run and resumed alone."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.multiprocessing as mp

from world.dit.device import resolve
from world.small.decoder import Geometry
from world.small.packed import write
from world.train import exam, gate, library
from world.train.base import BaseConfig, Trainer, join_workers
from world.train.decoder import train_decoder
from world.train.evaluate import Judge
from world.train.job import GATE, STAGES, Job, parse
from world.train.latents import fit
from world.train.pace import PaceConfig, PaceTuner
from world.train.rollout import Recipe
from world.train.scores import Marker
from world.train.teacher import TeacherTrainer
from world.train.tune import TuneConfig, Tuner

SHARES = {
    "base": 0.5,
    "teacher": 0.1,
    "tune": 0.25,
    "pace": 0.06,
    "decoder": 0.09,
}  # of the minutes of `small`


def fit_latents(job: Job) -> None:
    """Principal components, and the library of fields in them."""
    _settle(job, job.workers)
    latents = fit(Geometry(), seed=job.seed)
    job.out.mkdir(parents=True, exist_ok=True)
    torch.save(latents.state_dict(), job.out / "latents.pt")
    library.build(job.out / "library", latents, per_kind=job.clips, blocks=16, seed=job.seed)


def train_base(job: Job) -> None:
    """The transformer and the text encoder, in `workers` processes of one thread."""
    _spawn(_base_worker, job)


def train_teacher(job: Job) -> None:
    """The judge of whole clips, from the base on."""
    _spawn(_teacher_worker, job)


def _teacher_worker(rank: int, job: Job) -> None:
    _enter(rank, job)
    # the base is trained already: a gentler rate, and batches that fill a core
    config = BaseConfig(job.minutes, job.workers, streams=16, matrix_rate=6e-3, other_rate=1e-3, seed=job.seed)
    shelves, base = library.Library(job.out / "library"), job.out / "base.pt"
    TeacherTrainer(config, shelves, job.load_linear(), job.out / "teacher.pt", base, rank).train()


def _base_worker(rank: int, job: Job) -> None:
    _enter(rank, job)
    config = BaseConfig(job.minutes, job.workers, job.width, job.layers, seed=job.seed)
    Trainer(config, library.Library(job.out / "library"), job.load_linear(), job.out / "base.pt", rank).train()


def _spawn(work: Callable[[int, Job], None], job: Job) -> None:
    if "WORLD_SIZE" in os.environ:  # torchrun has started the workers
        work(int(os.environ["RANK"]), replace(job, workers=int(os.environ["WORLD_SIZE"])))
        return
    (job.out / "meeting").unlink(missing_ok=True)
    if job.workers == 1:
        work(0, job)
    else:
        _spawn_here(work, job)


def _spawn_here(work: Callable[[int, Job], None], job: Job) -> None:
    # a plain kill must end the workers too: daemons end with an interpreter that exits, not with one that dies
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        mp.spawn(work, (job,), nprocs=job.workers, daemon=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _enter(rank: int, job: Job) -> None:
    _log_plainly()
    _settle(job, 1, rank)
    join_workers(rank, job.workers, job.out / "meeting")


def _settle(job: Job, threads: int, rank: int = 0) -> None:
    """Work on the device that the job names; each worker has a GPU of its own."""
    torch.set_num_threads(threads)
    device = resolve(job.device)
    if device.type != "cpu":
        torch.set_default_device(torch.device(device.type, int(os.environ.get("LOCAL_RANK", rank))))


def train_pictures(job: Job) -> None:
    """The picture decoder."""
    _settle(job, job.workers)
    train_decoder(job.load_linear(), job.out / "decoder.pt", job.minutes, job.seed)


def train_streams(job: Job) -> None:
    """Streaming long tuning of the base, by teacher and critic."""
    _spawn(_tune_worker, job)


def _tune_worker(rank: int, job: Job) -> None:
    _enter(rank, job)
    base, teacher = job.load_model("base"), job.load_model("teacher")
    config = TuneConfig(job.minutes, job.workers, seed=job.seed)
    Tuner(config, job.load_linear(), base, teacher, job.out / "tuned.pt", rank).train()


def train_pace(job: Job) -> None:
    """The tuned model's motion."""
    _spawn(_pace_worker, job)


def _pace_worker(rank: int, job: Job) -> None:
    _enter(rank, job)
    config = PaceConfig(job.minutes, job.workers, seed=job.seed)
    PaceTuner(config, job.load_linear(), job.load_model("tuned"), job.out / "paced.pt", rank).train()


def judge(job: Job) -> None:
    """Tables and contact sheets of every model there is: base, tuned and paced, in the steps of play."""
    _settle(job, job.workers)
    latents, clips = job.load_linear(), library.Library(job.out / "library")
    recogniser = exam.recogniser_of(job.out, clips, latents, job.seed)
    for stage in job.made():
        world = exam.assemble(job.out, stage)
        marker = Marker(world.decoder, recogniser)
        examiner = Judge(world.model, marker, Recipe())
        reference = exam.rendered(marker, latents, job.trials, job.seed + 5)
        exam.sheets(examiner, job.out, stage)
        exam.publish({"clips": reference} | exam.examine(examiner, job.trials), job.out, stage)


def try_gate(job: Job) -> None:
    """Whether a short run of the base is good enough for a long one to be worth its time."""
    _settle(job, job.workers)
    latents, clips = job.load_linear(), library.Library(job.out / "library")
    marker = gate.marker_of(latents, exam.recogniser_of(job.out, clips, latents, job.seed))
    short = gate.show(gate.hurdles(Judge(job.load_model("base"), marker, gate.PLAIN).early(job.trials)))
    if short:
        sys.exit(f"neverblink train: short of the goal in {'; '.join(short)}: change the recipe before a long run")


def bundle(job: Job) -> None:
    """The file that the package carries: the paced model, or the newest before it."""
    write(job.out / "small.safetensors", exam.assemble(job.out, job.made()[-1]).state_dict())


WORK: dict[str, Callable[[Job], None]] = {
    "latents": fit_latents,
    "base": train_base,
    "teacher": train_teacher,
    "tune": train_streams,
    "pace": train_pace,
    "decoder": train_pictures,
    "evaluate": judge,
    "package": bundle,
    GATE: try_gate,
}


def main(argv: Sequence[str]) -> int:
    """Run one stage, or with `small` all of them; gives the exit status."""
    job, stage = parse(argv, __doc__)
    _log_plainly()
    for name in STAGES if stage == "small" else [stage]:
        minutes = job.minutes * SHARES.get(name, 1) if stage == "small" else job.minutes
        WORK[name](replace(job, minutes=minutes))
    return 0


def _log_plainly() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
