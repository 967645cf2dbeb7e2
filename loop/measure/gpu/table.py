"""The figures of `bench gpu` as Markdown, for BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loop.measure.gpu.modes import STAGES
from loop.measure.report import Spread

Figures = Mapping[str, Any]
NOTHING = "-"


def gpu_table(head: Figures, figures: Figures) -> str:
    """All that was measured, what failed and what was skipped, under the environment that it was measured in."""
    parts = [_head_lines(head, figures), _ceiling_lines(figures), _mode_lines(figures), _show_lines(figures)]
    return "\n".join("\n".join(part) + "\n" for part in map(list, [*parts, _missing_lines(figures)]) if part)


def _head_lines(head: Figures, figures: Figures) -> Iterator[str]:
    for name, value in head.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
        yield f"{name}: {shown}  "
    yield f"in all {figures['seconds']:.0f} s. Milliseconds are p50 / p95."


def _ceiling_lines(figures: Figures) -> Iterator[str]:
    rows = [(name, found) for name, found in figures.get("ceilings", {}).items()]
    rows += [(f"attention of a layer, {name}", found) for name, found in figures.get("attention", {}).items()]
    if rows:
        yield from _header("this device", ["ms", "rate"])
    for name, found in rows:
        cells = [_spread(found.get("ms")), _rate(found)]
        yield _row(name, cells)


def _rate(found: Figures) -> str:
    rates = [f"{found[unit]:.4g} {unit}" for unit in ("TFLOP/s", "GB/s") if unit in found]
    return (rates or [found.get("not here", NOTHING)])[0]


def _mode_lines(figures: Figures) -> Iterator[str]:
    modes = figures.get("modes", {})
    if modes:
        yield from _header("", list(modes))
    for name, cell in _MODE_ROWS.items():
        cells = [cell(mode, figures) for mode in modes.values()]
        if any(text != NOTHING for text in cells):
            yield _row(name, cells)


def _stage(section: str, name: str) -> Any:
    """A cell: one stage's milliseconds."""
    return lambda mode, figures: _spread(mode.get(section, {}).get("ms", {}).get(name))


def _share(name: str) -> Any:
    return lambda mode, figures: _number(mode.get("stages", {}).get("shares", {}).get(name), "{:.1%}")


def _value(section: str, name: str, form: str) -> Any:
    return lambda mode, figures: _number(mode.get(section, {}).get(name), form)


def _product_share(mode: Figures, figures: Figures) -> str:
    product = figures.get("ceilings", {}).get("product", {}).get("TFLOP/s")
    reached = mode.get("linears", {}).get("TFLOP/s")
    return _number(reached / product if product and reached else None, "{:.0%}")


_MODE_ROWS = {
    **{name: _stage("stages", name) for name in STAGES},
    **{f"share of {name}": _share(name) for name in STAGES},
    "block (no recache)": _stage("stages", "block"),
    "FPS with TAEHV": _value("stages", "FPS", "{:.1f}"),
    "decode by the Wan VAE": _stage("vae", "decode"),
    "FPS with the Wan VAE": _value("vae", "FPS", "{:.1f}"),
    "GiB at most": _value("stages", "GiB at most", "{:.1f}"),
    "linear layers of a pass": lambda mode, figures: _spread(mode.get("linears", {}).get("ms")),
    "their share of the plain product": _product_share,
    "recache": _stage("switch", "recache"),
    "boundary to first frame at a switch": _stage("switch", "first frame"),
    "boundary to first frame without": _stage("stages", "first frame"),
    "lost to a recache beside a block, ms": _value("overlap", "lost ms", "{:.1f}"),
    "error against exact, first block": _value("error", "first block", "{:.2e}"),
    "error against exact, full window": _value("error", "full window", "{:.2e}"),
    "open the world, s": _value("open", "open s", "{:.1f}"),
    "warm up, s": _value("open", "warm-up s", "{:.1f}"),
    "process start to first frame, s": _value("first", "first frame", "{:.1f}"),
}


def _show_lines(figures: Figures) -> Iterator[str]:
    show = figures.get("show")
    if not show:
        return
    yield from _header(f"show of {show['seconds']:.0f} s, {show['switches']} switches, {show['speed']}", [""])
    for name, value in show.items():
        if isinstance(value, Spread):
            yield _row(name, [f"{_spread(value)} (max {value.max:.1f}, n {value.n})"])
        elif isinstance(value, float):
            yield _row(name, [f"{value:.2f}"])
        elif not isinstance(value, Mapping):
            yield _row(name, [str(value)])


def _missing_lines(figures: Figures) -> Iterator[str]:
    for kind in ("failed", "skipped"):
        yield from (f"- {kind}: {name}: {why}" for name, why in figures[kind].items())


def _header(first: str, others: Iterable[str]) -> Iterator[str]:
    cells = list(others)
    yield _row(first, cells)
    yield _row("---", ["---"] * len(cells))


def _row(name: str, cells: Iterable[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def _spread(spread: Spread | None) -> str:
    return NOTHING if spread is None else f"{spread.p50:.2f} / {spread.p95:.2f}"


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else form.format(value)
