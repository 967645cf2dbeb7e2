"""`neverblink play`: the composition root. The only place that knows both the window and the model."""

from __future__ import annotations

import logging
import signal
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from input.script import Script, read_script
from loop.cli.options import UsageError, drawn_seed, world_options
from loop.controls import ShowControls
from loop.engine import Engine, Parts
from loop.output.outputs import Outputs
from loop.output.recordings import Recordings
from loop.output.trace import Trace
from loop.screen.photodiode import PhotodiodePatch
from loop.screen.screen import Headless, Screen
from loop.supervise.live_model import LiveModel
from loop.supervise.model import Model, StreamOptions
from loop.supervise.supervisor import ModelProcess
from loop.timing import gc_freeze
from loop.timing.clock import Clock, MonotonicClock

log = logging.getLogger(__name__)


def play(options: Namespace) -> int:
    """A show from the first tick to the last; the exit status. Raises UsageError and its kin for a user's mistake."""
    world = world_options(options)
    script = Script(read_script(options.script)) if options.script else None
    stream = StreamOptions(
        world, drawn_seed(options), options.prompt, options.reserve, options.switch, options.transition
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a terminated show closes its files too
    model = LiveModel(stream, ModelProcess)  # first, so that the world opens while the window does
    try:
        return show(options, model, script)
    finally:
        model.close()


def show(options: Namespace, model: Model, script: Script | None) -> int:
    """Play this model on the screen of the options, until the show ends; the exit status."""
    clock = MonotonicClock()
    screen, overlay = _screen(options, clock)
    can_record = options.record or not options.headless  # without a window, nobody can ask for a recording later
    recordings = Recordings(options.record, options.record_size) if can_record else None
    outputs = Outputs(Trace(options.trace), recordings, clock.now_ns)
    controls = ShowControls(screen, script, model, recordings)
    patch = PhotodiodePatch() if options.patch else None
    engine = Engine(Parts(screen, model, controls, outputs, overlay, clock, patch), options.seconds)
    gc_freeze.freeze()
    try:
        engine.run()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        screen.close()
        outputs.close()
    return _verdict(engine, options)


def _screen(options: Namespace, clock: Clock) -> tuple[Screen, Callable[[Engine], Sequence[Any]]]:
    """The screen, and what is drawn over its pictures. Without a window, pygame is not imported."""
    if options.headless:
        return Headless(), lambda engine: ()
    from loop.panels import Panels
    from loop.screen.window import Window, WindowOptions

    window = Window(WindowOptions(options.size, options.fullscreen, options.display, fit=options.fit))
    return window, Panels(window, clock).marks


def _verdict(engine: Engine, options: Namespace) -> int:
    """Say how it went; raises UsageError where the world could not be opened as asked."""
    fault = engine.model.fault
    if fault and fault.usage:
        raise UsageError(fault.what)
    recordings = engine.out.recordings
    for line in recordings.report() if recordings else ():
        print(line)
    counts = f"{engine.repeats} repeats, {engine.skipped} skipped, {engine.ticks.late} late ticks"
    print(f"shown {engine.shown} frames, {counts}")
    if fault:
        log.error("the model could not run: %s", fault.what)
    lost = recordings.errors if recordings else []
    for error in lost:
        log.error("%s", error)
    return 1 if fault or lost else 0
