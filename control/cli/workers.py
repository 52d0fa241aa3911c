"""show workers, top: what the workers do, and where their time goes.

Rates come from two readings of the state of the dataplane; everything between them is
arithmetic on values, so that it can be tested without a switch.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from .output import emit, emit_rows
from .place import placed

Row = Mapping[str, Any]
NS = 1e9
PORT_COUNTERS = ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the dataplane had counted at a time, in ns."""

    time: int
    workers: Sequence[Row]
    ports: Mapping[str, Mapping[str, int]]
    drops: Mapping[str, int]


def quotient(part: float, whole: float, digits: int = 1) -> float | None:
    """Return part of whole, None of nothing."""
    return round(part / whole, digits) if whole else None


def costs(profile: Row) -> dict[str, float | None]:
    """Return the cycles that a packet took by stage."""
    return {
        stage: quotient(cycles, profile["packets"]) for stage, cycles in profile["cycles"].items()
    }


def batch(profile: Row, received: int) -> float | None:
    """Return how many packets came at a time, on average."""
    return quotient(received, sum(profile["batches"].values()))


def hit_rate(profile: Row) -> float | None:
    """Return how many percent of those that asked the result cache were in it."""
    cache = profile["cache"]
    return quotient(100 * cache["hits"], cache["hits"] + cache["misses"])


def summary(worker: Row) -> dict[str, Any]:
    """Describe a worker, all numbers since it began."""
    totals, profile = worker["totals"], worker["profile"]
    return {
        **worker,
        "received": totals["received"],
        "sent": totals["sent"],
        "dropped": sum(totals["drops"].values()),
        "cycles": quotient(sum(profile["cycles"].values()), profile["packets"]),
        "batch": batch(profile, totals["received"]),
        "cache": hit_rate(profile),
        "handovers": profile["handovers"],
    }


def difference(new: Any, old: Any) -> Any:
    """Return what was counted between: numbers subtracted, anything else as it is now."""
    match new:
        case Mapping():
            old = old if isinstance(old, Mapping) else {}
            return {name: difference(value, old.get(name)) for name, value in new.items()}
        case bool() | str():
            return new
        case int():
            return new - old if isinstance(old, int) else new
    return new


def rates(new: Reading, old: Reading) -> dict[str, Any]:
    """Return what happened in a second of the time between two readings."""
    seconds = (new.time - old.time) / NS
    before = {worker["id"]: worker for worker in old.workers}
    workers = [
        _worker_rates(worker, before.get(worker["id"], {}), seconds) for worker in new.workers
    ]
    ports = [
        {"name": name}
        | {k: round(n / seconds) for k, n in difference(row, old.ports.get(name)).items()}
        for name, row in new.ports.items()
    ]
    drops = {k: round(n / seconds) for k, n in difference(new.drops, old.drops).items() if n}
    return {"seconds": round(seconds, 3), "workers": workers, "ports": ports, "drops": drops}


def _worker_rates(new: Row, old: Row, seconds: float) -> dict[str, Any]:
    totals = difference(new["totals"], old.get("totals"))
    profile = difference(new["profile"], old.get("profile"))
    return {
        "id": new["id"],
        "mode": new["mode"],
        "received": round(totals["received"] / seconds),
        "sent": round(totals["sent"] / seconds),
        "dropped": round(sum(totals["drops"].values()) / seconds),
        "cycles": costs(profile),
        "cycles_sum": quotient(sum(profile["cycles"].values()), profile["packets"]),
        "batch": batch(profile, totals["received"]),
        "batches": profile["batches"],
        "cache": hit_rate(profile),
        "handovers": round(profile["handovers"] / seconds),
        "sleeps": round(profile["sleeps"] / seconds),
        "asleep": quotient(100 * profile["asleep_ns"], seconds * NS),
    }


# What is shown.


@click.command()
@placed
def workers() -> None:
    """List the workers: whom they serve, what they did, and what a packet costs them."""
    rows = [summary(worker) for worker in _get("/worker")]
    columns = ("id", "cpu", "mode", "port", "received", "sent", "dropped")
    emit_rows(rows, (*columns, "cycles", "batch", "cache", "handovers"), "no worker")


@click.command()
@placed
@click.option("--once", is_flag=True, help="Write one interval and end.")
@click.option("--interval", type=click.FloatRange(0.1), default=1.0, help="Seconds; 1 by default.")
def top(once: bool, interval: float) -> None:
    """Watch packets a second, cycles a packet by stage, batches, cache and drops.

    Until it is interrupted; as JSON, one object for each interval.
    """
    from .place import wants_json

    old = read()
    if once or wants_json():
        while True:
            time.sleep(interval)
            new = read()
            emit(rates(new, old), page(rates(new, old)))
            if once:
                return
            old = new
    _watch(old, interval)


def _watch(old: Reading, interval: float) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(Text("..."), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            new = read()
            live.update(Text(page(rates(new, old))), refresh=True)
            old = new


def read() -> Reading:
    """Read the counters of the dataplane."""
    from ..message import Stats
    from .ask import ask

    rows = _get("/worker")
    drops = {row["name"]: row["packets"] for row in _get("/drops")}
    ports = ask("dataplane", Stats(["ports"])).data["ports"]
    return Reading(time.monotonic_ns(), rows, ports, drops)


def page(told: Mapping[str, Any]) -> str:
    """Write rates as tables, one below the other."""
    drops = [{"reason": reason, "packets/s": n} for reason, n in told["drops"].items()]
    columns = ("id", "mode", "received", "sent", "dropped", "batch", "cache %", "asleep %")
    rows = [
        {**row, "cache %": row["cache"], "asleep %": row["asleep"], **row["cycles"]}
        for row in told["workers"]
    ]
    stages = tuple(told["workers"][0]["cycles"]) if told["workers"] else ()
    sizes = tuple(told["workers"][0]["batches"]) if told["workers"] else ()
    blocks = (
        ("workers, packets/s", rows, columns),
        ("cycles a packet", rows, ("id", *stages, "cycles_sum")),
        ("batches by size", [{**row, **row["batches"]} for row in rows], ("id", *sizes)),
        ("ports, packets/s", told["ports"], ("name", *PORT_COUNTERS)),
        ("drops", drops, ("reason", "packets/s")),
    )
    return "\n\n".join(f"{title}\n{_columns(rows, names)}" for title, rows, names in blocks if rows)


def _columns(rows: Iterable[Row], names: Sequence[str]) -> str:
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _get(path: str) -> Any:
    from ..message import Get
    from .ask import ask

    return ask("dataplane", Get(path)).data
