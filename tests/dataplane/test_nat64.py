"""NAT64 against the plain model of RFC 7915, with generated packets through a whole router (P5)."""

import ipaddress
import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from random import Random
from typing import Any

import pytest
from oracle.checksum import folded, words
from oracle.nat64 import (
    ICMP,
    ICMP6,
    POINTERS_TO_4,
    POINTERS_TO_6,
    TCP,
    TO_ICMP,
    TO_ICMP6,
    UDP,
    Datagram,
    Nat64,
    embed,
    extract,
    is_summed_right,
    read,
    read_6,
    summed,
    write_4,
    write_6,
)

from raicho.control.message.routes import PUT
from raicho.dataplane import nat_sessions, routes
from raicho.dataplane.config import BadConfig
from raicho.dataplane.config import read as read_config
from raicho.dataplane.datapath import DONE
from raicho.dataplane.operation import BAD_LEN
from raicho.dataplane.router_config import default_mac

from .conftest import tree as make

OUTSIDE, SERVER, ROUTER = map(IPv4Address, ("192.0.2.1", "198.51.100.7", "203.0.113.9"))
HOST = IPv6Address("2001:db8:1::9")
NEIGHBOURS = {"if1": (str(HOST), 0x020000000019), "if2": ("10.0.2.9", 0x020000000029)}
PREFIXES = {
    32: IPv6Network("2001:dba::/32"),
    40: IPv6Network("2001:db8:100::/40"),
    48: IPv6Network("2001:db8:122::/48"),
    56: IPv6Network("2001:db8:122:300::/56"),
    64: IPv6Network("2001:db8:122:344::/64"),
    96: IPv6Network("2001:db8:122:344::/96"),
}
PREFIX = PREFIXES[96]
WELL_KNOWN = IPv6Network("64:ff9b::/96")
HOP = {"id": 1, "address": "10.0.2.9", "interface": "if2"}
PORT, PEER = 5000, 53  # inside and of the server
PROTOS = {"tcp": TCP, "udp": UDP, "icmp": ICMP6}


def tree(prefix: str, **leaves: Any) -> dict[str, Any]:
    """Write a router with IPv6 inside and IPv4 outside."""
    made = make({"p1": "memory", "p2": "memory"})
    made["raicho"]["router"] = [
        {
            "name": "r",
            "interface": [
                {
                    "name": "if1",
                    "port": "p1",
                    "nat": "inside",
                    "address": ["2001:db8:1::1/64"],
                }
                | leaves.pop("inside", {}),
                {"name": "if2", "port": "p2", "nat": "outside", "address": ["10.0.2.1/24"]}
                | leaves.pop("outside", {}),
            ],
            "route": [{"prefix": "0.0.0.0/0", "next-hop": [HOP]}],
            "nat": {
                "pool": [{"name": "one", "first": str(OUTSIDE)}],
                "nat64": {"prefix": prefix},
                **leaves,
            },
        }
    ]
    return made


@dataclass
class Crossing:
    """A router between the families."""

    rig: Any
    prefix: IPv6Network

    def configure(self, **leaves: Any) -> None:
        config = read_config(tree(str(self.prefix), **leaves))
        self.rig.switch.commit(self.rig.switch.prepare(config), self.rig.now)
        for name, (text, mac) in NEIGHBOURS.items():
            self.meet(name, ipaddress.ip_address(text), mac)

    def meet(self, name: str, address: Any, mac: int) -> None:
        head = struct.pack("!BBHI", PUT, address.version, 0, self.index(name))
        record = head + address.packed.ljust(16, b"\0") + mac.to_bytes(6, "big") + bytes(10)
        assert self.there.router.neighbour_mod(record, self.rig.now) == bytes(4)

    @property
    def there(self) -> Any:
        return self.rig.switch.routers.open["r"]

    @property
    def nat(self) -> Any:
        return self.there.translation.nat

    def index(self, name: str) -> int:
        return int(self.there.interfaces[name].index)

    def send(self, name: str, *packets: bytes) -> None:
        for packet in packets:
            kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
            mac = default_mac(name).to_bytes(6, "big")
            self.rig.put(
                name.replace("if", "p"), mac + bytes.fromhex("020000000001") + kind + packet
            )
        self.rig.turn()

    def out(self, *packets: bytes) -> list[bytes]:
        """Send packets from inside; return those that come outside."""
        self.send("if1", *packets)
        return [_trimmed(frame) for frame in self.rig.take("p2")]

    def into(self, *packets: bytes) -> list[bytes]:
        self.send("if2", *packets)
        return [_trimmed(frame) for frame in self.rig.take("p1")]

    def heard(self, name: str) -> list[bytes]:
        """Let the control thread answer; return what comes by an interface."""
        self.rig.switch.punts(0)
        self.rig.turn()
        return [_trimmed(frame) for frame in self.rig.take(name.replace("if", "p"))]

    def model(self, port: int = PORT) -> Nat64:
        return Nat64(self.prefix, HOST, PORT, OUTSIDE, port)

    def open(self, proto: int) -> None:
        """Make the session of PORT and PEER."""
        [packet] = self.out(request(self.prefix, proto))
        assert read(packet).source == OUTSIDE

    def drops(self) -> dict[str, int]:
        totals = [runner.worker.totals() for runner in self.rig.switch.runners.values()]
        return {k: v for k, v in totals[0]["drops"].items() if v}


def _trimmed(frame: bytes) -> bytes:
    packet = frame[14:]
    size = 40 + int.from_bytes(packet[4:6]) if packet[0] >> 4 == 6 else int.from_bytes(packet[2:4])
    return packet[:size]


@pytest.fixture
def crossing(rig: Any) -> Crossing:
    found = Crossing(rig, PREFIX)
    found.configure()
    return found


def transport(proto: int, ports: tuple[int, int], data: bytes) -> bytes:
    """Write what is behind a header, without its checksum; ICMP is asking."""
    if proto == TCP:
        return struct.pack("!HHIIBBHHH", *ports, 1, 2, 0x50, 2, 8192, 0, 0) + data
    if proto == UDP:
        return struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return struct.pack("!BBHHH", 128 if proto == ICMP6 else 8, 0, 0, ports[0], 1) + data


def datagram(source: Any, destination: Any, proto: int, payload: bytes, **more: Any) -> Datagram:
    fields = {"ttl": 64, "traffic_class": 0} | more
    return Datagram(source, destination, proto, payload=payload, length=len(payload), **fields)


def request(prefix: IPv6Network, proto: int, data: bytes = b"x" * 20, **more: Any) -> bytes:
    payload = transport(proto, (PORT, PEER), data)
    return write_6(summed(datagram(HOST, embed(prefix, SERVER), proto, payload, **more)))


def answer(proto: int, data: bytes = b"y" * 20, **more: Any) -> bytes:
    payload = transport(ICMP if proto == ICMP6 else proto, (PEER, PORT), data)
    if proto == ICMP6:
        payload = struct.pack("!BBHHH", 0, 0, 0, PORT, 1) + data
        proto = ICMP
    if proto == TCP:
        payload = payload[:13] + b"\x12" + payload[14:]
    return write_4(summed(datagram(SERVER, OUTSIDE, proto, payload, **more)))


def counted_down(packet: bytes) -> bytes:
    """Return a packet behind a router that changes nothing else; IPv4's checksum is left."""
    at = 8 if packet[0] >> 4 == 4 else 7
    return packet[:at] + bytes([packet[at] - 1]) + packet[at + 1 :]


def known(packet: bytes) -> bytes:
    """Return an IPv4 packet without the id that is anything, if it may be fragmented later."""
    assert folded(sum(words(packet[:20]))) == 0xFFFF
    if int.from_bytes(packet[6:8]) == 0:
        packet = packet[:4] + bytes(2) + packet[6:10] + bytes(2) + packet[12:]
    return packet


def with_extensions(packet: bytes, random: Random) -> bytes:
    """Put extension headers that say nothing in front of the payload."""
    kinds = [kind for kind in (0, 60) if random.random() < 0.3]
    for kind in reversed(kinds):
        units = random.randrange(3)
        header = bytes([packet[6], units, 1, 4 + 8 * units]) + bytes(4 + 8 * units)
        size = int.from_bytes(packet[4:6]) + len(header)
        packet = packet[:4] + size.to_bytes(2) + bytes([kind]) + packet[7:40] + header + packet[40:]
    return packet


def pieces(packet: bytes, size: int, ident: int) -> list[bytes]:
    """Cut a packet into fragments of so many bytes of payload, a multiple of 8."""
    it = read(packet)
    write = write_6 if packet[0] >> 4 == 6 else write_4
    parts = [it.payload[i : i + size] for i in range(0, len(it.payload), size)]
    return [
        write(
            replace(
                it,
                payload=part,
                length=len(part),
                fragment=(i * size // 8, int(i < len(parts) - 1), ident),
                whole=False,
            )
        )
        for i, part in enumerate(parts)
    ]


def no_df(packet: bytes, ident: int = 0) -> bytes:
    """Return an IPv4 packet that may be fragmented."""
    head = packet[:4] + ident.to_bytes(2) + bytes(2) + packet[8:10] + bytes(2) + packet[12:20]
    check = ~folded(sum(words(head))) & 0xFFFF
    return head[:10] + check.to_bytes(2) + head[12:] + packet[20:]


# Headers.


@pytest.mark.parametrize("length", PREFIXES)
def test_generated_packets_cross_as_in_the_model(rig: Any, length: int) -> None:
    """RFC 7915, 4.1, 5.1; RFC 6052, 2.2: headers, transport, addresses, both ways."""
    crossing, random = Crossing(rig, PREFIXES[length]), Random(length)
    crossing.configure()
    model = crossing.model()
    for proto in PROTOS.values():
        crossing.open(proto)
    for _ in range(150):
        proto, data = random.choice([*PROTOS.values()]), random.randbytes(random.randrange(1380))
        more = {"ttl": random.randrange(2, 256), "traffic_class": random.randrange(256)}
        packet = with_extensions(request(crossing.prefix, proto, data, **more), random)
        [came] = crossing.out(packet)
        assert known(came) == known(write_4(read(model.out(counted_down(packet)))))
        back = answer(proto, data, **more)
        if random.random() < 0.5:
            back = no_df(back, random.randrange(1 << 16))
        assert crossing.into(back) == model.into(counted_down(back))


@pytest.mark.parametrize("proto", (TCP, UDP))
def test_fragments_cross_in_any_order(crossing: Crossing, proto: int) -> None:
    """RFC 6146, 3.4; RFC 7915, 4.1, 5.1.1: later fragments follow the first, or wait for it."""
    random, model = Random(proto), crossing.model()
    for turn in range(40):
        data = random.randbytes(random.randrange(1200, 4000))
        ident = turn << 16 | random.randrange(1 << 16)
        sent = pieces(request(PREFIX, proto, data), 8 * random.randrange(60, 150), ident)
        random.shuffle(sent)
        expected = [model.out(counted_down(packet)) for packet in sent]
        assert sorted(crossing.out(*sent)) == sorted(write_4(read(each)) for each in expected)
        back = pieces(answer(proto, data), 8 * random.randrange(60, 185), ident & 0xFFFF)
        random.shuffle(back)
        expected = [piece for packet in back for piece in model.into(counted_down(packet))]
        assert sorted(crossing.into(*back)) == sorted(expected)


def test_a_datagram_without_checksum_gets_one(crossing: Crossing) -> None:
    """RFC 7915, 4.5; what is in pieces has none that could be made, and is dropped."""
    crossing.open(UDP)
    it = read(answer(UDP, b"z" * 1300))
    bare = write_4(replace(it, payload=it.payload[:6] + bytes(2) + it.payload[8:]))
    [came] = crossing.into(bare)
    assert is_summed_right(read_6(came))
    assert len(crossing.into(no_df(bare, 7))) == 2
    crossing.into(*pieces(bare, 800, 9))
    assert crossing.drops()["nat_fragment"] == 1


def test_hop_limits_end_at_the_router(crossing: Crossing) -> None:
    """RFC 7915, 4.1, 5.1: the error is of the family of the packet, and has it as it came."""
    packet = request(PREFIX, UDP, ttl=1)
    assert crossing.out(packet) == []
    [error] = map(read_6, crossing.heard("if1"))
    assert (error.proto, error.payload[:2]) == (ICMP6, bytes([3, 0]))
    assert error.payload[8:] == packet
    crossing.open(UDP)
    packet = answer(UDP, ttl=1)
    assert crossing.into(packet) == []
    [heard] = map(read, crossing.heard("if2"))
    assert (heard.proto, heard.payload[:2], heard.payload[8:]) == (ICMP, bytes([11, 0]), packet)


def test_a_sender_hears_how_much_the_other_side_takes(rig: Any) -> None:
    """RFC 7915, 4.1, 5.1 and RFC 6145's 20 bytes: too big for the next link, both ways."""
    crossing = Crossing(rig, PREFIX)
    crossing.configure(outside={"mtu": 1300})
    crossing.open(UDP)
    packet = request(PREFIX, UDP, b"x" * 1300)
    assert crossing.out(packet) == []
    [error] = map(read_6, crossing.heard("if1"))
    assert error.payload[:2] == bytes([2, 0])
    assert int.from_bytes(error.payload[4:8]) == 1320
    packet = answer(UDP, b"y" * 1460)  # whole, 1488 bytes: IPv6 would have 1508
    assert crossing.into(packet) == []
    [heard] = map(read, crossing.heard("if2"))
    assert (heard.payload[:2], int.from_bytes(heard.payload[6:8])) == (bytes([3, 4]), 1480)


# Errors.


def error_6(
    kind: int,
    code: int,
    value: int,
    about: bytes,
    source: IPv6Address = HOST,
    to: IPv4Address = SERVER,
) -> bytes:
    payload = struct.pack("!BBHI", kind, code, 0, value) + about
    return write_6(summed(datagram(source, embed(PREFIX, to), ICMP6, payload)))


def error_4(kind: int, code: int, value: int, about: bytes) -> bytes:
    payload = struct.pack("!BBHI", kind, code, 0, value) + about
    return write_4(summed(datagram(ROUTER, OUTSIDE, ICMP, payload)))


@pytest.mark.parametrize("proto", PROTOS.values(), ids=PROTOS)
def test_errors_cross_with_the_packet_inside(crossing: Crossing, proto: int) -> None:
    """RFC 7915, 4.2, 4.3, 5.2, 5.3; RFC 5508: every type and code, and none that has no like."""
    crossing.open(proto)
    model = crossing.model()
    [reply] = crossing.into(answer(proto))
    [asked] = crossing.out(request(PREFIX, proto))
    for kind in range(1, 5):
        for code in range(8):
            for value in (0, 7, 1400, 24, 50):
                sent = error_6(kind, code, value, reply)
                fits = (kind, code) in TO_ICMP and (kind, code, value in POINTERS_TO_4) != (
                    4,
                    0,
                    False,
                )
                expected = [model.out(counted_down(sent))] if fits else []
                assert list(map(known, crossing.out(sent))) == [
                    known(write_4(read(each))) for each in expected
                ]
    for kind in (3, 4, 5, 11, 12):
        for code in range(16):
            for value in (576, 1400, 8 << 24, 5 << 24, 19 << 24):
                sent = error_4(kind, code, value, asked)
                if (kind, code) == (3, 4) and not value & 0xFFFF:
                    continue  # a router that says nothing: below
                fits = (kind, code) in TO_ICMP6 and not (
                    kind == 12 and value >> 24 not in POINTERS_TO_6
                )
                expected = model.into(counted_down(sent)) if fits else []
                assert crossing.into(sent) == expected


def test_a_router_that_says_no_mtu_is_taken_to_mean_the_next_lower_one(crossing: Crossing) -> None:
    """RFC 7915, 4.2 with RFC 1191, 7.1: of plateaus, and never less than 1280."""
    crossing.open(UDP)
    [asked] = crossing.out(request(PREFIX, UDP, b"x" * 1450))
    assert len(asked) == 1478
    [came] = map(read_6, crossing.into(error_4(3, 4, 0, asked)))
    assert int.from_bytes(came.payload[4:8]) == 1280  # of 1006 + 20


def test_an_error_about_a_fragment_loses_its_header_too(crossing: Crossing) -> None:
    """RFC 7915, 5.2: 28 bytes rather than 20, if the packet inside has a fragment header."""
    crossing.open(UDP)
    first = crossing.into(*pieces(answer(UDP, b"y" * 1000), 800, 5))[0]
    [came] = crossing.out(error_6(2, 0, 1400, first))
    assert int.from_bytes(read(came).payload[6:8]) == 1400 - 28


def test_errors_that_are_nobodys_are_dropped(crossing: Crossing) -> None:
    """RFC 6146, 3.5: without a mapping, or damaged."""
    crossing.open(UDP)
    [reply] = crossing.into(answer(UDP))
    [asked] = crossing.out(request(PREFIX, UDP))
    good = error_6(1, 4, 0, reply)
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    stranger = reply[:24] + IPv6Address("2001:db8:1::77").packed + reply[40:]
    assert crossing.out(damaged, error_6(1, 4, 0, stranger), error_6(1, 4, 0, reply[:44])) == []
    other = asked[:20] + (PORT + 9).to_bytes(2) + asked[22:]
    assert crossing.into(error_4(3, 1, 0, other)) == []
    assert crossing.out(good)


# Hairpins: from inside to an address outside behind which is a host inside (RFC 6146, 3.8).

OTHER, OTHER_PORT = IPv6Address("2001:db8:1::a"), 7000


@dataclass
class Hairpin:
    """Two hosts inside, of which the other has a mapping."""

    crossing: Crossing
    proto: int
    outside_port: int = 0

    def open(self, **leaves: Any) -> None:
        self.crossing.configure(**leaves)
        self.crossing.meet("if1", OTHER, 0x02000000001A)
        it = replace(read_6(request(PREFIX, self.proto)), source=OTHER)
        payload = OTHER_PORT.to_bytes(2) + it.payload[2:]
        [came] = self.crossing.out(write_6(summed(replace(it, payload=payload))))
        self.outside_port = int.from_bytes(came[20:22])

    def packet(self, data: bytes = b"x" * 20, **more: Any) -> bytes:
        """Write what the one sends to the other."""
        payload = transport(self.proto, (PORT, self.outside_port), data)
        return write_6(summed(datagram(HOST, embed(PREFIX, OUTSIDE), self.proto, payload, **more)))

    def answer(self, data: bytes = b"y" * 20) -> bytes:
        payload = transport(self.proto, (OTHER_PORT, PORT), data)
        if self.proto == TCP:
            payload = payload[:13] + b"\x12" + payload[14:]
        return write_6(summed(datagram(OTHER, embed(PREFIX, OUTSIDE), self.proto, payload)))

    def turned(self, *packets: bytes) -> list[bytes]:
        """Send packets from inside; return what comes back there, with nothing outside."""
        assert self.crossing.out(*packets) == []
        return [_trimmed(frame) for frame in self.crossing.rig.take("p1")]

    @property
    def one(self) -> Nat64:
        return self.crossing.model()

    @property
    def other(self) -> Nat64:
        return Nat64(PREFIX, OTHER, OTHER_PORT, OUTSIDE, self.outside_port)


def translated(packet: bytes, by: Nat64, to: Nat64) -> list[bytes]:
    return to.into(write_4(read(by.out(counted_down(packet)))))


@pytest.fixture(params=(TCP, UDP), ids=("tcp", "udp"))
def hairpin(crossing: Crossing, request: pytest.FixtureRequest) -> Hairpin:
    made = Hairpin(crossing, request.param)
    made.open(filtering="open")
    return made


def test_hosts_inside_reach_each_other_by_their_addresses_outside(hairpin: Hairpin) -> None:
    """As if by two translators, with the address outside as source, both ways."""
    random = Random(hairpin.proto)
    for _ in range(20):
        packet = hairpin.packet(random.randbytes(random.randrange(1400)))
        [came] = hairpin.turned(packet)
        assert [came] == translated(packet, hairpin.one, hairpin.other)
        assert is_summed_right(read_6(came))
        back = hairpin.answer(random.randbytes(random.randrange(1400)))
        assert hairpin.turned(back) == translated(back, hairpin.other, hairpin.one)
    assert hairpin.crossing.nat.counts()["mappings"] == 2
    assert hairpin.crossing.drops() == {}


def test_fragments_turn_back_in_any_order(hairpin: Hairpin) -> None:
    random = Random(hairpin.proto)
    for turn in range(30):
        data = random.randbytes(random.randrange(1200, 4000))
        sent = pieces(hairpin.packet(data), 8 * random.randrange(60, 170), turn)
        random.shuffle(sent)
        expected = [
            piece for each in sent for piece in translated(each, hairpin.one, hairpin.other)
        ]
        assert sorted(hairpin.turned(*sent)) == sorted(expected)


def test_errors_turn_back_with_the_packet_inside(hairpin: Hairpin) -> None:
    [came] = hairpin.turned(hairpin.packet())
    error = error_6(1, 4, 0, came, OTHER, OUTSIDE)
    [heard] = hairpin.turned(error)
    assert [heard] == translated(error, hairpin.other, hairpin.one)
    inner = read_6(read_6(heard).payload[8:])
    assert (inner.source, inner.destination) == (HOST, embed(PREFIX, OUTSIDE))
    stranger = error_6(1, 4, 0, came[:24] + HOST.packed + came[40:], OTHER, OUTSIDE)
    assert hairpin.turned(stranger) == []
    assert hairpin.crossing.drops() == {"nat_no_session": 1}


def test_who_turns_back_is_told_of_what_he_sent(crossing: Crossing) -> None:
    """RFC 7915, 4.1: hop limits and sizes are judged before the translation."""
    hairpin = Hairpin(crossing, UDP)
    hairpin.open(filtering="open", inside={"mtu": 1400})
    used, long = hairpin.packet(ttl=1), hairpin.packet(b"z" * 1400)
    for packet, kind, value in ((used, 3, 0), (long, 2, 1400)):
        assert hairpin.turned(packet) == []
        [error] = map(read_6, crossing.heard("if1"))
        assert (error.payload[0], int.from_bytes(error.payload[4:8])) == (kind, value)
        assert error.destination == HOST
        assert packet.startswith(error.payload[8:])


def test_a_filter_holds_for_hosts_inside_too(crossing: Crossing) -> None:
    """RFC 6146, 3.5: the other has sent to the server and nobody else."""
    hairpin = Hairpin(crossing, UDP)
    hairpin.open(filtering="by-endpoint")
    assert hairpin.turned(hairpin.packet()) == []
    assert crossing.drops() == {"nat_no_session": 1}


# Sessions and addresses.


def test_private_addresses_are_not_behind_the_well_known_prefix(rig: Any) -> None:
    """RFC 6052, 3.1."""
    crossing = Crossing(rig, WELL_KNOWN)
    crossing.configure()
    there = ("11.0.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1")
    private = ("10.0.0.1", "172.16.0.1", "192.168.7.1", "198.51.100.7", "100.64.0.1")
    for text in (*there, *private):
        it = datagram(HOST, embed(WELL_KNOWN, IPv4Address(text)), UDP, transport(UDP, (1, 2), b""))
        assert len(crossing.out(write_6(summed(it)))) == (text in there), text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (32, "2001:dba:c000:221::"),
        (40, "2001:db8:1c0:2:21::"),
        (48, "2001:db8:122:c000:2:2100::"),
        (56, "2001:db8:122:3c0:0:221::"),
        (64, "2001:db8:122:344:c0:2:2100::"),
        (96, "2001:db8:122:344::192.0.2.33"),
    ],
)
def test_the_model_embeds_as_the_examples_say(length: int, text: str) -> None:
    """RFC 6052, 2.4; the prefix of 32 bits is another one, as the host is behind that."""
    address = IPv4Address("192.0.2.33")
    assert embed(PREFIXES[length], address) == IPv6Address(text)
    assert extract(PREFIXES[length], IPv6Address(text)) == address


def test_what_has_no_way_outside_is_told_in_ipv6(crossing: Crossing) -> None:
    """RFC 4443, 3.1: the translator is a router that has none."""
    it = datagram(HOST, embed(PREFIX, IPv4Address("10.0.2.1")), UDP, transport(UDP, (1, 2), b""))
    packet = write_6(summed(it))
    assert crossing.out(packet) == []
    [error] = map(read_6, crossing.heard("if1"))
    assert (error.payload[:2], error.payload[8:]) == (bytes([1, 0]), packet)


def test_what_a_translator_may_not_touch_is_dropped(crossing: Crossing) -> None:
    """RFC 7915, 5.1: a route that is not at its end, other protocols; 4.1: a source route."""
    packet = request(PREFIX, UDP)
    routing = bytes([UDP, 0, 0, 1]) + bytes(4)
    size = (int.from_bytes(packet[4:6]) + 8).to_bytes(2)
    routed = packet[:4] + size + bytes([43]) + packet[7:40] + routing + packet[40:]
    esp = packet[:6] + bytes([50]) + packet[7:]
    assert crossing.out(routed, esp) == []
    assert crossing.drops() == {"nat_protocol": 2}
    ended = routed[:43] + b"\0" + routed[44:]
    assert len(crossing.out(ended)) == 1


def test_hosts_share_ports_limits_and_lists_with_those_of_ipv4(rig: Any) -> None:
    """RFC 6146, 3.5: one pool; K19, M20: listed by pages, in both families."""
    crossing = Crossing(rig, PREFIX)
    crossing.configure(**{"max-per-source": 3, "log-mappings": True})
    sent = []
    for n in range(5):
        it = read_6(request(PREFIX, UDP))
        payload = (PORT + n).to_bytes(2) + it.payload[2:]
        sent.append(write_6(summed(replace(it, payload=payload))))
    other = replace(read_6(sent[0]), source=IPv6Address("2001:db8:1:1::a"))
    came = crossing.out(*sent, write_6(summed(other)))
    assert len(came) == 4
    assert crossing.drops() == {"nat_limit": 2}
    ports = [int.from_bytes(packet[20:22]) for packet in came]
    assert len(set(ports)) == 4
    rows, position, pages = [], 0, 0
    while True:
        payload = nat_sessions.PAGE.pack(position, 3)
        code, _, (head, records) = routes.answer(rig.switch, "nat_sessions", "r", payload)
        assert code == DONE
        rows += list(nat_sessions.RECORD.iter_unpack(records))
        position, pages = *nat_sessions.NEXT.unpack(head), pages + 1
        if not position:
            break
    assert pages > 1
    assert sorted(row[4] for row in rows) == sorted(ports)
    assert {(row[0], row[1], IPv4Address(row[6]), IPv4Address(row[7])) for row in rows} == {
        (6, UDP, OUTSIDE, SERVER)
    }
    assert sorted({IPv6Address(row[8]) for row in rows}) == [HOST, other.source]
    assert {event.inside for event in crossing.nat.events()} == {HOST, other.source}
    _, _, (ended,) = routes.answer(rig.switch, "nat_flush", "r", HOST.packed)
    assert nat_sessions.ENDED.unpack(ended) == (3,)
    assert crossing.nat.counts()["sessions"] == 1
    assert routes.answer(rig.switch, "nat_sessions", "no", payload)[0] != DONE
    assert routes.answer(rig.switch, "nat_sessions", "r", b"short")[0] == BAD_LEN


def test_another_prefix_ends_sessions_and_others_stay(crossing: Crossing) -> None:
    """T6: hosts know the addresses behind the old one only."""
    crossing.open(UDP)
    crossing.configure(filtering="by-address")
    assert crossing.nat.counts()["sessions"] == 1
    crossing.prefix = PREFIXES[48]
    crossing.configure()
    assert crossing.nat.counts()["sessions"] == 0
    assert crossing.into(answer(UDP)) == []
    crossing.open(UDP)
    assert len(crossing.into(answer(UDP))) == 1


def test_a_prefix_that_cannot_be_is_refused(rig: Any) -> None:
    """T5; RFC 6052, 2.2: bits 64 to 71 are 0."""
    for prefix in ("2001:db8:0:0:ff00::/96", "2001:db8::1/96", "::/99"):
        with pytest.raises(BadConfig) as caught:
            rig.switch.prepare(read_config(tree(prefix)))
        assert caught.value.path == "/raicho/router[name='r']/nat"


def test_ipv4_goes_on_beside_it(crossing: Crossing) -> None:
    """What is for nobody inside is dropped as ever, fragments too, and asks nobody in."""
    crossing.open(UDP)
    stray = read(answer(UDP))
    other = write_4(
        summed(replace(stray, payload=stray.payload[:2] + b"\x77\x77" + stray.payload[4:]))
    )
    ping = write_4(summed(datagram(SERVER, OUTSIDE, ICMP, transport(ICMP, (PORT, 0), b""))))
    assert crossing.into(other, ping) == []
    assert crossing.drops() == {"nat_no_session": 2}
