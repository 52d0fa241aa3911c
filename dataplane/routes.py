"""The bulk operations on routers: what a source of routes asks of the dataplane.

Payloads are the records of control/message/routes.py and trees.py.
"""

import struct
from collections.abc import Callable, Sequence

from . import nat_forwards, nat_sessions, sending
from .openflow import now_ms
from .operation import NoSuch, Operation, Reply, Sizes, reply, unpack, whole, whole_of
from .routers import Open
from .switch import Switch

ROUTE_RECORD, NEIGHBOUR_RECORD = 32, 40  # bytes
GROUP, TREE = Sizes(8, 2, 40), Sizes(68, 4, 4)
PAGE = struct.Struct("!BII")  # source, where to begin, how many at most
SOURCE = struct.Struct("!B")

Answer = Sequence[bytes]


def answer(switch: Switch, op: str, name: str, payload: bytes) -> Reply:
    """Do one of OPERATIONS on a router; return a code, what is wrong, and frames."""
    return reply(op, lambda: OPERATIONS[op].run(_router(switch, name), payload))


def _router(switch: Switch, name: str) -> Open:
    if name not in switch.routers.open:
        raise NoSuch(f"no router {name!r}")
    return switch.routers.open[name]


def _route_mod(there: Open, payload: bytes) -> Answer:
    """Put and remove routes of prefixes and labels."""
    return (there.router.route_mod(whole(payload, ROUTE_RECORD)),)


def _next_hop_mod(there: Open, payload: bytes) -> Answer:
    """Put and remove groups of next hops."""
    return (there.router.next_hop_mod(whole_of(payload, GROUP)),)


def _neighbour_mod(there: Open, payload: bytes) -> Answer:
    """Set and remove neighbours."""
    return (there.router.neighbour_mod(whole(payload, NEIGHBOUR_RECORD), now_ms()),)


def _begin(there: Open, payload: bytes) -> Answer:
    """Mark the routes of a source."""
    there.router.begin(*unpack(SOURCE, payload))
    return ()


def _sweep(there: Open, payload: bytes) -> Answer:
    """Remove those that were not put since."""
    return (struct.pack("!I", there.router.sweep(*unpack(SOURCE, payload))),)


def _page(token: int, records: bytes) -> Answer:
    return struct.pack("!I", token), records


def _routes(there: Open, payload: bytes) -> Answer:
    """List routes of prefixes and labels, by pages."""
    return _page(*there.router.routes(*unpack(PAGE, payload)))


def _next_hops(there: Open, payload: bytes) -> Answer:
    """List groups of next hops, by pages."""
    return _page(*there.router.groups(*unpack(PAGE, payload)))


def _neighbours(there: Open, payload: bytes) -> Answer:
    """List neighbours, by pages."""
    _, cursor, limit = unpack(PAGE, payload)
    return _page(*there.router.neighbours(now_ms(), cursor, limit))


def _tree_mod(there: Open, payload: bytes) -> Answer:
    """Put and remove trees."""
    return (there.router.tree_mod(whole_of(payload, TREE)),)


def _tree_begin(there: Open, payload: bytes) -> Answer:
    """Mark the trees of a source."""
    there.router.begin_trees(*unpack(SOURCE, payload))
    return ()


def _tree_sweep(there: Open, payload: bytes) -> Answer:
    """Remove those that were not put since."""
    return (struct.pack("!I", there.router.sweep_trees(*unpack(SOURCE, payload))),)


def _trees(there: Open, payload: bytes) -> Answer:
    """List trees, by pages."""
    return _page(*there.router.trees(*unpack(PAGE, payload)))


OPERATIONS: dict[str, Operation[Callable[[Open, bytes], Answer]]] = {
    "route_mod": Operation("l3/route", ("add", "del", "bulk"), _route_mod),
    "next_hop_mod": Operation("l3/next-hop", ("add", "del", "bulk"), _next_hop_mod),
    "neighbour_mod": Operation("l3/neighbour", ("add", "del", "bulk"), _neighbour_mod),
    "route_begin": Operation("l3/route", ("bulk",), _begin),
    "route_sweep": Operation("l3/route", ("del", "bulk"), _sweep),
    "routes": Operation("l3/route", ("get", "bulk"), _routes),
    "next_hops": Operation("l3/next-hop", ("get", "bulk"), _next_hops),
    "neighbours": Operation("l3/neighbour", ("get", "bulk"), _neighbours),
    "tree_mod": Operation("l3/tree", ("add", "del", "bulk"), _tree_mod),
    "tree_begin": Operation("l3/tree", ("bulk",), _tree_begin),
    "tree_sweep": Operation("l3/tree", ("del", "bulk"), _tree_sweep),
    "trees": Operation("l3/tree", ("get", "bulk"), _trees),
    **sending.OPERATIONS,
    **nat_sessions.OPERATIONS,
    **nat_forwards.OPERATIONS,
}
