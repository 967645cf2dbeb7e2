"""`neverblink bench gpu`: every measurement of a GPU in one command, written down as it goes."""

from __future__ import annotations

import gc
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from loop.cli.accept import GPU_SECTIONS
from loop.cli.usage import UsageError
from loop.measure.gpu.blocks import TimedStream
from loop.measure.gpu.ceilings import measure_attention, measure_ceilings
from loop.measure.gpu.first_frame import measure_first_frame
from loop.measure.gpu.linears import measure_linears
from loop.measure.gpu.modes import (
    ReferenceBlocks,
    make_reference,
    measure_error,
    measure_overlap,
    measure_stages,
    measure_switches,
    measure_vae,
)
from loop.measure.gpu.sections import Figures, SectionRun
from loop.measure.gpu.setting import GpuSetting, gpu_setting, open_at_speed, speeds_here
from loop.measure.gpu.show import measure_show
from loop.measure.gpu.table import gpu_table
from loop.measure.report import print_environment, write_json
from loop.output.new_file import write_text
from loop.worker.upload import describe_uploads
from world.dit.device import describe, describe_cuda, forget_peak

_OF_A_MODE = {"stages", "vae", "linears", "switch", "overlap", "error"}  # sections that need an open world
_SHOW_S, _FIRST_S = 45.0, 30.0  # what a show takes beyond its own length, and a process until it is warm
_FILES = {"json": "gpu.json", "table": "gpu.md"}
_TRACE = "show.jsonl"


def run_gpu_bench(options: Namespace) -> int:
    """Measure, print a table, and write the files that were asked for; the exit status is 1 if a section failed."""
    setting = gpu_setting(options)
    options.speed = options.speed or (("exact",) if options.tiny else speeds_here(setting))
    seconds = options.seconds or (6.0 if options.tiny else 60.0)
    trace = _prepare_folder(options)
    head = print_environment(_configuration(setting, options, seconds), describe(setting.device))

    def write(figures: Figures) -> None:
        if options.table:
            options.table = write_text(options.table, gpu_table(head, figures), options.overwrite)
        write_json(options, head, figures)
        options.overwrite = True  # from now on both files are this measurement's own

    wanted = set(options.only) | ({"open"} if _OF_A_MODE & set(options.only) else set())
    run = SectionRun(wanted, options.budget_s, write)
    _measure_all(run, setting, options.speed, partial(measure_show, setting.world, seconds=seconds, trace=trace))
    print(gpu_table(head, run.figures))
    return 1 if run.figures["failed"] else 0


def _measure_all(run: SectionRun, setting: GpuSetting, speeds: tuple[str, ...], show: Any) -> None:
    """Every section, those of each speed in turn. The show runs at the fastest of them."""
    show_s = _SHOW_S + show.keywords["seconds"]
    run.section(("ceilings",), 6, partial(measure_ceilings, setting))
    run.section(("attention",), 4, partial(measure_attention, setting))
    run.keep_s = show_s if run.wants("show") else 0.0
    reference: list[ReferenceBlocks] = []
    for speed in speeds:
        _measure_mode(run, setting, speed, reference)
        gc.collect()
        run.attempt(f"memory after {speed}", partial(forget_peak, setting.device))
    run.keep_s = 0.0
    run.section(("show",), show_s, partial(show, _fastest(run.figures, speeds)))
    for speed in speeds:
        run.section(("modes", speed, "first"), _FIRST_S, partial(measure_first_frame, setting.world, speed))


def _measure_mode(run: SectionRun, setting: GpuSetting, speed: str, reference: list[ReferenceBlocks]) -> None:
    """The sections that share an open world; none of them if it does not open."""
    opened: list[TimedStream] = []
    opening_s = 10 if speed == "exact" else 35  # what is not exact may have to be compiled
    run.section(("modes", speed, "open"), opening_s, lambda: _open(setting, speed, opened))
    if opened:
        _measure_opened(run, setting, speed, opened[0], reference)
        # where the device has failed, this fails too, and the show runs in a process of its own
        run.attempt(f"closing {speed}", opened[0].close)


def _measure_opened(
    run: SectionRun, setting: GpuSetting, speed: str, stream: TimedStream, reference: list[ReferenceBlocks]
) -> None:
    def section(kind: str, expected_s: float, work: Callable[[], Any]) -> None:
        run.section(("modes", speed, kind), expected_s, work)

    switches = max(2, setting.blocks // 4)
    section("stages", 10, lambda: measure_stages(stream, setting.blocks))
    section("linears", 3, lambda: measure_linears(setting, stream.world))
    section("switch", 6, lambda: measure_switches(stream, switches))
    section("overlap", 12, lambda: measure_overlap(stream, switches))
    section("error", 8, lambda: _error(setting, speed, stream, reference))
    section("vae", 15, lambda: measure_vae(setting, stream, open_at_speed(setting.world, speed, "vae").decoder))


def _open(setting: GpuSetting, speed: str, opened: list[TimedStream]) -> dict[str, float]:
    """Open the world and run every shape with both caches until it is warm; the seconds that both take."""
    begun = time.perf_counter()
    world = open_at_speed(setting.world, speed)
    between = time.perf_counter()
    world.prepare()
    stream = TimedStream(world)
    stream.fill()
    measure_switches(stream, 3)
    opened.append(stream)
    return {"open s": between - begun, "warm-up s": time.perf_counter() - between}


def _error(setting: GpuSetting, speed: str, stream: TimedStream, reference: list[ReferenceBlocks]) -> dict[str, float]:
    """The error against the exact way, whose blocks are made once."""
    if not reference:
        is_exact = speed == "exact"
        reference.append(make_reference(stream.world if is_exact else open_at_speed(setting.world, "exact")))
    return measure_error(stream.world, reference[0])


def _fastest(figures: Figures, speeds: tuple[str, ...]) -> str:
    """The speed whose blocks came fastest, or the first one where none was measured."""
    modes = figures.get("modes", {})
    return max(speeds, key=lambda speed: modes.get(speed, {}).get("stages", {}).get("FPS", 0.0))


def _configuration(setting: GpuSetting, options: Namespace, seconds: float) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "cuda": describe_cuda() or "none",
        "uploads": describe_uploads()[0] if setting.device.type == "cuda" else "plain copies",
        "world": f"{setting.world.name}, random weights",
        "picture": "x".join(map(str, setting.picture)),
        "dtype": str(setting.dtype).removeprefix("torch."),
        "speeds": " ".join(options.speed),
        "blocks": setting.blocks,
        "show": f"{seconds:g} s",
        "sections": "all" if set(options.only) == set(GPU_SECTIONS) else " ".join(options.only),
    }


def _prepare_folder(options: Namespace) -> Path | None:
    """Make the folder of --out and choose the files in it; where the show's trace goes, if anywhere."""
    folder = options.folder
    if not folder:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for option, name in _FILES.items():
        setattr(options, option, getattr(options, option) or folder / name)
    there = [name for name in (*_FILES.values(), _TRACE) if (folder / name).exists()]
    if there and not options.overwrite:
        raise UsageError(f"--out {folder} has a {there[0]}: choose another folder, or give --overwrite")
    return folder / _TRACE
