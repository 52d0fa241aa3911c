"""The bulk operations on routers: what a source of routes asks of the dataplane.

Payloads are the records of control/message/routes.py and trees.py.  Every operation answers with
DONE, or says that there is no such router, or that the payload is none.
"""

import struct
from collections.abc import Callable, Sequence

from .datapath import DONE
from .openflow import BAD_LEN, now_ms
from .router import Router
from .routers import BAD_ROUTER
from .switch import Switch

ROUTE_RECORD, NEIGHBOUR_RECORD = 32, 40  # bytes
PAGE = struct.Struct("!BII")  # source, where to begin, how many at most

Answer = Sequence[bytes]


def answer(switch: Switch, op: str, name: str, payload: bytes) -> tuple[int, str, Answer]:
    """Do one of OPERATIONS on a router; return a code, what is wrong, and frames."""
    there = switch.routers.open.get(name)
    if there is None:
        return BAD_ROUTER, f"no router {name!r}", ()
    try:
        return DONE, "", OPERATIONS[op](there.router, payload)
    except struct.error as error:
        return BAD_LEN, f"{op}: {error}", ()


def _whole(payload: bytes, size: int) -> bytes:
    """Return records, if they are whole ones of this size."""
    if len(payload) % size:
        raise struct.error(f"{len(payload)} bytes are no whole records of {size}")
    return payload


def _route_mod(router: Router, payload: bytes) -> Answer:
    return (router.route_mod(_whole(payload, ROUTE_RECORD)),)


def _next_hop_mod(router: Router, payload: bytes) -> Answer:
    return (router.next_hop_mod(payload),)


def _neighbour_mod(router: Router, payload: bytes) -> Answer:
    return (router.neighbour_mod(_whole(payload, NEIGHBOUR_RECORD), now_ms()),)


def _begin(router: Router, payload: bytes) -> Answer:
    router.begin(*struct.unpack("!B", payload))
    return ()


def _sweep(router: Router, payload: bytes) -> Answer:
    return (struct.pack("!I", router.sweep(*struct.unpack("!B", payload))),)


def _page(token: int, records: bytes) -> Answer:
    return struct.pack("!I", token), records


def _routes(router: Router, payload: bytes) -> Answer:
    return _page(*router.routes(*PAGE.unpack(payload)))


def _next_hops(router: Router, payload: bytes) -> Answer:
    return _page(*router.groups(*PAGE.unpack(payload)))


def _neighbours(router: Router, payload: bytes) -> Answer:
    _, cursor, limit = PAGE.unpack(payload)
    return _page(*router.neighbours(now_ms(), cursor, limit))


def _tree_mod(router: Router, payload: bytes) -> Answer:
    return (router.tree_mod(payload),)


def _tree_begin(router: Router, payload: bytes) -> Answer:
    router.begin_trees(*struct.unpack("!B", payload))
    return ()


def _tree_sweep(router: Router, payload: bytes) -> Answer:
    return (struct.pack("!I", router.sweep_trees(*struct.unpack("!B", payload))),)


def _trees(router: Router, payload: bytes) -> Answer:
    return _page(*router.trees(*PAGE.unpack(payload)))


OPERATIONS: dict[str, Callable[[Router, bytes], Answer]] = {
    "route_mod": _route_mod,
    "next_hop_mod": _next_hop_mod,
    "neighbour_mod": _neighbour_mod,
    "route_begin": _begin,
    "route_sweep": _sweep,
    "routes": _routes,
    "next_hops": _next_hops,
    "neighbours": _neighbours,
    "tree_mod": _tree_mod,
    "tree_begin": _tree_begin,
    "tree_sweep": _tree_sweep,
    "trees": _trees,
}
