"""Everything that a performer plays with, put together."""

from __future__ import annotations

import logging
from argparse import Namespace
from dataclasses import dataclass
from typing import Any, Protocol

from input.link import LinkError, LinkSession
from input.mapper import Mapper
from input.midi.ports import MidiError, MidiPorts
from input.osc import OscError, OscServer
from input.set_list import SetList
from input.sound.audio import AudioError, AudioIn
from loop.stage.desk import CueDesk
from loop.stage.instruments import Instruments
from loop.supervise.model import Model

log = logging.getLogger(__name__)


class Audience(Protocol):
    """An instrument (see Instruments) whose words wait until somebody lets them in. text: a line on those that wait."""

    @property
    def text(self) -> str: ...

    def decide(self, let_in: bool) -> None:
        """Let the oldest words in, or refuse them."""


@dataclass(frozen=True)
class OnStage:
    """The cue desk, what is plugged in, what its controls do, and the audience's page if there is one."""

    desk: CueDesk
    instruments: Instruments
    mapper: Mapper
    audience: Audience | None = None

    @classmethod
    def empty(cls, model: Model) -> OnStage:
        """Nothing but a cue desk without cues."""
        return cls(CueDesk(model), Instruments(), Mapper())


@dataclass(frozen=True)
class StageFiles:
    """The files of a performer, read: what is wrong in them is told before anything starts."""

    set_list: SetList | None
    mapper: Mapper

    @classmethod
    def read(cls, options: Namespace) -> StageFiles:
        """Raises CueError and MappingError."""
        return cls(SetList(options.set_list) if options.set_list else None, Mapper(options.map))


def put_on_stage(options: Namespace, files: StageFiles, model: Model, audience: Audience | None = None) -> OnStage:
    """Put the stage together. An instrument that cannot be had is told, and the show goes on without it."""
    desk = CueDesk(model, files.set_list, options.quantise, options.bpm)
    sources: list[Any] = [audience] if audience else []
    for is_asked, open_source in (
        (options.osc, lambda: OscServer(*options.osc)),
        (options.midi, lambda: MidiPorts(options.midi, has_lamps=bool(files.mapper.lights))),
        (options.audio, lambda: AudioIn(options.audio)),
        (options.link, LinkSession),
    ):
        if is_asked:
            try:
                sources.append(open_source())
            except (OscError, MidiError, AudioError, LinkError) as error:
                log.warning("%s; the show goes on without it", error)
    return OnStage(desk, Instruments(sources), files.mapper, audience)
