"""Runs that become rows: minimum, median, maximum, and the one JSON form of all benchmarks."""

import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from . import machine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row is to reach: so many times its peer, or a value of its own; one is enough."""

    ratio: float | None = None
    value: float | None = None

    def text(self, unit: str) -> str:
        parts = [f"{self.ratio:g}x"] if self.ratio is not None else []
        parts += [f"{self.value:,.0f} {unit}"] if self.value is not None else []
        return " or ".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One number: what was measured, in which unit, all its runs, and a peer's if it has one.

    The runs of the two are pairs: each of raicho's was right before the peer's at the same place.
    """

    name: str
    unit: str
    runs: Sequence[float]
    peer: str | None = None
    peer_runs: Sequence[float] = ()
    goal: Goal | None = None
    more_is_better: bool = True
    note: str | None = None
    fault: str | None = None  # why the numbers are not what they should be: no goal is met then

    @property
    def value(self) -> float:
        return statistics.median(self.runs)

    @property
    def ratios(self) -> list[float]:
        """How many times better than the peer raicho is, pair by pair; empty without a peer."""
        if not self.peer_runs:
            return []
        pairs = zip(self.runs, self.peer_runs, strict=True)
        return [own / peer if self.more_is_better else peer / own for own, peer in pairs]

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of the pairs."""
        return statistics.median(self.ratios) if self.peer_runs else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or nothing to compare with."""
        if self.goal is None or self.fault:
            return None
        reached = []
        if self.goal.ratio is not None and self.ratio is not None:
            reached.append(self.ratio >= self.goal.ratio)
        if self.goal.value is not None:
            enough = self.value >= self.goal.value
            reached.append(enough if self.more_is_better else self.value <= self.goal.value)
        return any(reached) if reached else None

    def form(self) -> dict[str, object]:
        """The row as it stands in the JSON; what does not apply is left out."""
        ratios = self.ratios
        fields: dict[str, object] = {
            "name": self.name,
            "unit": self.unit,
            "min": short(min(self.runs)),
            "value": short(self.value),
            "max": short(max(self.runs)),
            "runs": [short(run) for run in self.runs],
            "peer": self.peer,
            "peer_value": short(statistics.median(self.peer_runs)) if ratios else None,
            "peer_runs": [short(run) for run in self.peer_runs] or None,
            "ratio_min": short(min(ratios)) if ratios else None,
            "ratio": short(statistics.median(ratios)) if ratios else None,
            "ratio_max": short(max(ratios)) if ratios else None,
            "goal": self.goal.text(self.unit) if self.goal else None,
            "met": self.met,
            "note": self.note,
            "fault": self.fault,
        }
        return {name: value for name, value in fields.items() if value is not None}


def short(value: float) -> float:
    """Keep four digits: more would claim a precision that no machine has."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def sample(once: Callable[[], T], runs: int, warm_up: int = 1) -> list[T]:
    """Call 'once' until there are 'runs' values; the first 'warm_up' calls do not count."""
    for _ in range(warm_up):
        once()
    return [once() for _ in range(runs)]


@dataclass(frozen=True, slots=True)
class Pairs:
    """What raicho did, and what a peer did right after it, run by run."""

    own: list[float]
    peer: list[float]

    @property
    def best(self) -> float:
        return statistics.median(self.peer)


def in_turn(
    own: Callable[[], T], peers: Sequence[Callable[[], T]], runs: int, warm_up: int = 1
) -> list[tuple[list[T], list[T]]]:
    """Measure raicho before every turn of every peer, so that both met the same machine.

    Returns for each peer what raicho did and what the peer did, run by run. The first 'warm_up'
    rounds do not count.
    """
    rounds = [[(own(), peer()) for peer in peers] for _ in range(warm_up + runs)][warm_up:]
    return [([a for a, _ in turns], [b for _, b in turns]) for turns in zip(*rounds, strict=True)]


def alternate(
    own: Callable[[], float], peers: Sequence[Callable[[], float]], runs: int, warm_up: int = 1
) -> list[Pairs]:
    """Do the same where each turn is one number."""
    return [Pairs(*found) for found in in_turn(own, peers, runs, warm_up)]


def as_json(rows: Iterable[Row]) -> str:
    """Render the one JSON form."""
    facts = machine.facts()  # before the rows: they may be a generator that loads the machine
    return json.dumps({"machine": facts, "rows": [row.form() for row in rows]})


def as_text(rows: Iterable[Row]) -> Iterator[str]:
    """Render lines for people, each as soon as its row is there."""
    yield ", ".join(f"{name} {value}" for name, value in machine.facts().items())
    yield f"{'':40}{'minimum':>14}{'median':>14}{'maximum':>14}  {'unit':12}runs"
    for row in rows:
        yield line(row)


def line(row: Row) -> str:
    """Put a row into one line."""
    numbers = (min(row.runs), row.value, max(row.runs))
    text = f"{row.name:40}{''.join(f'{short(n):>14,}' for n in numbers)}"
    text += f"  {row.unit:12}{len(row.runs)}"
    if ratios := row.ratios:
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        text += f"  {row.peer} {short(statistics.median(row.peer_runs)):,}"
        text += f", ratio {low:.2f} {middle:.2f} {high:.2f}"
    if row.goal:
        verdict = {True: ": met", False: ": missed", None: ""}[row.met]
        text += f"  (goal {row.goal.text(row.unit)}{verdict})"
    text += f"  [{row.note}]" if row.note else ""
    return text + (f"  NOT AS IT SHOULD BE: {row.fault}" if row.fault else "")
