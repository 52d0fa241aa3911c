"""The configuration of queues of ports."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """A queue of a port; rates in bit/s, 0: none."""

    id: int
    priority: int = 0
    min_rate: int = 0
    max_rate: int = 0
    burst: int = 0  # bytes; 0: by the rate
    limit: int = LIMIT  # bytes


def read_queues(rows: Iterable[Mapping[str, Any]]) -> tuple[QueueConfig, ...]:
    """Turn the queues of a port into values, in the order of their numbers."""
    queues = (
        QueueConfig(
            row["id"],
            row.get("priority", 0),
            row.get("min-rate", 0),
            row.get("max-rate", 0),
            row.get("burst", 0),
            row.get("limit", LIMIT),
        )
        for row in rows
    )
    return tuple(sorted(queues, key=lambda queue: queue.id))


def broken_promises(
    path: str, queues: Iterable[QueueConfig], rate: int
) -> Iterator[tuple[str, str]]:
    """Yield where the queues of a port of *rate* (0: unknown) promise more than it has, and why."""
    promised = 0
    for queue in queues:
        promised += queue.min_rate
        if rate and promised > rate:
            where = f"{path}/queue[id='{queue.id}']/min-rate"
            yield where, f"{promised} bit/s are promised, more than the {rate} of the port"
            return
