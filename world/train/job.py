"""What `neverblink train` is asked to do. Whatever is wrong or missing is said in one line before anything starts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.compact.model import LAYERS, WIDTH, CompactModel, shape, shape_of
from world.compact.small import SMALL
from world.compact.world import CompactWorld
from world.dit.device import resolve
from world.info import MOST_PRESS, WorldError
from world.options import RULE_HELP, step_counts
from world.train.learn.checkpoint import load_checkpoint
from world.train.learn.played import AS_PLAYED, NEED_A_SESSION, PlayedRules
from world.train.story.form import TALE as TALE_FORM

# the stages of `small`, in their order; the gate is no part of it
STAGES = ("latents", "base", "teacher", "tune", "pace", "decoder", "evaluate", "package")
GATE = "gate"
TALE = "tale"
STORY = "tale.safetensors"
TALE_WIDTH, TALE_LAYERS = 256, 8
STAGE_HELP = (
    "small: every stage in turn; tale: all of the storybook;"
    " gate: whether twenty minutes of base are worth going on with"
)
LIBRARY, DECODER = "library/kinds.json", "decoder.pt"
NEEDED_FILES = {  # the files that a stage reads, each with the stage that makes it
    "base": {LIBRARY: "latents"},
    "teacher": {LIBRARY: "latents", "base.pt": "base"},
    "tune": {"base.pt": "base", "teacher.pt": "teacher"},
    "pace": {"latents.pt": "latents", "tuned.pt": "tune"},
    "decoder": {"latents.pt": "latents"},
    "evaluate": {LIBRARY: "latents", DECODER: "decoder"},
    "package": {DECODER: "decoder"},
    GATE: {LIBRARY: "latents", "base.pt": "base"},
}


@dataclass(frozen=True)
class Job:
    """What the command line asks for; `out` is the training folder."""

    out: Path
    minutes: float
    workers: int
    clips: int
    trials: int
    width: int
    layers: int
    seed: int
    device: str
    start: Path | None
    rules: PlayedRules = AS_PLAYED

    def load_linear(self) -> LinearLatents:
        """The fitted latents of this folder."""
        latents = LinearLatents(Geometry())
        latents.load_state_dict(load_checkpoint(self.out / "latents.pt"))
        return latents

    def load_model(self, stage: str) -> CompactModel:
        """The averaged model that a stage has left in this folder."""
        return CompactModel.of(load_checkpoint(self.out / f"{stage}.pt")["average"])

    @property
    def is_tale(self) -> bool:
        """Whether the folder holds a storybook."""
        return (self.out / STORY).exists()

    def finished_models(self) -> list[str]:
        """The names of the models in this folder, the best one last."""
        return [stage for stage in ("base", "tuned", "paced") if (self.out / f"{stage}.pt").exists()]

    def obstacle(self, stage: str) -> str | None:
        """Why a stage cannot run in this folder, and what to do about it; None if it can."""
        if stage == TALE or (stage == "evaluate" and self.is_tale):
            return None
        needed = NEEDED_FILES.get(stage, {})
        if stage in ("evaluate", "package") and not self.finished_models():
            needed = {"base.pt": "base"} | needed
        for file, maker in needed.items():
            if not (self.out / file).exists():
                return f"{self.out / file} is missing; run `neverblink train {maker} --out {self.out}` first"
        base = self.out / "base.pt"
        if stage not in ("small", "base") or not base.exists():
            return None
        found = shape_of(load_checkpoint(base)["average"])
        if found == shape(self.width, self.layers):
            return None
        size = f"--width {found.dim} --layers {found.num_layers}"
        return f"{base} has {size}; go on with that, or name another --out"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with status 2 and one line, as every command of neverblink does."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse_job(argv: Sequence[str], description: str | None) -> tuple[Job, str]:
    """The job and its stage. If something is wrong with them, the process ends with status 2 and one line."""
    parser = _parser(description)
    given = vars(parser.parse_args(argv))
    stage = given.pop("stage")
    width, layers = (TALE_WIDTH, TALE_LAYERS) if stage == TALE else (WIDTH, LAYERS)
    if given["start"] and (stage != TALE or given["width"] or given["layers"]):
        parser.error("--start is of `tale`, whose sizes are then those of the file: leave out --width and --layers")
    given["width"], given["layers"] = given["width"] or width, given["layers"] or layers
    try:
        shape(given["width"], given["layers"])
        if given["start"]:
            _check_start(given["start"])
        given["workers"] = given["workers"] or (2 if resolve(given["device"]).type == "cpu" else 1)
    except WorldError as error:
        parser.error(str(error))
    rules = PlayedRules(**{name: given.pop(name) for name in RULE_HELP})
    job = Job(**given, rules=rules)
    if rules.given and stage != "evaluate":
        parser.error(f"{', '.join(rules.given)}: these rules of play are for `evaluate`")
    try:
        rules.recipe(TALE_FORM if job.is_tale else SMALL)
    except WorldError as error:
        parser.error(str(error))
    if obstacle := job.obstacle(stage):
        parser.exit(2, f"{parser.prog}: {obstacle}\n")
    return job, stage


def _check_start(path: Path) -> None:
    """Raise WorldError if there is no storybook in this file."""
    if CompactWorld.load(path).form != TALE_FORM:
        raise WorldError(f"{path}: its words or sizes are not those of tale; give a file that `train tale` wrote")


def _parser(description: str | None) -> _Parser:
    parser = _Parser(prog="neverblink train", description=description)
    add = parser.add_argument
    add("stage", choices=["small", TALE, *STAGES, GATE], help=STAGE_HELP)
    add("--out", type=Path, default=Path("runs/small"), help="folder of everything made")
    add("--minutes", type=_minutes, default=90.0, help="training time, over all runs of the stage")
    add("--workers", type=_count, help="processes: of one thread each (2), or of one GPU each (1)")
    add("--clips", type=_count, default=30, help="clips rendered for each kind of motion")
    add("--trials", type=_count, default=200, help="prompts, and pairs of prompts, that evaluate marks")
    add("--width", type=_count, help=f"of the transformer that base begins with, in 64s ({WIDTH}; tale: {TALE_WIDTH})")
    add("--layers", type=_count, help=f"of the transformer that base begins with ({LAYERS}; tale: {TALE_LAYERS})")
    add("--start", type=Path, metavar="FILE", help="tale: train the world in this file on, in place of nothing")
    add("--seed", type=int, default=0)
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")
    of_evaluate = parser.add_argument_group("rules of play that evaluate marks the models under")
    kinds = {"sink": (_natural, "N"), "steps": (_steps, "N|first:N,then:N"), "carry": (_natural, "N")}
    for name, (kind, shown) in (kinds | {"press": (_press, "A")}).items():
        of_evaluate.add_argument(f"--{name}", type=kind, metavar=shown, help=RULE_HELP[name])
    for option in NEED_A_SESSION:
        add(option, nargs="?", action=_NeedsSession, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


class _NeedsSession(argparse.Action):
    """Refuses an option of play whose rule reaches beyond a stream's window."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        what = "the streams that evaluate marks are no sessions: `neverblink bench methods` takes it"
        parser.error(f"{self.option_strings[0]}: {what}")


def _steps(text: str) -> str:
    try:
        step_counts(text)
    except WorldError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 64):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 0 to 64")
    return int(text)


def _press(text: str) -> float:
    if not 0 <= (value := float(text)) <= MOST_PRESS:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to {MOST_PRESS:g}, such as 1.5")
    return value


def _minutes(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0 minutes")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return value
