"""The latency report as one HTML page with tables and inline SVG charts; it loads nothing from elsewhere."""

from __future__ import annotations

import html
import io
import logging
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loop.measure.latency.passing import passing
from loop.measure.latency.shows import LatencyMeasurement
from loop.measure.report import Spread
from loop.measure.trace.analysis import TOTAL, times_by_stage
from loop.output.new_file import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 8.2, 2.7  # inches
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c1e24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}svg{width:100%;height:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .7rem;text-align:right}
td:first-child,th:first-child{text-align:left;padding-left:0}tr.total{font-weight:600;border-top:1px solid #999}
dt{font-weight:600}dd{margin:0 0 .3rem}"""


class PlottingError(ImportError):
    """matplotlib is not installed; the message is one line for the user."""


def check_plotting() -> None:
    """Set matplotlib up for SVG charts; raises PlottingError if it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise PlottingError("--html needs matplotlib: pip install 'neverblink[plot]'") from None
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of every font that it cannot read
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "neverblink", "font.size": 9})


def write_latency_page(options: Namespace, head: Mapping[str, Any], measured: LatencyMeasurement) -> None:
    """Write the page to the file of --html; raises PlottingError and OSError."""
    check_plotting()
    write_text(options.html, latency_page(head, measured), options.overwrite)


def latency_page(head: Mapping[str, Any], measured: LatencyMeasurement) -> str:
    """The whole page as HTML. `check_plotting` must have been called."""
    kinds = [_section(kind, measured) for kind in measured.by_kind()]
    parts = [_head(head), *kinds, _bare_section(measured)]
    title = "<title>neverblink: from input to pixel</title>"
    frame = f'<!doctype html>\n<html lang="en"><meta charset="utf-8">{title}<style>{STYLE}</style>'
    return f"{frame}\n<body><h1>From input to pixel</h1>\n" + "\n".join(parts) + "\n</body></html>\n"


def _head(head: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(_flat(value))}</dd>" for name, value in head.items())
    return f"<dl>{rows}</dl>"


def _flat(value: Any) -> str:
    """A value of the head in one line."""
    return ", ".join(f"{name} {of}" for name, of in value.items()) if isinstance(value, Mapping) else str(value)


def _section(kind: str, measured: LatencyMeasurement) -> str:
    """One kind of event: a summary, two charts and a table."""
    events = measured.by_kind()[kind]
    times, bound = times_by_stage(events), measured.bound.of(kind)
    if not times:
        return f"<h2>{_text(kind)}</h2><p>none of {len(events)} reached the screen</p>"
    p50, at_once = Spread.of(times[TOTAL]).p50, measured.bound.at_once(kind)
    summary = f"{len(times[TOTAL])} of {len(events)} reached the screen; the median is {p50 / bound:.2f} of the bound"
    more = f"and {p50 / at_once:.2f} of that of an engine that begins at once ({at_once:.1f} ms)"
    if found := passing(measured.live, kind, measured.bound):
        more += f", and {found.ratio:.2f} of the bound with the frames that pass ({found.bound:.1f} ms)"
    charts = _totals_chart(times[TOTAL], bound) + _stages_chart(times)
    return f"<h2>{_text(kind)}</h2><p>{summary} of whole blocks ({bound:.1f} ms), {more}.</p>{charts}{_table(times)}"


def _bare_section(measured: LatencyMeasurement) -> str:
    """The latency of the loop without a model."""
    bare = {TOTAL: measured.bare}
    return f"<h2>a bare loop, without a model</h2>{_histogram(measured.bare)}{_table(bare)}"


def _table(times: Mapping[str, list[float]]) -> str:
    head = "<tr><th>ms since the stage before</th><th>n</th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>"
    return f"<table>{head}{''.join(_row(name, Spread.of(values)) for name, values in times.items())}</table>"


def _row(name: str, spread: Spread) -> str:
    cells = "".join(f"<td>{value:.2f}</td>" for value in (spread.p50, spread.p95, spread.p99, spread.max))
    mark = ' class="total"' if name == TOTAL else ""
    return f"<tr{mark}><td>{_text(name)}</td><td>{spread.n}</td>{cells}</tr>"


def _totals_chart(totals: list[float], bound: float) -> str:
    """The cumulative distribution of `totals` (ms), with a line at `bound`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.ecdf(totals, color="#2f5fd0", label="measured")
    axes.axvline(bound, color="#d0602f", linestyle="--", label="bound (median)")
    axes.axhline(0.5, color="#bbbbbb", linewidth=0.7)
    axes.set(xlabel="input to pixel, ms", ylabel="share of events", xlim=(0, None))
    axes.legend(loc="lower right", frameon=False)
    return _svg(figure)


def _stages_chart(times: Mapping[str, list[float]]) -> str:
    """A box plot of the times (ms) of each stage, in the order in which events pass them."""
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
    """A histogram of `values`, ms."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT * 0.7), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=30, color="#2f5fd0")
    axes.set(xlabel="input to pixel, ms", ylabel="events", xlim=(0, None))
    return _svg(figure)


def _svg(figure: Figure) -> str:
    """The figure as an SVG element, without the XML prologue, which must not stand inside a page."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def _text(value: str) -> str:
    return html.escape(value)
