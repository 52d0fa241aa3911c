"""The bulk operations on routers: what a source of routes asks of the dataplane.

Payloads are the records of control/message/routes.py.  Every operation answers with DONE, or says
that there is no such router, or that the payload is none.
"""

import struct
from collections.abc import Callable, Sequence

from ..control.message import BulkReply, BulkRequest
from .openflow import BAD_LEN, now_ms
from .router import Router
from .switch import Switch

BAD_ROUTER = 0xFFFE0003  # not OpenFlow's: no such router
PAGE = struct.Struct("!BII")  # source, where to begin, how many at most

Answer = Sequence[bytes]


def answer(switch: Switch, request: BulkRequest, payload: bytes) -> tuple[BulkReply, list[bytes]]:
    """Do one of OPERATIONS on the router that the request names."""
    there = switch.routers.open.get(request.bridge)
    if there is None:
        return BulkReply(BAD_ROUTER, f"no router {request.bridge!r}"), []
    try:
        return BulkReply(), list(OPERATIONS[request.op](there.router, payload))
    except struct.error as error:
        return BulkReply(BAD_LEN, f"{request.op}: {error}"), []


def _route_mod(router: Router, payload: bytes) -> Answer:
    return (router.route_mod(payload),)


def _next_hop_mod(router: Router, payload: bytes) -> Answer:
    return (router.next_hop_mod(payload),)


def _neighbour_mod(router: Router, payload: bytes) -> Answer:
    return (router.neighbour_mod(payload, now_ms()),)


def _begin(router: Router, payload: bytes) -> Answer:
    router.begin(*struct.unpack("!B", payload))
    return ()


def _sweep(router: Router, payload: bytes) -> Answer:
    return (struct.pack("!I", router.sweep(*struct.unpack("!B", payload))),)


def _routes(router: Router, payload: bytes) -> Answer:
    token, records = router.routes(*PAGE.unpack(payload))
    return struct.pack("!I", token), records


def _next_hops(router: Router, payload: bytes) -> Answer:
    source, _, _ = PAGE.unpack(payload)
    return struct.pack("!I", 0), router.groups(source)


def _neighbours(router: Router, payload: bytes) -> Answer:
    PAGE.unpack(payload)
    return struct.pack("!I", 0), router.neighbours(now_ms())


OPERATIONS: dict[str, Callable[[Router, bytes], Answer]] = {
    "route_mod": _route_mod,
    "next_hop_mod": _next_hop_mod,
    "neighbour_mod": _neighbour_mod,
    "route_begin": _begin,
    "route_sweep": _sweep,
    "routes": _routes,
    "next_hops": _next_hops,
    "neighbours": _neighbours,
}
