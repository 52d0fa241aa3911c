"""Ratios as a picture: SVG that takes its colours from the reader's light or dark page."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from .harness import Row

WIDTH, LABELS, STEP, TOP, BOTTOM = 860, 380, 20, 30, 30
GRID = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
STYLE = """
text { font: 12px sans-serif; fill: #24292f } .grid { stroke: #d0d7de } .one { stroke: #57606a }
.bar { stroke: #0969da; stroke-width: 3 } .dot { fill: #0969da } .goal { stroke: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #c9d1d9 } .grid { stroke: #30363d } .one { stroke: #8b949e }
.bar { stroke: #58a6ff } .dot { fill: #58a6ff } .goal { stroke: #ff7b72 } }
"""


def ratios(rows: Sequence[Row]) -> str:
    """Draw a line for each row that has a peer: minimum to maximum, a dot at the median, the goal.

    Without such rows there is nothing to draw, and the text is empty.
    """
    compared = [row for row in rows if row.ratios]
    if not compared:
        return ""
    values = [1.0, *(n for row in compared for n in row.ratios)]
    values += [row.goal.ratio for row in compared if row.goal and row.goal.ratio]
    low, high = math.log(min(values) / 1.2), math.log(max(values) * 1.2)
    height = TOP + STEP * len(compared) + BOTTOM

    def across(ratio: float) -> float:
        return LABELS + (WIDTH - LABELS - 20) * (math.log(ratio) - low) / (high - low)

    def parts() -> Iterator[str]:
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">'
        yield f"<style>{STYLE}</style>"
        for tick in GRID:
            if low <= math.log(tick) <= high:
                yield _line("one" if tick == 1 else "grid", across(tick), TOP, height - BOTTOM)
                yield _text(across(tick), height - 12, f"{tick:g}", "middle")
        for i, row in enumerate(compared):
            yield from _row(row, TOP + STEP * i + STEP / 2)
        yield _text(LABELS, 18, "raicho is better: to the right of 1; red: the goal", "start")
        yield "</svg>\n"

    def _row(row: Row, y: float) -> Iterator[str]:
        yield _text(LABELS - 10, y + 4, f"{row.name}: {row.peer}", "end")
        ends = across(min(row.ratios)), across(max(row.ratios))
        yield f'<line class="bar" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y}" y2="{y}"/>'
        assert row.ratio is not None
        yield f'<circle class="dot" cx="{across(row.ratio):.1f}" cy="{y}" r="4"/>'
        if row.goal and row.goal.ratio:
            yield _line("goal", across(row.goal.ratio), y - 7, y + 7)

    return "\n".join(parts())


def _line(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'


def _text(x: float, y: float, what: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(what)}</text>'
