"""All counters at one time, as sets of rows by key: what one request of `sample` brings.

A sample costs the control thread one pass over what is there and the workers
nothing: their counters are read while they count.  The sets in BULKY grow with
the tables, so they are OpenFlow's own bytes, written in C.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import state
from .bridge import Bridge
from .openflow import now_ms
from .switch import Switch

QUEUE_STATS = struct.Struct("!IIQQQII")
ANY, ALL_GROUPS = b"\xff\xff\xff\xff", b"\xff\xff\xff\xfc"
NO_MATCH = bytes([0, 1, 0, 4, 0, 0, 0, 0])
# Multipart types of OpenFlow 1.3, and the bodies of requests for all there is.
QUEUES = 5, ANY + ANY
BULKY = {
    "flow": (1, b"\xff\0\0\0" + ANY + ANY + bytes(20) + NO_MATCH),
    "group": (6, ALL_GROUPS + bytes(4)),
    "meter": (9, ANY + bytes(4)),
}

Rows = Iterator[tuple[str, dict[str, Any]]]


def take(switch: Switch, names: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Read the sets with *names*, those that there are."""
    switch.ports.refresh_counters()
    found = {name: dict(SETS[name](switch)) for name in names if name in SETS}
    return found | {name: dict(_bodies(switch, *BULKY[name])) for name in names if name in BULKY}


def _ports(switch: Switch) -> Rows:
    for row in state.read(switch, "/port"):
        port = switch.ports.open.get(row["name"])
        yield row["name"], row | (port.counters() if port else {})


def _queues(switch: Switch) -> Rows:
    for name, bridge in switch.bridges.items():
        for body in bridge.multipart(*QUEUES, now_ms()):
            for port, queue, size, packets, errors, *_ in QUEUE_STATS.iter_unpack(body):
                counted = {"tx_bytes": size, "tx_packets": packets, "tx_errors": errors}
                row = {"bridge": name, "number": port, "queue": queue, **counted}
                yield f"{name}/{port}/{queue}", row


def _bridges(switch: Switch) -> Rows:
    for name, bridge in switch.bridges.items():
        yield name, _bridge(bridge)


def _bridge(bridge: Bridge) -> dict[str, Any]:
    return {
        "name": bridge.name,
        "flows": bridge.n_flows,
        "controllers": bridge.controllers,
        "standalone": bridge.standalone,
        "events_lost": bridge.events_lost,
    }


def _tables(switch: Switch) -> Rows:
    for name, bridge in switch.bridges.items():
        for table in bridge.tables():
            yield f"{name}/{table['table']}", {"bridge": name, **table}


_COUNTED = (
    "prefixes",
    "labels",
    "routes",
    "next-hops",
    "trees",
    "routes-refused",
    "members-refused",
)


def _routers(switch: Switch) -> Rows:
    for row in state.read(switch, "/router"):
        counts = {name: row[name] for name in _COUNTED}
        yield row["name"], {"name": row["name"], **counts, "nat": row["nat"]["counts"]}


def _interfaces(switch: Switch) -> Rows:
    for router in state.read(switch, "/router"):
        for row in router["interface"]:
            yield row["name"], {"router": router["name"], **row}


def _rows(view: str, *keys: str) -> Callable[[Switch], Rows]:
    """Return a set that is a view of the state, with its key."""

    def read(switch: Switch) -> Rows:
        for row in state.read(switch, view):
            yield "/".join(str(row[key]) for key in keys), row

    return read


def _bodies(switch: Switch, kind: int, request: bytes) -> Rows:
    for name, bridge in switch.bridges.items():
        now = now_ms()
        yield name, {"multipart": kind, "now": now, "parts": bridge.multipart(kind, request, now)}


def _neighbours(switch: Switch) -> Rows:
    yield "all", switch.dataplane.neighbours()


SETS: Mapping[str, Callable[[Switch], Rows]] = {
    "port": _ports,
    "queue": _queues,
    "bridge": _bridges,
    "table": _tables,
    "worker": _rows("/worker", "id"),
    "drops": _rows("/drops", "name"),
    "fdb": _rows("/fdb", "bridge", "vlan", "mac"),
    "router": _routers,
    "interface": _interfaces,
    "neighbour": _neighbours,
    "tree": _rows("/tree", "router", "group", "source"),
}
