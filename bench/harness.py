"""Runs that become rows: minimum, median, maximum, and the one JSON form of all benchmarks."""

import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from . import machine


@dataclass(frozen=True, slots=True)
class Row:
    """One number: what was measured, in which unit, all its runs, and a peer's if it has one."""

    name: str
    unit: str
    runs: Sequence[float]
    peer: str | None = None
    peer_runs: Sequence[float] = ()
    goal: str | None = None
    more_is_better: bool = True

    @property
    def value(self) -> float:
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer raicho is."""
        if not self.peer_runs:
            return None
        ratio = self.value / statistics.median(self.peer_runs)
        return ratio if self.more_is_better else 1 / ratio

    def form(self) -> dict[str, object]:
        """The row as it stands in the JSON; what does not apply is left out."""
        fields: dict[str, object] = {
            "name": self.name,
            "unit": self.unit,
            "min": _round(min(self.runs)),
            "value": _round(self.value),
            "max": _round(max(self.runs)),
            "runs": len(self.runs),
            "peer": self.peer,
            "peer_value": _round(statistics.median(self.peer_runs)) if self.peer_runs else None,
            "ratio": _round(self.ratio) if self.ratio is not None else None,
            "goal": self.goal,
        }
        return {name: value for name, value in fields.items() if value is not None}


def _round(value: float) -> float:
    """Keep four digits: more would claim a precision that no machine has."""
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short


def sample(once: Callable[[], float], runs: int, warm_up: int = 1) -> list[float]:
    """Call 'once' until there are 'runs' values; the first 'warm_up' calls do not count."""
    for _ in range(warm_up):
        once()
    return [once() for _ in range(runs)]


def as_json(rows: Iterable[Row]) -> str:
    """Render the one JSON form."""
    facts = machine.facts()  # before the rows: they may be a generator that loads the machine
    return json.dumps({"machine": facts, "rows": [row.form() for row in rows]})


def as_text(rows: Iterable[Row]) -> Iterator[str]:
    """Render lines for people, each as soon as its row is there."""
    yield ", ".join(f"{name} {value}" for name, value in machine.facts().items())
    yield f"{'':40}{'minimum':>14}{'median':>14}{'maximum':>14}  {'unit':12}runs"
    for row in rows:
        numbers = (min(row.runs), row.value, max(row.runs))
        line = f"{row.name:40}{''.join(f'{_round(n):>14,}' for n in numbers)}"
        line += f"  {row.unit:12}{len(row.runs)}"
        if row.peer_runs:
            line += f"  {row.peer} {_round(statistics.median(row.peer_runs)):,}"
            line += f", ratio {row.ratio:.2f}"
        yield line + (f"  (goal {row.goal})" if row.goal else "")
