"""`neverblink train tale`: the storybook from nothing in the minutes that are given, on one device.

Whatever happens, the folder holds the best that there was time for: every stage writes a world that plays, and a stage
that fails is left out.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.model import CompactModel, shape
from world.compact.world import CompactWorld
from world.dit.device import describe, peak_gib
from world.train.learn.budget import Budget
from world.train.story.base import StoryBase, train_base
from world.train.story.form import TALE
from world.train.story.library import StoryLibrary, render_library, render_openings
from world.train.story.loss import SequenceLoss
from world.train.story.picture import StoryPicture, train_picture
from world.train.story.predict import LayerCall, run_layer
from world.train.story.principal import fit_principal
from world.train.story.reader import save_reader, train_reader
from world.train.story.sequences import SequenceSource
from world.train.story.tune import StoryTuning, tune_streams

log = logging.getLogger(__name__)
OPENINGS_END = 0.3  # of the time of the library
FORGOTTEN = 1.15  # how much larger the loss after rendered clips may be after the tuning than before
ENDS = {"library": 0.12, "base": 0.66, "tune": 0.80, "decoder": 0.945, "reader": 0.97}  # the used share of the time


@dataclass(frozen=True)
class StoryScale:
    """How much is made at once. clips: for the fit of the latents; openings, pairs: of the library, at most."""

    clips: int
    openings: int
    pairs: int
    chunk: int
    singles: int
    sequences: int
    rolled: int
    pictures: StoryPicture


GPU_SCALE = StoryScale(768, 40_000, 10_000, 64, 2048, 256, 1024, StoryPicture(0))
CPU_SCALE = StoryScale(96, 1_200, 4_000, 4, 48, 6, 24, StoryPicture(0, clips=128, chunk=4, batch=2, small=24))


@dataclass
class StoryRun:
    """One training of the storybook, stage by stage. Owns what the stages have made so far."""

    out: Path
    budget: Budget
    device: torch.device
    scale: StoryScale
    size: tuple[int, int]  # width and layers
    seed: int = 0
    start: CompactWorld | None = None  # the world to train on
    latents: LinearLatents = field(init=False)
    library: StoryLibrary = field(init=False)
    source: SequenceSource = field(init=False)
    model: CompactModel = field(init=False)
    decoder: PictureDecoder | None = None
    layer: LayerCall = run_layer
    saved: CompactModel | None = None  # what the base was when it was last written

    def minutes_until(self, stage: str) -> float:
        """The time that is left for a stage, a little of it in any case."""
        return max(0.01, self.budget.minutes * ENDS[stage] - self.budget.used_s / 60)

    def make_library(self) -> None:
        """Fit the latents and render the library."""
        stage, scale = Budget(self.minutes_until("library")), self.scale
        self.latents = self.start.decoder.linear if self.start else fit_principal(self.device, scale.clips, self.seed)
        shelf = render_openings(
            self.latents, scale.openings, 8 * scale.chunk, self.seed + 2, lambda: stage.share >= OPENINGS_END
        )
        self.library = render_library(self.latents, scale.pairs, scale.chunk, self.seed + 1, lambda: stage.share >= 1)
        self.source = SequenceSource(self.library, shelf, self.latents, self.seed)
        torch.manual_seed(self.seed)
        model = copy.deepcopy(self.start.model) if self.start else CompactModel(shape(*self.size, TALE), TALE)
        self.model = model.to(self.device).requires_grad_(True)

    def learn_base(self) -> None:
        """Train the base."""
        config = StoryBase(self.minutes_until("base"), self.scale.singles, self.scale.sequences, seed=self.seed)
        if self.start:
            config = config.further()
        model, self.layer = train_base(config, self.model, self.source, self.latents, self._save_base)
        self._take("base", model)
        self.saved = self.model

    def tune(self) -> None:
        """Tune the base on its own streams."""
        scale = self.scale
        config = StoryTuning(
            self.minutes_until("tune"), scale.singles, scale.rolled, scale.sequences, seed=self.seed + 1
        )
        tuned = tune_streams(config, copy.deepcopy(self.model), self.source, self.latents, self.layer)
        before, after = self.loss_after_clips(self.model), self.loss_after_clips(tuned)
        log.info("loss after rendered clips: base %.4f, tuned %.4f", before, after)
        if after > FORGOTTEN * before:
            log.error("tuned: it has forgotten what the base knew; going on without it")
        else:
            self._take("tuned", tuned)

    @torch.no_grad()
    def loss_after_clips(self, model: CompactModel) -> float:
        """The loss of blocks that follow rendered ones, the same for every model."""
        source = SequenceSource(self.library, self.source.shelf, self.latents, self.seed + 5)
        loss = SequenceLoss(self.latents, self.seed + 6)
        count = self.scale.sequences
        batches = [source.streams(count, 8, is_full=False), source.switches(count, 8, is_full=False)]
        return sum(float(loss(model, batch)) for batch in batches) / len(batches)

    def learn_pictures(self) -> None:
        """Train the decoder."""
        config = replace(self.scale.pictures, minutes=self.minutes_until("decoder"))
        begun = self.start.decoder if self.start else None
        self.decoder = train_picture(config, self.latents, self.model, begun)
        self.save("tale")

    def learn_to_read(self) -> None:
        """Train the recogniser of the evaluation, on rendered clips alone."""
        save_reader(self.out / "reader.safetensors", train_reader(self.library, self.minutes_until("reader")))

    def save(self, name: str) -> None:
        """Write what there is as a world that plays."""
        save_world(self.out / f"{name}.safetensors", self.model, self.latents, self.decoder)

    def can_go_on(self) -> bool:
        """Whether there is a model that is worth a decoder; a base that failed is taken as it was last written."""
        if self.saved is not None:
            self.model = self.saved
        return self.saved is not None

    def _save_base(self, model: CompactModel) -> None:
        save_world(self.out / "base.safetensors", model, self.latents, self.decoder)
        self.saved = copy.deepcopy(model)

    def _take(self, name: str, model: CompactModel) -> None:
        """Go on with a stage's model, unless it has come to nothing."""
        if not all(bool(torch.isfinite(weights).all()) for weights in model.parameters()):
            log.error("%s: weights are not finite; going on without it", name)
            return
        self.model = model.requires_grad_(True)
        self.save(name)
        self.save("tale")


def save_world(path: Path, model: CompactModel, latents: LinearLatents, decoder: PictureDecoder | None) -> None:
    """Write a world's file; without a decoder its pictures are the linear ones, enlarged."""
    world = CompactWorld(model.dit.config, TALE)
    world.model.load_state_dict(model.state_dict())
    if decoder is None:
        world.decoder.linear.load_state_dict(latents.state_dict())
    else:
        world.decoder.load_state_dict(decoder.state_dict())
    part = path.with_suffix(".part")
    world.save(part)
    part.replace(path)


def train_tale(run: StoryRun) -> bool:
    """Run all stages; False if one of them failed. Its trace is in the log, `log.txt` in the folder."""
    run.out.mkdir(parents=True, exist_ok=True)
    written = logging.FileHandler(run.out / "log.txt")
    written.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    told = logging.getLogger("world.train")
    told.setLevel(logging.INFO)
    told.addHandler(written)
    log.info("%s, torch %s, width %d, %d layers", describe(run.device), torch.__version__, *run.size)
    failed = []
    for stage in (run.make_library, run.learn_base, run.tune, run.learn_pictures, run.learn_to_read):
        try:
            stage()
        except Exception:  # what was made before must not be lost with it
            log.exception("%s failed", stage.__name__)
            failed.append(stage.__name__)
            if not run.can_go_on():
                break  # the time that is left is better spent on another try
        peak = peak_gib(run.device)
        memory = "" if peak is None else f", at most {peak:.1f} GiB"
        log.info("%s: %.0f s used of %.0f%s", stage.__name__, run.budget.used_s, 60 * run.budget.minutes, memory)
    told.removeHandler(written)
    written.close()
    return not failed
