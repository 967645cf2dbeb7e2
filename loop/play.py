"""`neverblink play`: the composition root. The only place that knows both the window and the model."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing import resource_tracker
from typing import Any

from input.script import Script, read_script
from loop.archive.writer import SessionWriter
from loop.cli.session_options import state_folder
from loop.cli.signals import end_with_stdin, sheltered, tell
from loop.cli.usage import UsageError
from loop.cli.world_options import drawn_seed, world_options
from loop.controls import ShowControls
from loop.engine import Engine, Parts
from loop.output.outputs import Outputs
from loop.output.recordings import Recordings
from loop.output.trace import Trace
from loop.peer.peers import Peers
from loop.saving import go_on, new_archive
from loop.screen.display import WindowOptions
from loop.screen.photodiode import PhotodiodePatch
from loop.screen.screen import Headless, Screen
from loop.stage.stage import OnStage, StageFiles, put_on_stage
from loop.supervise.live_model import LiveModel
from loop.supervise.model import Model, StreamOptions
from loop.supervise.supervisor import ModelProcess
from loop.timing import gc_freeze
from loop.timing.clock import Clock, MonotonicClock
from loop.web.facts import show_facts
from loop.web.phones import Phones
from world.options import WorldOptions

log = logging.getLogger(__name__)


def play(options: Namespace) -> int:
    """A show from the first tick to the last; the exit status. Raises UsageError and its kin for a user's mistake."""
    script = Script(read_script(options.script)) if options.script else None
    files = StageFiles.read(options)
    stream, archive = go_on(options) if options.resume or options.at else _new_stream(options)
    # first, so that the world opens while the window does
    model, peers = _model(options, stream)
    try:
        return show(options, model, script, archive, files, peers)
    finally:
        if peers:
            peers.close()
        model.close()


def _model(options: Namespace, stream: StreamOptions) -> tuple[LiveModel, Peers | None]:
    """The show's model, and its peers if it has any; without them nothing of the network is imported."""
    clock = MonotonicClock()
    if not (options.host or options.join or options.web):
        return LiveModel(stream, _start_model_process, clock), None
    from loop.peer.connect import connected

    return connected(options, stream, _start_model_process, clock)


def _new_stream(options: Namespace) -> tuple[StreamOptions, SessionWriter | None]:
    """A stream from its beginning, and the writer of its session; a guest's blocks are the host's to save."""
    seed = 0 if options.join else drawn_seed(options)
    setting = (options.prompt, options.reserve, options.switch, options.transition, options.spare)
    stream = StreamOptions(world_options(options), seed, *setting, memory=options.memory, brakes=options.brake)
    return stream, None if options.join else new_archive(options)


def _start_model_process(options: WorldOptions) -> ModelProcess:
    with sheltered():
        resource_tracker.ensure_running()  # started by itself, as it lets Ctrl+C through to what is started with it
    with sheltered():
        return ModelProcess(options)


def show(
    options: Namespace,
    model: Model,
    script: Script | None,
    archive: SessionWriter | None = None,
    files: StageFiles | None = None,
    peers: Peers | None = None,
) -> int:
    """Play this model on the screen of the options, and save it, until the show ends; the exit status."""
    if options.end_with_stdin:
        end_with_stdin()
    clock = MonotonicClock()
    can_record = options.record or not options.headless  # without a window, nobody can ask for a recording later
    recordings = Recordings(options.record, options.record_size, options.overwrite) if can_record else None
    phones = _phones(options, peers) if options.web else None
    outputs = Outputs(Trace(options.trace, options.overwrite), recordings, clock.now_ns, archive, phones)
    with ExitStack() as closing:
        closing.callback(outputs.close)
        screen, overlay = _screen(options, clock)
        closing.callback(screen.close)
        stage = put_on_stage(options, files, model, phones) if files else OnStage.empty(model)
        closing.callback(stage.instruments.close)
        if recordings:
            recordings.tap = stage.instruments.tap
        controls = ShowControls(screen, script, model, recordings, stage)
        if phones:
            phones.facts = lambda: show_facts(controls, model)
        patch = PhotodiodePatch() if options.patch else None
        engine = Engine(Parts(screen, model, controls, outputs, overlay, clock, patch, peers), options.seconds)
        gc_freeze.freeze()
        try:
            engine.run()
        finally:  # also at a signal
            closing.close()
            _tell_result(engine)
    return _status(engine)


def _phones(options: Namespace, peers: Peers | None) -> Phones:
    """The page for phones, whose players are guests of this show."""
    from loop.peer.hosting import Hosting
    from loop.web.opening import open_page
    from net.transport import DEFAULT_ADDRESS, parse_place

    assert isinstance(peers, Hosting), "who serves a page is a host (loop.peer.connect)"
    address = parse_place(options.host, DEFAULT_ADDRESS)[0] if options.host else DEFAULT_ADDRESS
    phones, told = open_page(options, (address, peers.port), peers.own_key, sheltered)
    tell(told)
    return phones


def _screen(options: Namespace, clock: Clock) -> tuple[Screen, Callable[[Engine], Sequence[Any]]]:
    """The screen, and what is drawn over its pictures. Without a window, pygame is not imported."""
    if options.headless:
        return Headless(), lambda engine: ()
    from loop.panels import Panels
    from loop.screen.window import Window
    from loop.terminal import TerminalPanels

    window = Window(_window_options(options))
    panels = Panels(window, clock)
    return window, TerminalPanels(panels).marks if options.clean else panels.marks


def _window_options(options: Namespace) -> WindowOptions:
    """With a programme the operator's window is on another display, if there is one; with --clean there is none."""
    display, programme, is_full = options.display, options.programme, options.fullscreen
    corners = options.projector or (None if programme is None else state_folder() / "projector.toml")
    if programme is not None and options.clean:
        display, programme, is_full = programme, None, True
    if display is None:
        display = 1 if programme == 0 and len(_display_sizes()) > 1 else 0
    return WindowOptions(options.size, is_full, display, "neverblink", options.fit, options.gamepad, programme, corners)


def _display_sizes() -> list[tuple[int, int]]:
    from loop.screen.opening import displays

    return displays()


def _tell_result(engine: Engine) -> None:
    """Name the files of a show that has ended, and say how smoothly it went."""
    for line in engine.out.report():
        tell(line)
    if engine.shown:
        counts = f"{engine.repeats} repeats, {engine.skipped} skipped, {engine.ticks.late} late ticks"
        still = f"longest still picture {engine.longest_still_s:.2f} s"
        tell(f"shown {engine.shown} frames, {counts}, {still}")
    if summary := engine.controls.desk.launches.summary():
        tell(f"launches on the beat: {summary}")
    for trouble in engine.out.troubles:
        log.error("%s", trouble)


def _status(engine: Engine) -> int:
    """The exit status of a show; raises UsageError where the world could not be opened as asked."""
    fault = engine.model.fault
    if fault and fault.usage:
        raise UsageError(fault.what)
    if fault:
        log.error("the model could not run: %s", fault.what)
    return 1 if fault or engine.out.troubles else 0
