"""What became of the cases: verdicts, the table by category, the file for other programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Where a file of cases is -> what the certification of Ryu called it; the first that fits.
CATEGORIES = {
    "action/25_SET_FIELD": "Set-Field",
    "action": "Action",
    "match": "Match",
    "group": "Group",
    "meter": "Meter",
}
ROWS = ("Action", "Set-Field", "Match", "Group", "Meter")
NOT_RUN = "not run"


@dataclass(frozen=True)
class Verdict:
    """One case: which, whether it passed, and if not, why."""

    file: str  # relative to the folder of the cases
    number: int  # in its file, from 1
    name: str
    passed: bool
    reason: str = ""
    seconds: float = 0.0
    load: tuple[dict[str, float], ...] = ()  # what the paced sender said

    @property
    def category(self) -> str:
        return category(self.file)

    @classmethod
    def read(cls, line: str) -> "Verdict":
        facts = json.loads(line)
        return cls(**{**facts, "load": tuple(facts.get("load", ()))})


def category(file: str) -> str:
    """Say to which category a file of cases belongs."""
    for place, name in CATEGORIES.items():
        if file.startswith(place + "/"):
            return name
    raise ValueError(f"{file} is in no category of {', '.join(ROWS)}")


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the lines that people read; the last says how many of how many."""
    lines = [f"{'category':<12}{'passed':>8}{'total':>8}"]
    for row in ROWS:
        mine = [verdict for verdict in verdicts if verdict.category == row]
        if mine:
            lines.append(f"{row:<12}{_passed(mine):>8}{len(mine):>8}")
    lines.append(f"{_passed(verdicts)} of {len(verdicts)}")
    return "\n".join(lines)


def failures(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each case that did not pass, with its reason, and how many were not run."""
    lines = [
        f"{verdict.file} {verdict.number}: {verdict.name}\n    {verdict.reason}"
        for verdict in verdicts
        if not verdict.passed and verdict.reason != NOT_RUN
    ]
    if missing := sum(verdict.reason == NOT_RUN for verdict in verdicts):
        lines.append(f"not run: {missing}")
    return "\n".join(lines)


def write(path: Path, facts: dict[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Write the whole run as JSON."""
    summary = {
        row: {"passed": _passed(mine), "total": len(mine)}
        for row in ROWS
        if (mine := [verdict for verdict in verdicts if verdict.category == row])
    }
    body = {**facts, "categories": summary, "cases": [asdict(verdict) for verdict in verdicts]}
    path.write_text(json.dumps(body, indent=1) + "\n")


def _passed(verdicts: Iterable[Verdict]) -> int:
    return sum(verdict.passed for verdict in verdicts)
