"""The latency report as one page: tables, and the distributions as pictures drawn into it. Nothing is fetched."""

from __future__ import annotations

import html
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loop.measure.analysis import TOTAL, times_by_stage
from loop.measure.bench import Spread

if TYPE_CHECKING:
    from loop.measure.latency import Measured

WIDTH, HEIGHT = 8.2, 2.7  # inches
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c1e24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}svg{width:100%;height:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .7rem;text-align:right}
td:first-child,th:first-child{text-align:left;padding-left:0}tr.total{font-weight:600;border-top:1px solid #999}
dt{font-weight:600}dd{margin:0 0 .3rem}"""


class PlottingError(ImportError):
    """The library for the pictures is missing; the message is one line for the user."""


def check_plotting() -> None:
    """Raise PlottingError where pictures cannot be drawn."""
    try:
        import matplotlib
    except ImportError:
        raise PlottingError("--html needs matplotlib: pip install 'neverblink[plot]'") from None
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of every font that it cannot read
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "neverblink", "font.size": 9})


def write_page(path: Path, head: Mapping[str, Any], measured: Measured) -> None:
    """Write the page; raises PlottingError."""
    check_plotting()
    path.write_text(page(head, measured), encoding="utf-8")


def page(head: Mapping[str, Any], measured: Measured) -> str:
    """The whole page as text."""
    kinds = [_section(kind, measured) for kind in measured.by_kind()]
    parts = [_head(head), *kinds, _beside(measured)]
    title = "<title>neverblink: from input to pixel</title>"
    frame = f'<!doctype html>\n<html lang="en"><meta charset="utf-8">{title}<style>{STYLE}</style>'
    return f"{frame}\n<body><h1>From input to pixel</h1>\n" + "\n".join(parts) + "\n</body></html>\n"


def _head(head: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(_told(value))}</dd>" for name, value in head.items())
    return f"<dl>{rows}</dl>"


def _told(value: Any) -> str:
    return ", ".join(f"{name} {of}" for name, of in value.items()) if isinstance(value, Mapping) else str(value)


def _section(kind: str, measured: Measured) -> str:
    events = measured.by_kind()[kind]
    times, bound = times_by_stage(events), measured.bound.of(kind)
    if not times:
        return f"<h2>{_text(kind)}</h2><p>none of {len(events)} reached the screen</p>"
    ratio = Spread.of(times[TOTAL]).p50 / bound
    told = f"{len(times[TOTAL])} of {len(events)} reached the screen; the median is {ratio:.2f} of the bound"
    pictures = _totals(times[TOTAL], bound) + _stages(times)
    return f"<h2>{_text(kind)}</h2><p>{told} ({bound:.1f} ms).</p>{pictures}{_table(times)}"


def _beside(measured: Measured) -> str:
    """A bare loop's share, and how long the frames were held."""
    bare = {TOTAL: measured.bare}
    return f"<h2>a bare loop, without a model</h2>{_histogram(measured.bare)}{_table(bare)}"


def _table(times: Mapping[str, list[float]]) -> str:
    head = "<tr><th>ms since the stage before</th><th>n</th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>"
    return f"<table>{head}{''.join(_row(name, Spread.of(values)) for name, values in times.items())}</table>"


def _row(name: str, spread: Spread) -> str:
    cells = "".join(f"<td>{value:.2f}</td>" for value in (spread.p50, spread.p95, spread.p99, spread.max))
    mark = ' class="total"' if name == TOTAL else ""
    return f"<tr{mark}><td>{_text(name)}</td><td>{spread.n}</td>{cells}</tr>"


def _totals(totals: list[float], bound: float) -> str:
    """Every event as a step of the cumulative distribution, beside the bound."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.ecdf(totals, color="#2f5fd0", label="measured")
    axes.axvline(bound, color="#d0602f", linestyle="--", label="bound (median)")
    axes.axhline(0.5, color="#bbbbbb", linewidth=0.7)
    axes.set(xlabel="input to pixel, ms", ylabel="share of events", xlim=(0, None))
    axes.legend(loc="lower right", frameon=False)
    return _svg(figure)


def _stages(times: Mapping[str, list[float]]) -> str:
    """Where the time goes: each stage's spread, in the order in which they are passed."""
    from matplotlib.figure import Figure

    stages = [stage for stage in times if stage != TOTAL]
    figure = Figure(figsize=(WIDTH, 0.5 + 0.32 * len(stages)), layout="constrained")
    axes = figure.subplots()
    boxes = axes.boxplot([times[stage] for stage in stages], orientation="horizontal", whis=(5, 95), sym=".")
    for part in boxes["medians"]:
        part.set_color("#2f5fd0")
    axes.set_yticks(range(1, len(stages) + 1), stages)
    axes.invert_yaxis()
    axes.set(xlabel="ms since the stage before; box: quartiles, whiskers: 5 and 95 %", xlim=(0, None))
    return _svg(figure)


def _histogram(values: list[float]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT * 0.7), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=30, color="#2f5fd0")
    axes.set(xlabel="input to pixel, ms", ylabel="events", xlim=(0, None))
    return _svg(figure)


def _svg(figure: Any) -> str:
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = drawn.getvalue()
    return text[text.index("<svg") :]  # without the XML prologue, which has no place inside a page


def _text(value: str) -> str:
    return html.escape(value)
