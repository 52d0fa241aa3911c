"""What can be asked of the dataplane: every operation, and which API it is part of.

Read from the tables that requests are looked up in, so nothing is listed that is not there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import escalations, openflow, routes, sample, state
from .operation import Operation

TABLES: tuple[Mapping[str, Operation[Any]], ...] = (
    openflow.OPERATIONS,
    routes.OPERATIONS,
    escalations.OPERATIONS,
)
# Views of the state and sets of counters, where they are part of an API that has more.
NAMES = {
    "fdb": "l2/fdb",
    "multicast": "l2/multicast",
    "router": "l3/router",
    "tree": "l3/tree",
    "interface": "l3/interface",
    "neighbour": "l3/neighbour",
    "flow": "openflow/flow",
    "group": "openflow/group",
    "meter": "qos/meter",
    "queue": "qos/queue",
    "table": "openflow/table",
}


# Counters of several APIs that are rows of one set.
COUNTED = {"router": ("l3/router", "l3/route", "l3/next-hop", "nat/session", "nat/forward")}


def rows(more: Mapping[str, Operation[Any]]) -> list[dict[str, Any]]:
    """Return all operations, with *more* of the bulk endpoint."""
    return [*_operations((*TABLES, more)), *_views(), *_counters()]


def _operations(tables: Iterable[Mapping[str, Operation[Any]]]) -> Iterator[dict[str, Any]]:
    for table in tables:
        for name, operation in table.items():
            told = (operation.run.__doc__ or "").partition("\n")[0]
            yield _row(operation.api, operation.verbs, "bulk", name, told)


def _views() -> Iterator[dict[str, Any]]:
    for view in state.VIEWS:
        yield _row(NAMES.get(view, view), ("get",), "Get", f"/{view}", "Read what there is.")


def _counters() -> Iterator[dict[str, Any]]:
    for name in (*sample.SETS, *sample.BULKY):
        for api in COUNTED.get(name, (NAMES.get(name, name),)):
            yield _row(api, ("stat", "bulk"), "sample", name, "Read all counters.")


def _row(api: str, verbs: Iterable[str], by: str, name: str, told: str) -> dict[str, Any]:
    return {"api": api, "verbs": list(verbs), "by": by, "operation": name, "text": told}
