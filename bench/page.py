"""The figures of a benchmark as a section of a Markdown page."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from .harness import Row, short

HEAD = ("measured", "unit", "raicho", "beside it", "ratio", "goal")
SCALES = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))  # from where on, divided by
VERDICT = {True: ", met", False: ", missed", None: ""}


class Run(NamedTuple):
    """One benchmark as it ran."""

    name: str
    rows: Sequence[Row]
    facts: Mapping[str, object]  # of the machine and what is on it
    runs: int
    seed: int
    seconds: float


def scaled(value: float) -> str:
    """Write a number as people read it: three digits and a letter for what is large."""
    for least, size, letter in SCALES:
        if value >= least:
            return f"{value / size:.3g} {letter}"
    return f"{short(float(f'{value:.3g}')):,}"


def replaced(text: str, run: Run, picture: Path | None) -> str:
    """Put the section between its marks, or with a heading at the end where there are none."""
    begin, end = f"<!-- figures of {run.name} -->", f"<!-- end of {run.name} -->"
    section = "\n".join([begin, *lines(run, picture), end])
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(text):
        return pattern.sub(lambda _: section, text)
    return f"{text.rstrip()}\n\n## {run.name.capitalize()}\n\n{section}\n"


def lines(run: Run, picture: Path | None) -> Iterator[str]:
    """Write when and where it was measured, the plot, and a line of a table for each row."""
    facts = ", ".join(f"{name} {value}" for name, value in run.facts.items())
    when = f"{date.today():%-d %B %Y}"
    yield f"`python -m bench {run.name}`, {when}: {run.runs} runs, seed {run.seed},"
    yield f"{run.seconds:.0f} s in all. {facts}."
    yield ""
    if picture:
        yield f"![Ratios of raicho to what is beside it]({picture})"
        yield ""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{' --- |' * len(HEAD)}"
    for row in run.rows:
        yield f"| {' | '.join(cells(row))} |"
    notes = [f"{row.name}: {row.fault}" for row in run.rows if row.fault]
    yield from ["", *(f"* Not as it should be: {note}" for note in notes)] if notes else []


def cells(row: Row) -> Iterator[str]:
    """Write a row: medians of the runs, and minimum, median and maximum of the ratios of pairs."""
    yield f"{row.name} ({row.note})" if row.note else row.name
    yield row.unit
    yield scaled(row.value)
    yield f"{row.peer} {scaled(statistics.median(row.peer_runs))}" if row.peer_runs else ""
    numbers = (min(row.ratios), row.ratio, max(row.ratios)) if row.ratios else ()
    yield " / ".join(f"{number:.2f}" for number in numbers if number is not None)
    yield f"{row.goal.text(row.unit)}{VERDICT[row.met]}" if row.goal else ""
