"""The volatile API of routers: records of routes, next hops and neighbours, and its client.

The operations go to the bulk endpoint of the dataplane, with the name of the router in the place
of the bridge.  Numbers are in network byte order.

    route_mod, neighbour_mod   records of 32 and 40 bytes, ROUTE and NEIGHBOUR
    next_hop_mod               8 bytes each, and 40 for each member
    route_begin, route_sweep   the source, a byte: what is not put again in between is removed
    routes, next_hops,         the source (0: all), a byte, and two numbers: where to begin and
    neighbours                 how many at most; answered by where to go on (0: end), and records

A route may be one of an MPLS label: what comes with it goes by the next hops, without it and with
theirs.  Its prefix is the label, written label:100 here.

Every record of the first three is answered by a number of four bytes, 0 or one of ERRORS.  A group
of next hops belongs to its source.  Putting one that is there replaces it, at once, for all routes
that name it.
"""

import enum
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec
import numpy as np

from .bulk import DONE, BulkReply, BulkRequest
from .codes import code_of
from .failure import CallError, Code, Failure
from .retry import ONCE, Result, Retry, carry_out

ROUTE_API = "dataplane.bulk"  # the name by which the registry knows the endpoint
BATCH = 8192  # records of a request
MAX_HOPS = 256  # members of a group
NO_LABEL, MAX_LABELS = 0xFFFFFFFF, 4
LABEL, LABEL_LENGTH, LABEL_TEXT = 20, 20, "label:"  # the family of routes of labels
LEAST_LABEL, GREATEST_LABEL = 16, 0xFFFFF  # below are special-purpose labels (RFC 7274)
IPV4_NULL, IPV6_NULL, IMPLICIT_NULL = 0, 2, 3  # RFC 3032, section 2.1
PUT, REMOVE = 1, 2

ROUTE = np.dtype(
    [
        ("op", "u1"),
        ("family", "u1"),  # 4, 6 or LABEL
        ("length", "u1"),  # bits
        ("source", "u1"),
        ("via", ">u4"),  # the id of a group of next hops of the same source
        ("metric", ">u4"),
        ("distance", "u1"),
        ("zero", "V3"),
        ("prefix", "V16"),  # of IPv4, and of a label, the first four bytes, then zeros
    ]
)
NEIGHBOUR = np.dtype(
    [
        ("op", "u1"),
        ("family", "u1"),
        ("state", "u1"),
        ("zero", "u1"),
        ("interface", ">u4"),
        ("address", "V16"),
        ("mac", "V6"),
        ("zeros", "V2"),
        ("age", ">u8"),  # of the state, in ms; only in answers
    ]
)

_ROUTE = struct.Struct(">BBBBIIB3x16s")
_NEIGHBOUR = struct.Struct(">BBBxI16s6s10x")
_GROUP = struct.Struct(">BBHI")
_HOP = struct.Struct(">BBHI16s4I")
_PAGE = struct.Struct(">BII")

Records = np.ndarray[Any, np.dtype[Any]]


class Source(enum.IntEnum):
    """Who says so.  Numbers from 16 are free for others."""

    ALL = 0
    CONNECTED = 1
    STATIC = 2
    NEIGHBOUR = 3
    KERNEL = 4
    FPM = 5
    MEMBERSHIP = 6  # trees only: hosts on the links have joined
    OPERATOR = 16


class Kind(enum.IntEnum):
    """What a next hop is."""

    GATEWAY = 1  # a router on the link of an interface
    LINK = 2  # the destination itself, on the link of an interface
    BLACKHOLE = 3
    UNREACHABLE = 4
    PROHIBIT = 5
    RECURSIVE = 6  # a router that another route leads to
    LOCAL = 7  # the destination is here; a label ends, and what is below it is looked up


class State(enum.IntEnum):
    """What is known of a neighbour (RFC 4861, section 7.3.2)."""

    INCOMPLETE = 0
    REACHABLE = 1
    STALE = 2
    DELAY = 3
    PROBE = 4
    FAILED = 5
    PERMANENT = 6


#: What the number that answers a record means, beside 0: done.
ERRORS = {
    1: (Code.INVALID, "a length or a field is wrong"),
    2: (Code.NOT_FOUND, "there is no such router"),
    3: (Code.NOT_FOUND, "there is no such interface"),
    4: (Code.NOT_FOUND, "there is no such group of next hops"),
    5: (Code.UNAVAILABLE, "the table is full"),
    6: (Code.NOT_FOUND, "there is no such entry"),
    7: (Code.UNAVAILABLE, "it is in use"),
    8: (Code.CONFLICT, "the configuration has it"),
    9: (Code.REFUSED, "its address outside is in no pool"),
}


class Hop(msgspec.Struct, frozen=True):
    """A member of a group; the gateway is 4 or 16 bytes, or none."""

    kind: Kind
    interface: int = 0  # the dataplane's number of it; 0: none
    gateway: bytes = b""
    weight: int = 1
    labels: tuple[int, ...] = ()  # the outermost first


class Group(msgspec.Struct, frozen=True):
    """Next hops that flows are spread over."""

    source: int
    id: int
    hops: tuple[Hop, ...]


def error_text(number: int) -> str:
    """Say what the number that answers a record means."""
    return ERRORS[number][1] if number in ERRORS else f"error {number}" if number else "done"


# Records.


def pack_route(
    prefix: str, via: int, source: int, *, op: int = PUT, metric: int = 0, distance: int = 1
) -> bytes:
    """Return the record of a route; ValueError if the prefix is none."""
    family, length, address = _read_prefix(prefix)
    return _ROUTE.pack(op, family, length, source, via, metric, distance, address)


def _read_prefix(text: str) -> tuple[int, int, bytes]:
    if text.startswith(LABEL_TEXT):
        return LABEL, LABEL_LENGTH, read_label(text.removeprefix(LABEL_TEXT)).to_bytes(4)
    network = ip_network(text)
    return network.version, network.prefixlen, network.network_address.packed


def read_label(text: str) -> int:
    """Read a label that routes may be of; ValueError if it is none."""
    number = int(text)
    if not LEAST_LABEL <= number <= GREATEST_LABEL:
        raise ValueError(f"{number} is no label from {LEAST_LABEL} to {GREATEST_LABEL}")
    return number


def pack_neighbour(
    address: bytes, interface: int, mac: bytes, state: int = State.PERMANENT, op: int = PUT
) -> bytes:
    """Return the record of a neighbour, whose address is 4 or 16 bytes."""
    return _NEIGHBOUR.pack(op, family_of(address), state, interface, address, mac)


def pack_group(group: Group, op: int = PUT) -> bytes:
    """Return the record of a group; to remove it, its hops do not matter."""
    hops = group.hops if op == PUT else ()
    head = _GROUP.pack(op, group.source, len(hops), group.id)
    return head + b"".join(map(_pack_hop, hops))


def _pack_hop(hop: Hop) -> bytes:
    labels = (*hop.labels, *(NO_LABEL,) * (MAX_LABELS - len(hop.labels)))
    family = family_of(hop.gateway)
    return _HOP.pack(hop.kind, family, hop.weight, hop.interface, hop.gateway, *labels)


def unpack_groups(data: bytes) -> Iterator[Group]:
    """Read records of groups; ValueError if they are none."""
    at = 0
    while at < len(data):
        try:
            _, source, n, ident = _GROUP.unpack_from(data, at)
            at += _GROUP.size
            hops = tuple(_unpack_hop(data, at + i * _HOP.size) for i in range(n))
        except struct.error as error:
            raise ValueError(f"a group of next hops is cut short at byte {at}") from error
        at += n * _HOP.size
        yield Group(source, ident, hops)


def _unpack_hop(data: bytes, at: int) -> Hop:
    kind, family, weight, interface, gateway, *labels = _HOP.unpack_from(data, at)
    shown = tuple(label for label in labels if label != NO_LABEL)
    return Hop(Kind(kind), interface, cut(family, gateway), weight, shown)


def group_id(hops: Sequence[Hop]) -> int:
    """Return an id that follows from the hops alone, so that it outlives who gives it."""
    content = b"".join(map(_pack_hop, hops))
    return zlib.crc32(content, len(content)) or 1


def family_of(address: bytes) -> int:
    """Return 4 or 6 of the bytes of an address, 0 of none."""
    return {0: 0, 4: 4, 16: 6}[len(address)]


def cut(family: int, address: bytes) -> bytes:
    """Return the bytes of a field that are the address."""
    return address[: {4: 4, 6: 16, LABEL: 4}.get(family, 0)]


def prefix_text(record: Any) -> str:
    """Write the prefix of a record of a route."""
    address = cut(record["family"], record["prefix"].tobytes())
    if record["family"] == LABEL:
        return f"{LABEL_TEXT}{int.from_bytes(address)}"
    return f"{ip_address(address)}/{record['length']}"


def address_bytes(record: Any) -> bytes:
    """Return the address of a record of a neighbour, 4 or 16 bytes."""
    return cut(record["family"], record["address"].tobytes())


def address_text(record: Any) -> str:
    """Write the address of a record of a neighbour."""
    return str(ip_address(address_bytes(record)))


# The client.


class Ask(Protocol):
    """How a request gets to the dataplane: BulkClient.request, or what is like it."""

    async def __call__(
        self, request: BulkRequest, payload: bytes, /
    ) -> tuple[BulkReply, list[bytes]]:
        """Return the reply and its payload; raise CallError if there is none."""


class Kept(NamedTuple):
    """How the records of an operation are told apart: those with one key are of one entry."""

    key: Callable[[bytes], bytes]
    name: Callable[[bytes], str]


KEPT: dict[str, Kept] = {
    "route_mod": Kept(
        lambda record: record[1:4] + record[16:],
        lambda record: f"route {prefix_text(np.frombuffer(record, ROUTE)[0])}",
    ),
    "next_hop_mod": Kept(
        lambda record: record[1:2] + record[4:8],
        lambda record: f"next hops {int.from_bytes(record[4:8])}",
    ),
    "neighbour_mod": Kept(
        lambda record: record[1:2] + record[4:24],
        lambda record: f"neighbour {address_text(np.frombuffer(record, NEIGHBOUR)[0])}",
    ),
}


class RouteClient:
    """The API of one router.  CallError: a request failed as a whole."""

    kept: ClassVar[dict[str, Kept]] = KEPT

    def __init__(self, ask: Ask, router: str) -> None:
        self.router = router
        self._ask = ask

    async def carry_out(
        self, op: str, records: Sequence[bytes], retry: Retry = ONCE
    ) -> list[Result]:
        """Put and remove what *op* does, a record each; return a result for each.

        What may succeed the next time is tried again as *retry* says (retry.py).
        """

        async def send(part: Sequence[bytes]) -> list[Result]:
            codes = await self._mod(op, [(b"".join(part), len(part))])
            return [self._result(op, i, int(codes[i]), record) for i, record in enumerate(part)]

        return await carry_out(send, records, self.kept[op].key, retry, BATCH)

    def _result(self, op: str, index: int, number: int, record: bytes) -> Result:
        if not number:
            return Result(index)
        code, text = ERRORS.get(number, (Code.INVALID, error_text(number)))
        try:
            name = self.kept[op].name(record)
        except ValueError:  # it is no record: that may be what is wrong with it
            name = f"record {record.hex()}"
        return Result(index, code, f"{name}: {text}")

    async def routes_mod(self, records: bytes) -> Records:
        """Put and remove routes; return a code for each."""
        size = BATCH * ROUTE.itemsize
        parts = [records[at : at + size] for at in range(0, len(records), size)]
        return await self._mod("route_mod", [(p, len(p) // ROUTE.itemsize) for p in parts])

    async def neighbours_mod(self, records: bytes) -> Records:
        """Put and remove neighbours; return a code for each."""
        size = BATCH * NEIGHBOUR.itemsize
        parts = [records[at : at + size] for at in range(0, len(records), size)]
        return await self._mod("neighbour_mod", [(p, len(p) // NEIGHBOUR.itemsize) for p in parts])

    async def next_hops_mod(self, records: Sequence[bytes]) -> Records:
        """Put and remove groups, a record each; return a code for each."""
        parts = [records[at : at + BATCH] for at in range(0, len(records), BATCH)]
        return await self._mod("next_hop_mod", [(b"".join(part), len(part)) for part in parts])

    async def begin(self, source: int) -> None:
        """Mark all that *source* has put."""
        await self._request("route_begin", bytes([source]))

    async def sweep(self, source: int) -> int:
        """Remove what is still marked; return how many routes that were."""
        return int.from_bytes((await self._request("route_sweep", bytes([source])))[0])

    async def routes(self, source: int = Source.ALL) -> Records:
        """Return all routes of a source, as ROUTE."""
        return np.frombuffer(b"".join([p async for p in self._pages("routes", source)]), ROUTE)

    async def neighbours(self) -> Records:
        """Return all neighbours, as NEIGHBOUR."""
        pages = [page async for page in self._pages("neighbours", Source.ALL)]
        return np.frombuffer(b"".join(pages), NEIGHBOUR)

    async def next_hops(self, source: int = Source.ALL) -> list[Group]:
        """Return all groups of a source."""
        pages = [page async for page in self._pages("next_hops", source)]
        return list(unpack_groups(b"".join(pages)))

    async def _pages(self, op: str, source: int) -> AsyncIterator[bytes]:
        token = 0
        while True:
            head, records = await self._request(op, _PAGE.pack(source, token, BATCH), 2)
            yield records
            if not (token := int.from_bytes(head)):
                return

    async def _mod(self, op: str, parts: Iterable[tuple[bytes, int]]) -> Records:
        codes = [np.zeros(0, ">u4")]
        for payload, n in parts:
            (answer,) = await self._request(op, payload)
            if len(answer) != 4 * n:
                raise self._failure(op, f"{len(answer)} bytes answer {n} records")
            codes.append(np.frombuffer(answer, ">u4"))
        return np.concatenate(codes)

    async def _request(self, op: str, payload: bytes, n: int = 1) -> list[bytes]:
        """Return the *n* frames of an answer."""
        reply, frames = await self._ask(BulkRequest(op, self.router), payload)
        if reply.code != DONE:
            raise self._failure(op, reply.text or f"error {reply.code:#x}", code_of(reply.code))
        if not op.endswith("_begin") and len(frames) != n:
            raise self._failure(op, f"{len(frames)} frames answer it where there should be {n}")
        return frames

    def _failure(self, op: str, reason: str, code: Code = Code.INTERNAL) -> CallError:
        return CallError(Failure(code, f"{op} of router {self.router}: {reason}"))
