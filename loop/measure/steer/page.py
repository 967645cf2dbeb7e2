"""The steer test as one HTML page: the table, and of every switch the pictures of each mode. It loads nothing."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loop.measure.steer.scene_marks import SceneMarks
from loop.measure.steer.streams import STEER_MODES, SteeredSwitch
from world.train.judge.report import Figure
from world.train.judge.sheet import png_bytes

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem;color:#1c1e24}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.4rem}img{display:block;width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .8rem .15rem 0;text-align:left}
figure{margin:.6rem 0}figcaption{color:#555}dt{font-weight:600}dd{margin:0 0 .3rem}"""
_EXPLAINED = (
    "Each strip shows the last picture before the switch, then the first block under the new words, halfway, the end. "
    "recache: the remembered pictures are encoded again under the new words. keep: the cache stays as the old words "
    "made it. reset: the cache is thrown away. jump: the largest mean change between two pictures within the second "
    "after the switch, of 255. named: what the words named is seen at the end. stayed: what they did not name is as it "
    "was before. Brackets hold 95 % intervals."
)


def steer_page(
    head: Mapping[str, Any],
    table: Mapping[str, Mapping[str, Figure]],
    made: Sequence[SteeredSwitch],
    marks: Sequence[Mapping[str, SceneMarks]],
    shrink: int,
) -> str:
    """The whole page. shrink: every how many pixels one is kept."""
    told = "".join(f"<dt>{_text(name)}</dt><dd>{_text(_flat(value))}</dd>" for name, value in head.items())
    sections = [_section(one, marked, shrink) for one, marked in zip(made, marks, strict=True)]
    title = "<title>neverblink: the steer test</title>"
    frame = f'<!doctype html>\n<html lang="en"><meta charset="utf-8">{title}<style>{_STYLE}</style>'
    body = [f"<p>{_EXPLAINED}</p>", _html_table(table), *sections, f"<h2>Measured on</h2><dl>{told}</dl>"]
    return f"{frame}\n<body><h1>The steer test</h1>\n" + "\n".join(body) + "\n</body></html>\n"


def _section(made: SteeredSwitch, marked: Mapping[str, SceneMarks], shrink: int) -> str:
    figures = []
    for mode in STEER_MODES:
        picture = np.concatenate([part[::shrink, ::shrink] for part in made.four(mode)], 1)
        image = f'<img alt="" src="data:image/png;base64,{b64encode(png_bytes(picture)).decode()}">'
        caption = f"{mode}: jump {made.jump(mode):.1f}, {made.calm:.1f} before{_told(marked.get(mode))}"
        figures.append(f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>")
    heading = f"{_text(made.switch.before)} &rarr; {_text(made.switch.after)}"
    return f"<h2>{heading}</h2>" + "".join(figures)


def _told(marks: SceneMarks | None) -> str:
    """The marks in words."""
    if marks is None:
        return ""
    named = [
        f"{marks.seen[name]} {'as named' if hit else 'is not what was named'}" for name, hit in marks.named.items()
    ]
    lost = [f"{name} is {marks.seen[name]} now" for name, hit in marks.stayed.items() if not hit]
    return "; " + ", ".join([*named, *(lost or ["all else as before"])])


def _html_table(table: Mapping[str, Mapping[str, Figure]]) -> str:
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    lines = [["", *columns], *([row, *(str(cells.get(name, "")) for name in columns)] for row, cells in table.items())]
    return "<table>" + "".join("<tr>" + "".join(f"<td>{_text(cell)}" for cell in line) for line in lines) + "</table>"


def _flat(value: Any) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def _text(text: str) -> str:
    return html.escape(text)
