"""The bulk operations on routers: what a source of routes asks of the dataplane.

Payloads are the records of control/message/routes.py and trees.py.  Every operation answers with
DONE, or says that there is no such router, or that the payload is none.
"""

import struct
from collections.abc import Callable, Sequence

from . import nat_sessions, sending
from .datapath import DONE
from .openflow import BAD_LEN, now_ms
from .operation import Operation, Refused
from .routers import BAD_ROUTER, Open
from .switch import Switch

REFUSED = 0xFFFE0005  # not OpenFlow's: well-formed, and it cannot be done
ROUTE_RECORD, NEIGHBOUR_RECORD = 32, 40  # bytes
PAGE = struct.Struct("!BII")  # source, where to begin, how many at most

Answer = Sequence[bytes]


def answer(switch: Switch, op: str, name: str, payload: bytes) -> tuple[int, str, Answer]:
    """Do one of OPERATIONS on a router; return a code, what is wrong, and frames."""
    there = switch.routers.open.get(name)
    if there is None:
        return BAD_ROUTER, f"no router {name!r}", ()
    try:
        return DONE, "", OPERATIONS[op].run(there, payload)
    except struct.error as error:
        return BAD_LEN, f"{op}: {error}", ()
    except Refused as error:
        return REFUSED, f"{op}: {error}", ()


def _whole(payload: bytes, size: int) -> bytes:
    """Return records, if they are whole ones of this size."""
    if len(payload) % size:
        raise struct.error(f"{len(payload)} bytes are no whole records of {size}")
    return payload


def _route_mod(there: Open, payload: bytes) -> Answer:
    """Put and remove routes of prefixes and labels."""
    return (there.router.route_mod(_whole(payload, ROUTE_RECORD)),)


def _next_hop_mod(there: Open, payload: bytes) -> Answer:
    """Put and remove groups of next hops."""
    return (there.router.next_hop_mod(payload),)


def _neighbour_mod(there: Open, payload: bytes) -> Answer:
    """Set and remove neighbours."""
    return (there.router.neighbour_mod(_whole(payload, NEIGHBOUR_RECORD), now_ms()),)


def _begin(there: Open, payload: bytes) -> Answer:
    """Mark the routes of a source."""
    there.router.begin(*struct.unpack("!B", payload))
    return ()


def _sweep(there: Open, payload: bytes) -> Answer:
    """Remove those that were not put since."""
    return (struct.pack("!I", there.router.sweep(*struct.unpack("!B", payload))),)


def _page(token: int, records: bytes) -> Answer:
    return struct.pack("!I", token), records


def _routes(there: Open, payload: bytes) -> Answer:
    """List routes of prefixes and labels, by pages."""
    return _page(*there.router.routes(*PAGE.unpack(payload)))


def _next_hops(there: Open, payload: bytes) -> Answer:
    """List groups of next hops, by pages."""
    return _page(*there.router.groups(*PAGE.unpack(payload)))


def _neighbours(there: Open, payload: bytes) -> Answer:
    """List neighbours, by pages."""
    _, cursor, limit = PAGE.unpack(payload)
    return _page(*there.router.neighbours(now_ms(), cursor, limit))


def _tree_mod(there: Open, payload: bytes) -> Answer:
    """Put and remove trees."""
    return (there.router.tree_mod(payload),)


def _tree_begin(there: Open, payload: bytes) -> Answer:
    """Mark the trees of a source."""
    there.router.begin_trees(*struct.unpack("!B", payload))
    return ()


def _tree_sweep(there: Open, payload: bytes) -> Answer:
    """Remove those that were not put since."""
    return (struct.pack("!I", there.router.sweep_trees(*struct.unpack("!B", payload))),)


def _trees(there: Open, payload: bytes) -> Answer:
    """List trees, by pages."""
    return _page(*there.router.trees(*PAGE.unpack(payload)))


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
}
