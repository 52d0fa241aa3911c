"""Records of the volatile API of routers, and its client against a server of the same bytes."""

import asyncio

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.message import BulkClient, BulkReply, BulkRequest, BulkServer, CallError
from raicho.control.message.codes import NO_SUCH
from raicho.control.message.routes import (
    BATCH,
    ERRORS,
    MAX_LABELS,
    NEIGHBOUR,
    PUT,
    REMOVE,
    ROUTE,
    Group,
    Hop,
    Kind,
    RouteClient,
    Source,
    State,
    address_text,
    error_text,
    group_id,
    pack_group,
    pack_neighbour,
    pack_route,
    prefix_text,
    unpack_groups,
)

addresses = st.sampled_from([0, 4, 16]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
hops = st.builds(
    Hop,
    st.sampled_from(Kind),
    st.integers(0, 0xFFFFFFFF),
    addresses,
    st.integers(0, 0xFFFF),
    st.lists(st.integers(0, 0xFFFFF), max_size=MAX_LABELS).map(tuple),
)
groups = st.builds(
    Group, st.integers(1, 255), st.integers(1, 0xFFFFFFFF), st.lists(hops, max_size=9).map(tuple)
)


def test_the_records_have_the_sizes_of_the_contract() -> None:
    assert (ROUTE.itemsize, NEIGHBOUR.itemsize) == (32, 40)
    assert len(pack_group(Group(5, 1, ()))) == 8
    assert len(pack_group(Group(5, 1, (Hop(Kind.LINK, 3),)))) == 8 + 40


def test_a_route_lies_on_the_wire_as_documented() -> None:
    record = pack_route("198.51.100.0/24", 0x01020304, Source.FPM, metric=20, distance=110)
    assert record.hex(" ", 4) == (
        "01041805 01020304 00000014 6e000000 c6336400 00000000 00000000 00000000"
    )
    (read,) = np.frombuffer(record, ROUTE)
    assert prefix_text(read) == "198.51.100.0/24"
    record = pack_route("2001:db8::/32", 7, Source.OPERATOR, op=REMOVE)
    (read,) = np.frombuffer(record, ROUTE)
    assert (prefix_text(read), read["op"], read["via"]) == ("2001:db8::/32", REMOVE, 7)


def test_a_label_is_a_route_of_its_own_family() -> None:
    record = pack_route("label:1048575", 7, Source.FPM)
    assert record.hex(" ", 4) == (
        "01141405 00000007 00000000 01000000 000fffff 00000000 00000000 00000000"
    )
    (read,) = np.frombuffer(record, ROUTE)
    assert prefix_text(read) == "label:1048575"
    for wrong in ("label:15", "label:1048576", "label:", "label:x"):
        with pytest.raises(ValueError, match=r"label|invalid literal"):
            pack_route(wrong, 7, Source.FPM)


def test_a_neighbour_lies_on_the_wire_as_documented() -> None:
    record = pack_neighbour(bytes([192, 0, 2, 1]), 9, bytes.fromhex("020000000001"))
    assert record.hex(" ", 4) == (
        "01040600 00000009 c0000201 00000000 00000000 00000000 02000000 00010000 00000000 00000000"
    )
    (read,) = np.frombuffer(record, NEIGHBOUR)
    assert (address_text(read), read["state"], read["op"]) == ("192.0.2.1", State.PERMANENT, PUT)


def test_a_prefix_with_bits_behind_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has host bits set"):
        pack_route("192.0.2.1/24", 1, Source.FPM)


@given(st.lists(groups, max_size=5))
def test_groups_are_read_as_they_were_written(groups: list[Group]) -> None:
    assert list(unpack_groups(b"".join(map(pack_group, groups)))) == groups


@given(st.binary(max_size=200))
def test_bytes_that_are_no_groups_are_a_value_error_or_groups(data: bytes) -> None:
    try:
        list(unpack_groups(data))
    except ValueError as error:
        assert str(error)


def test_the_id_of_a_group_follows_from_its_hops() -> None:
    one, two = Hop(Kind.LINK, 1), Hop(Kind.LINK, 2)
    assert group_id([one]) == group_id([Hop(Kind.LINK, 1)]) != group_id([two])
    assert group_id([one, two]) != group_id([two, one])


def test_every_error_has_a_text() -> None:
    """Q19: what a code means can be told."""
    assert [error_text(code) for code in ERRORS] == [text for _, text in ERRORS.values()]
    assert error_text(0) == "done"
    assert error_text(99) == "error 99"


class Table:
    """Answers as a router does: it holds routes by prefix, and removes none that is not there."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.marked: set[bytes] = set()
        self.sizes: list[int] = []

    async def answer(
        self, peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, list[bytes]]:
        if request.bridge != "r1":
            return BulkReply(NO_SUCH, f"no router {request.bridge!r}"), []
        return BulkReply(), getattr(self, request.op)(frames[0])

    def route_mod(self, payload: bytes) -> list[bytes]:
        records = [payload[at : at + 32] for at in range(0, len(payload), 32)]
        self.sizes.append(len(records))
        return [b"".join(self._mod(record).to_bytes(4) for record in records)]

    def _mod(self, record: bytes) -> int:
        key = record[1:3] + record[16:]
        self.marked.discard(key)
        if record[0] == PUT:
            self.held[key] = record
            return 0
        return 0 if self.held.pop(key, None) else 6

    def route_begin(self, payload: bytes) -> list[bytes]:
        self.marked = set(self.held)
        return []

    def route_sweep(self, payload: bytes) -> list[bytes]:
        for key in self.marked:
            del self.held[key]
        return [len(self.marked).to_bytes(4)]

    def routes(self, payload: bytes) -> list[bytes]:
        start, limit = int.from_bytes(payload[1:5]), int.from_bytes(payload[5:9])
        page = list(self.held.values())[start : start + limit]
        following = start + limit if start + limit < len(self.held) else 0
        return [following.to_bytes(4), b"".join(page)]

    def next_hops(self, payload: bytes) -> list[bytes]:
        return [b"\0\0\0"]


def test_the_client_puts_removes_sweeps_and_lists(context: zmq.SyncContext) -> None:
    """Q18, Q19: one result for each record, however many requests it takes."""

    async def conversation() -> None:
        table = Table()
        server = BulkServer(context, "inproc://routes", table.answer)
        bulk = BulkClient(context, "inproc://routes")
        client = RouteClient(bulk.request, "r1")
        many = [pack_route(f"10.{i >> 8}.{i & 255}.0/24", 1, 5) for i in range(2 * BATCH + 1)]
        assert not (await client.routes_mod(b"".join(many))).any()
        assert table.sizes == [BATCH, BATCH, 1]
        listed = await client.routes(Source.FPM)
        assert listed.tobytes() == b"".join(many)

        gone = pack_route("10.0.0.0/24", 1, 5, op=REMOVE)
        assert list(await client.routes_mod(gone + gone)) == [0, 6]
        await client.begin(Source.FPM)
        await client.routes_mod(many[1])
        assert await client.sweep(Source.FPM) == 2 * BATCH - 1
        assert len(table.held) == 1
        assert list(await client.routes_mod(b"")) == []

        with pytest.raises(CallError, match="route_mod of router r2: no router 'r2'"):
            await RouteClient(bulk.request, "r2").routes_mod(gone)
        with pytest.raises(CallError, match="1 frames answer it where there should be 2"):
            await client.next_hops()
        bulk.close()
        server.close()

    asyncio.run(conversation())
