"""The Python face of NAT, with packets between memory ports (P5)."""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, NamedTuple

import pytest

from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.nat import MAX_NATS, Forward, Host, Nat, NatConfig, Pool
from raicho.dataplane.nat_log import LOST, MAPPING, MappingLog
from raicho.dataplane.port import MemoryPort

NOW = 1_000_000
OUTSIDE, INSIDE, REMOTE = map(IPv4Address, ("192.0.2.1", "10.0.0.5", "198.51.100.7"))
POOL = Pool(OUTSIDE, OUTSIDE)


class House(NamedTuple):
    dataplane: Dataplane
    nat: Nat


@pytest.fixture
def house() -> Iterator[House]:
    dataplane = Dataplane()
    nat = Nat(dataplane, 3, sessions=1000, events=100)
    nat.configure(NatConfig(pools=[POOL], logs=True), NOW)
    yield House(dataplane, nat)
    nat.close()


def udp(source: IPv4Address, port: int) -> bytes:
    """Build a frame without checksums, which a switch need not look at."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, 0, 0, 64, 17, 0, source.packed, REMOTE.packed)
    return bytes(12) + b"\x08\x00" + ip + struct.pack("!4H", port, 53, 16, 0) + bytes(8 + 10)


def flow(number: int) -> bytes:
    """Build a flow-mod: all packets through the NAT, then out by port 2."""
    nat = struct.pack("!HHIHBxI", 0xFFFF, 16, 0x00524348, 1, 0, number)
    output = struct.pack("!HHIH6x", 0, 16, 2, 0xFFFF)
    apply = struct.pack("!HH4x", 4, 8 + 32) + nat + output
    match = struct.pack("!HH4x", 1, 4)
    body = struct.pack("!QQBBHHHIIIH2x", 0, 0, 0, 0, 0, 0, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return struct.pack("!BBHI", 4, 14, 8 + len(body + match + apply), 1) + body + match + apply


def send(house: House, frames: list[bytes]) -> list[bytes]:
    """Let a worker take frames from port 1 to port 2 by the entry of flow()."""
    worker = house.dataplane.add_worker(0)
    bridge = house.dataplane.add_bridge("br0", 1, NOW)
    first, second = MemoryPort("memory", "first"), MemoryPort("memory", "second")
    try:
        bridge.attach(first, 1, 0, NOW)
        bridge.attach(second, 2, 0, NOW)
        assert bridge.apply(flow(house.nat.number), NOW) == b"\xff\xff\xff\xff"
        for frame in frames:
            first.put(frame)
        while worker.round():
            pass
        return list(iter(second.take, None))
    finally:
        bridge.close()
        worker.close()
        first.close()
        second.close()


def test_sessions_are_made_by_packets_and_listed_by_pages(house: House) -> None:
    sent = send(house, [udp(INSIDE, port) for port in range(5000, 5025)])
    assert {frame[26:30] for frame in sent} == {OUTSIDE.packed}
    found, position = [], 0
    while True:
        position, page = house.nat.sessions(position, 10, NOW)
        assert len(page) <= 10
        found += page
        if not position:
            break
    assert sorted(session.inside_port for session in found) == list(range(5000, 5025))
    assert {(s.protocol, s.inside, s.outside, s.remote, s.timer) for s in found} == {
        ("udp", INSIDE, OUTSIDE, REMOTE, "udp")
    }
    assert house.nat.counts()["sessions"] == house.nat.counts()["mappings"] == 25
    events = house.nat.events()
    assert [event.inside_port for event in events] == list(range(5000, 5025))
    assert all(event.created and event.outside == OUTSIDE for event in events)
    assert house.nat.flush(NOW, REMOTE) == 0
    assert house.nat.flush(NOW, INSIDE) == 25
    first, rest = house.nat.events(10), house.nat.events()
    assert (len(first), len(rest)) == (10, 15)
    assert not any(event.created for event in first + rest)


def test_a_flood_loses_events_countably_and_no_packet(house: House) -> None:
    """P5; RFC 6888, section 4: what the log has no room for is told as a number."""
    published: list[tuple[str, dict[str, Any]]] = []
    mappings = MappingLog(lambda *event: published.append(event))
    ports = range(5000, 5000 + 600)
    assert len(send(house, [udp(INSIDE, port) for port in ports])) == len(ports)
    mappings.tell([("r", house.nat)], NOW)
    mappings.tell_lost([("r", house.nat)])
    mappings.tell_lost([("r", house.nat)])  # what was told is not told again
    told = [body for topic, body in published if topic == MAPPING]
    [lost] = [body for topic, body in published if topic == LOST]
    assert [body["inside-port"] for body in told] == list(ports[: len(told)])
    assert len(told) + lost["events"] == len(ports)
    assert lost["events"] == house.nat.counts()["events_lost"] > 0


def test_a_line_of_the_log_says_who_was_behind_an_address(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """P5; RFC 6888, section 4; written at the level of the topic `dataplane.nat_log`."""
    send(house, [udp(INSIDE, 5000)])
    with caplog.at_level("DEBUG", "raicho.dataplane.nat_log"):
        MappingLog(lambda *_: None).tell([("r", house.nat)], NOW)
    [line] = caplog.messages
    assert line.startswith(f"router r: udp {INSIDE} port 5000 is {OUTSIDE} port 5000: begin at ")


def test_nothing_is_told_that_nobody_wants(house: House) -> None:
    house.nat.configure(NatConfig(pools=[POOL]), NOW)
    send(house, [udp(INSIDE, 5000)])
    assert house.nat.events() == []
    assert house.nat.counts()["events_lost"] == 0


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (NatConfig(pools=[Pool(OUTSIDE, OUTSIDE - 1)]), "pool 192.0.2.1 to 192.0.2.0"),
        (NatConfig(pools=[POOL, POOL]), "share addresses"),
        (NatConfig(forwards=[Forward("tcp", OUTSIDE, 80, INSIDE, 80)]), "an address of a pool"),
        (NatConfig(pools=[POOL], hosts=[Host(OUTSIDE, INSIDE)]), "in no pool"),
        (NatConfig(block=65), "blocks of 65 ports"),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_is_wrong(
    house: House, config: NatConfig, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        house.nat.configure(config, NOW)


def test_everything_can_be_configured(house: House) -> None:
    house.nat.configure(
        NatConfig(
            pools=[POOL],
            forwards=[Forward("tcp", OUTSIDE, 80, INSIDE, 8080)],
            hosts=[Host(OUTSIDE + 1, INSIDE + 1)],
            max_per_source=10,
            block=64,
            filtering="by-address",
            strict_tcp=True,
            timers={"udp": 120, "tcp-established": 10_000},
        ),
        NOW,
    )
    assert house.nat.counts()["mappings"] == 1  # of the forward


def test_numbers_are_given_once_and_free_when_it_is_closed(house: House) -> None:
    with pytest.raises(ValueError, match="NAT 3: there is one already"):
        Nat(house.dataplane, 3)
    with pytest.raises(ValueError, match=f"numbers are 0 to {MAX_NATS - 1}"):
        Nat(house.dataplane, MAX_NATS)
    house.nat.close()
    house.nat.close()
    with pytest.raises(ValueError, match="NAT 3 is closed"):
        house.nat.counts()
    Nat(house.dataplane, 3).close()
