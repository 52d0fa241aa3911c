"""What zebra and the kernel say, read; and bytes that say nothing."""

import struct
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.message.routes import Hop, Kind
from raicho.control.routing.encode import message
from raicho.control.routing.events import (
    NO_TABLE,
    Done,
    Event,
    Link,
    Neighbour,
    NextHop,
    Route,
    Routes,
)
from raicho.control.routing.fpm import BadFrame, Framer
from raicho.control.routing.netlink import decode

from .netlinks import (
    DEL,
    attribute,
    by,
    frame,
    group,
    label_route,
    next_hop,
    over,
    route,
    stack,
    through,
    u32,
)

V4, V6 = ip_address("198.51.100.0").packed, ip_address("2001:db8::").packed
GATEWAY, GATEWAY6 = ip_address("192.0.2.1").packed, ip_address("fe80::1").packed
KEY4, KEY6 = b"\4\x18" + V4 + bytes(12), b"\6\x20" + V6
KEY_OF_100 = bytes([20, 20, 0, 0, 0, 100]) + bytes(12)


def only(data: bytes) -> Event:
    events: list[Event] = []
    assert decode(data, events) == (0, 0)
    (event,) = events
    return event


def hops(*attributes: tuple[int, bytes], kind: int = 1, prefix: bytes = V4) -> tuple[Hop, ...]:
    event = only(route(prefix, 24, attributes, kind=kind))
    assert isinstance(event, Route)
    return event.hops


def test_a_route_by_a_next_hop_with_an_id() -> None:
    told = only(route(V4, 24, [(6, u32(20)), *by(7)]))
    assert told == Route(False, KEY4, 254, 186, 20, 7, ())
    told = only(route(V6, 32, [(15, u32(1000))], op=DEL, kind=0))
    assert told == Route(True, KEY6, 1000, 186, 0, 0, ())


def test_a_route_with_hops_of_its_own() -> None:
    assert hops((4, u32(3)), (5, GATEWAY)) == (Hop(Kind.GATEWAY, 3, GATEWAY),)
    assert hops((4, u32(3))) == (Hop(Kind.LINK, 3),)
    assert hops((5, GATEWAY)) == (Hop(Kind.RECURSIVE, 0, GATEWAY),)
    over6 = struct.pack("=H", 10) + GATEWAY6  # RFC 8950
    assert hops((4, u32(3)), (18, over6)) == (Hop(Kind.GATEWAY, 3, GATEWAY6),)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(2, Kind.LOCAL), (6, Kind.BLACKHOLE), (7, Kind.UNREACHABLE), (8, Kind.PROHIBIT)],
)
def test_a_route_to_nowhere(number: int, kind: Kind) -> None:
    assert hops((4, u32(1)), kind=number) == (Hop(kind, 1),)


def test_several_ways_have_weights() -> None:
    ways = b"".join(
        struct.pack("=HBBi", 16, 0, weight - 1, interface) + attribute(5, GATEWAY)
        for interface, weight in ((3, 1), (4, 10))
    )
    assert hops((9, ways)) == (
        Hop(Kind.GATEWAY, 3, GATEWAY),
        Hop(Kind.GATEWAY, 4, GATEWAY, 10),
    )


def test_labels_are_pushed_outermost_first() -> None:
    stack = attribute(1, struct.pack(">II", 100 << 12 | 64, 200 << 12 | 0x100 | 64))
    labels = ((21, struct.pack("=H", 1)), (22, stack))
    assert hops((4, u32(3)), (5, GATEWAY), *labels)[0].labels == (100, 200)
    told = only(next_hop(9, [*through(3, GATEWAY), (7, struct.pack("=H", 1)), (8, stack)]))
    assert told == NextHop(False, 9, Hop(Kind.GATEWAY, 3, GATEWAY, 1, (100, 200)), ())


def test_a_label_is_a_route() -> None:
    """P4: swap, push, pop for the next router, and the end of a path (RFC 3031, 3.10)."""
    by_3 = [*over(GATEWAY), (4, u32(3))]
    cases = [
        ([(19, stack(200)), *by_3], Hop(Kind.GATEWAY, 3, GATEWAY, 1, (200,))),
        ([(19, stack(200, 300)), *by_3], Hop(Kind.GATEWAY, 3, GATEWAY, 1, (200, 300))),
        (by_3, Hop(Kind.GATEWAY, 3, GATEWAY)),
        ([*over(GATEWAY6), (4, u32(3))], Hop(Kind.GATEWAY, 3, GATEWAY6)),
        ([(4, u32(1))], Hop(Kind.LOCAL)),
    ]
    for attributes, hop in cases:
        told = only(label_route(100, attributes))
        assert told == Route(False, KEY_OF_100, NO_TABLE, 11, 0, 0, (hop,))
    assert only(label_route(100, by(7))) == Route(False, KEY_OF_100, NO_TABLE, 11, 0, 7, ())
    removed = only(label_route(100, op=DEL, kind=0))
    assert isinstance(removed, Route)
    assert (removed.removed, removed.key) == (True, KEY_OF_100)


#: As pyroute2 0.9 encodes them.
ENCODED = {
    "swap and push": (
        "440000001800000000000000000000001c140000fe0b000100000000080001000006410"
        "00c001300000c80000012c1000a00120002000a00000900000800040003000000",
        (Hop(Kind.GATEWAY, 3, bytes([10, 0, 0, 9]), 1, (200, 300)),),
    ),
    "push by a route": (
        "4c00000018000000000000000000000002180000feba00010000000008000100c6336400080005000a0000"
        "0908000400030000000600150001000000100016000c00010000064000000c8100",
        (Hop(Kind.GATEWAY, 3, bytes([10, 0, 0, 9]), 1, (100, 200)),),
    ),
    "the end": (
        "2c0000001800000000000000000000001c140000fe0b00010000000008000100fffff1000800040001000000",
        (Hop(Kind.LOCAL),),
    ),
    "several ways": (
        "640000001800000000000000000000001c140000fe0b0001000000000800010000065100400009001c000000"
        "0300000008001300000c81000a00120002000a00000900002000000104000000160012000a00fe8000000000"
        "000000000000000000010000",
        (
            Hop(Kind.GATEWAY, 3, bytes([10, 0, 0, 9]), 1, (200,)),
            Hop(Kind.GATEWAY, 4, GATEWAY6, 2),
        ),
    ),
}


@pytest.mark.parametrize("name", ENCODED)
def test_labels_are_read_as_others_write_them(name: str) -> None:
    data, expected = ENCODED[name]
    told = only(bytes.fromhex(data))
    assert isinstance(told, Route)
    assert told.hops == expected


def test_next_hops_and_groups() -> None:
    told = only(next_hop(21, through(3, GATEWAY6)))
    assert told == NextHop(False, 21, Hop(Kind.GATEWAY, 3, GATEWAY6), ())
    assert only(next_hop(20, group([(21, 1), (22, 255)]))) == NextHop(
        False, 20, None, ((21, 1), (22, 255))
    )
    assert only(next_hop(5, [(4, b"")])) == NextHop(False, 5, Hop(Kind.BLACKHOLE), ())
    assert only(next_hop(20, op=DEL)) == NextHop(True, 20, None, ())


def test_links_and_neighbours() -> None:
    mac = bytes.fromhex("020000000001")
    body = struct.pack("=BxHiII", 0, 1, 4, 0x10001, 0)
    told = only(message(16, 0, 0, body, [(3, b"eth0\0"), (4, u32(1500)), (1, mac)]))
    assert told == Link(False, 4, "eth0", True, True, 1500, mac)
    body = struct.pack("=BxxxiHBB", 10, 4, 2, 0x10, 0)
    told = only(message(28, 0, 0, body, [(1, GATEWAY6), (2, mac)]))
    assert told == Neighbour(False, 4, GATEWAY6, 2, 0x10, mac)


def test_the_end_of_a_dump_and_errors() -> None:
    assert only(message(3, 0x12, 8, u32(0))) == Done(8, 0, True)
    assert only(message(2, 0, 9, struct.pack("=i", -17))) == Done(9, 17, False)


def test_what_is_not_routed_here_is_ignored() -> None:
    strange = [
        route(V4, 24, kind=3),
        route(V4, 24, kind=5),
        route(V4, 24, flags=0x200),
        label_route(100, kind=8),
        label_route(3),
        message(24, 0, 0, struct.pack("=BBBBBBBBI", 7, 24, 0, 0, 254, 186, 0, 1, 0)),
        message(99, 0, 0, b""),
    ]
    events: list[Event] = []
    assert decode(b"".join(strange), events) == (len(strange), 0)
    assert events == []


def test_a_malformed_message_costs_no_other() -> None:
    good = next_hop(21, through(3, GATEWAY))
    bad = [
        route(V4, 33),
        route(V4, 24, [(1, V6)]),
        route(V4, 24, [(6, b"\1")]),
        route(V4, 24, [(9, struct.pack("=HBBi", 99, 0, 0, 1))]),
        route(V4, 24, [(4, u32(3)), (22, b"")]),
        label_route(100, [(19, b"123"), *over(GATEWAY)]),
        label_route(100, [(19, bytes(20)), *over(GATEWAY)]),
        label_route(100, length=19),
        message(24, 0, 0, struct.pack("=BBBBBBBBI", 28, 20, 0, 0, 254, 186, 0, 1, 0)),
        next_hop(0),
        next_hop(1, [(2, b"1234567")]),
        message(104, 0, 0, b""),
    ]
    for each in bad:
        events: list[Event] = []
        assert decode(each + good, events) == (0, 1)
        assert len(events) == 1
    assert decode(good[:-1], []) == (0, 1)


@given(st.binary(max_size=300))
def test_no_bytes_end_the_decoder(data: bytes) -> None:
    """F10: counted, and nothing else."""
    _, malformed = decode(data, [])
    assert malformed <= 1 + len(data) // 16


SEEDS = [
    route(V4, 24, [(6, u32(20)), (9, struct.pack("=HBBi", 16, 0, 0, 3) + attribute(5, GATEWAY))]),
    route(V6, 32, [(4, u32(3)), (21, struct.pack("=H", 1)), (22, attribute(1, bytes(8)))]),
    next_hop(20, group([(21, 1), (22, 2)])),
    next_hop(21, through(3, GATEWAY6)),
    label_route(100, [(19, stack(200, 300)), (18, struct.pack("=H", 2) + GATEWAY), (4, u32(3))]),
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
)
def test_no_change_of_a_message_ends_the_decoder(
    seed: bytes, changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(seed)
    for at, octet in changes:
        changed[at % len(changed)] = octet
    events: list[Event] = []
    ignored, malformed = decode(bytes(changed), events)
    assert len(events) + ignored + malformed >= 1


ROUTES = [
    route(V4, 24, by(7)),
    route(V6, 32, by(7)),
    route(V4, 24, by(8)),
    route(V4, 24, by(7), op=DEL),
    route(V4, 24, [(6, u32(9)), *by(7)]),
    next_hop(7, through(3, GATEWAY)),
    route(V4, 33, by(7)),  # malformed
    message(24, 0, 0, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 186, 0, 1, 0), by(7)),
]


def told_alone(messages: list[bytes]) -> list[Event]:
    """Return what messages say, read one by one, routes without what they are alike in."""
    events: list[Event] = []
    for each in messages:
        decode(each, events)
    return events


def one_by_one(events: list[Event]) -> list[Event]:
    """Return events with a route for each prefix."""
    return [
        single
        for event in events
        for single in (
            [event.like._replace(key=key) for key in event.keys]
            if isinstance(event, Routes)
            else [event]
        )
    ]


@given(st.lists(st.tuples(st.sampled_from(ROUTES), st.integers(0, 255)), max_size=30))
def test_routes_that_are_alike_are_read_as_each_alone(picks: list[tuple[bytes, int]]) -> None:
    """F10: whatever comes between them, and whatever their prefixes."""
    messages = []
    for at, (each, octet) in enumerate(picks):
        changed = bytearray(each)
        changed[8] = at  # the sequence number, which tells nothing
        if len(changed) > 37:
            changed[36] = octet  # in a prefix
        messages.append(bytes(changed))
    events: list[Event] = []
    decode(b"".join(messages), events)
    assert one_by_one(events) == told_alone(messages)


def test_a_table_of_routes_is_one_event() -> None:
    messages = [route(bytes([10, 0, i, 0]), 24, by(7)) for i in range(100)]
    events: list[Event] = []
    assert decode(b"".join(messages), events) == (0, 0)
    (told,) = events
    assert isinstance(told, Routes)
    assert [told.like._replace(key=key) for key in told.keys] == told_alone(messages)


@given(st.lists(st.sampled_from(ROUTES), min_size=1, max_size=9), st.integers(1, 7))
def test_a_stream_is_cut_into_messages_however_it_arrives(messages: list[bytes], step: int) -> None:
    stream = b"".join(map(frame, messages))
    framer, found, counters = Framer(), list[Event](), Counter[str]()
    for at in range(0, len(stream), step):
        framer.feed(stream[at : at + step], found, counters)
    assert one_by_one(found) == told_alone(messages)
    assert counters["malformed"] == messages.count(ROUTES[6])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\2\1\0\x20", "version 2, type 1"),
        (b"\1\2\0\x20", "version 1, type 2"),
        (b"\1\1\0\x13", "a frame of 19 bytes"),
    ],
)
def test_a_stream_of_something_else_is_told(data: bytes, reason: str) -> None:
    events: list[Event] = []
    with pytest.raises(BadFrame, match=reason):
        Framer().feed(frame(route(V4, 24)) + data, events, Counter())
    assert events == [only(route(V4, 24))]
