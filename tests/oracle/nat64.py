"""RFC 7915: one IP header in the place of another, as plainly as it can be said.

A packet is taken apart, its parts are translated, and all lengths and checksums are made anew from
nothing.  Addresses are embedded as RFC 6052, section 2.2, says.
"""

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from .checksum import checksum, folded, words

ICMP, TCP, UDP, FRAGMENT, ICMP6 = 1, 6, 17, 44, 58
EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options
MINIMUM = 1280  # bytes that every link takes of IPv6
CHECKSUM_AT = {ICMP: 2, ICMP6: 2, TCP: 16, UDP: 6}

Address = IPv4Address | IPv6Address

# Section 4.2: type and code of ICMP errors in those of ICMPv6.
TO_ICMP6 = {(3, code): (1, 0) for code in (0, 1, 5, 6, 7, 8, 11, 12)}
TO_ICMP6 |= {(3, code): (1, 1) for code in (9, 10, 13, 15)}
TO_ICMP6 |= {(3, 2): (4, 1), (3, 3): (1, 4), (3, 4): (2, 0), (11, 0): (3, 0), (11, 1): (3, 1)}
TO_ICMP6 |= {(12, 0): (4, 0), (12, 2): (4, 0)}
# Section 5.2.
TO_ICMP = {(1, 0): (3, 1), (1, 1): (3, 10), (1, 2): (3, 1), (1, 3): (3, 1), (1, 4): (3, 3)}
TO_ICMP |= {(2, 0): (3, 4), (3, 0): (11, 0), (3, 1): (11, 1), (4, 0): (12, 0), (4, 1): (3, 2)}
# Figures 3 and 6: bytes of a header in those of the other; what is not here has no place there.
POINTERS_TO_6 = {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6}
POINTERS_TO_6 |= {i: 8 for i in range(12, 16)} | {i: 24 for i in range(16, 20)}
POINTERS_TO_4 = {0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8}
POINTERS_TO_4 |= {i: 12 for i in range(8, 24)} | {i: 16 for i in range(24, 40)}
QUERIES = {8: 128, 0: 129}


@dataclass(frozen=True)
class Datagram:
    """What both headers say."""

    source: Address
    destination: Address
    proto: int
    ttl: int
    traffic_class: int
    payload: bytes
    length: int  # of the payload, as the header says: less of it may be there
    fragment: tuple[int, int, int] | None = None  # offset in units of 8 bytes, more, id
    whole: bool = True  # IPv4: must not be fragmented


def embed(prefix: IPv6Network, address: IPv4Address) -> IPv6Address:
    """Put an IPv4 address behind a prefix, around bits 64 to 71."""
    head = prefix.network_address.packed[: prefix.prefixlen // 8]
    body = head + address.packed
    if prefix.prefixlen < 96:
        body = body[:8] + b"\0" + body[8:]
    return IPv6Address(body.ljust(16, b"\0"))


def extract(prefix: IPv6Network, address: IPv6Address) -> IPv4Address:
    """Take it out again."""
    packed = address.packed
    body = packed if prefix.prefixlen == 96 else packed[:8] + packed[9:]
    return IPv4Address(body[prefix.prefixlen // 8 :][:4])


def read(packet: bytes) -> Datagram:
    """Take a packet apart."""
    return read_4(packet) if packet[0] >> 4 == 4 else read_6(packet)


def read_4(packet: bytes) -> Datagram:
    size, flags = (packet[0] & 15) * 4, int.from_bytes(packet[6:8])
    pieces = flags & 0x1FFF, flags >> 13 & 1, int.from_bytes(packet[4:6])
    return Datagram(
        IPv4Address(packet[12:16]),
        IPv4Address(packet[16:20]),
        packet[9],
        packet[8],
        packet[1],
        packet[size:],
        int.from_bytes(packet[2:4]) - size,
        pieces if pieces[0] or pieces[1] else None,
        bool(flags & 0x4000),
    )


def read_6(packet: bytes) -> Datagram:
    proto, at, fragment = packet[6], 40, None
    while proto in (*EXTENSIONS, FRAGMENT):
        if proto == FRAGMENT:
            field, ident = struct.unpack_from("!HI", packet, at + 2)
            fragment, size = (field >> 3, field & 1, ident), 8
        else:
            size = 8 * (packet[at + 1] + 1)
        proto, at = packet[at], at + size
        if fragment and fragment[0]:
            break
    return Datagram(
        IPv6Address(packet[8:24]),
        IPv6Address(packet[24:40]),
        proto,
        packet[7],
        int.from_bytes(packet[:2]) >> 4 & 0xFF,
        packet[at:],
        40 + int.from_bytes(packet[4:6]) - at,
        fragment,
    )


def write_4(it: Datagram) -> bytes:
    """Write an IPv4 packet; one of up to 1260 bytes may be fragmented, and has id 0 here."""
    total = 20 + it.length
    offset, more, ident = it.fragment or (0, 0, 0)
    flags = offset | more << 13 if it.fragment else 0x4000 * (total > MINIMUM - 20)
    head = struct.pack("!BBHHHBBH", 0x45, it.traffic_class, total, ident & 0xFFFF, flags, it.ttl,
                       it.proto, 0) + it.source.packed + it.destination.packed  # fmt: skip
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + it.payload


def write_6(it: Datagram) -> bytes:
    """Write an IPv6 packet."""
    extra = b""
    if it.fragment:
        offset, more, ident = it.fragment
        extra = struct.pack("!BBHI", it.proto, 0, offset << 3 | more, ident)
    first = 6 << 28 | it.traffic_class << 20
    head = struct.pack(
        "!IHBB", first, len(extra) + it.length, FRAGMENT if extra else it.proto, it.ttl
    )
    return head + it.source.packed + it.destination.packed + extra + it.payload


def pseudo(it: Datagram) -> bytes:
    """Return the pseudo header of a datagram."""
    if it.proto == ICMP:
        return b""
    return it.source.packed + it.destination.packed + struct.pack("!II", it.length, it.proto)


def summed(it: Datagram) -> Datagram:
    """Return it with the checksum of its transport made anew."""
    at = CHECKSUM_AT[it.proto]
    zeroed = it.payload[:at] + bytes(2) + it.payload[at + 2 :]
    found = checksum(pseudo(it) + zeroed)
    if it.proto == UDP and not found:
        found = 0xFFFF
    return replace(it, payload=zeroed[:at] + found.to_bytes(2) + zeroed[at + 2 :])


def is_summed_right(it: Datagram) -> bool:
    return folded(sum(words(pseudo(it) + it.payload))) == 0xFFFF


def with_port(it: Datagram, port: int, *, source: bool) -> Datagram:
    """Give it another port, or id."""
    at = 4 if it.proto in (ICMP, ICMP6) else 0 if source else 2
    return replace(it, payload=it.payload[:at] + port.to_bytes(2) + it.payload[at + 2 :])


def _query(it: Datagram, proto: int) -> Datagram:
    """Turn a query of one ICMP into one of the other; leave what is not ICMP."""
    if it.proto not in (ICMP, ICMP6):
        return it
    types = QUERIES if proto == ICMP6 else {new: old for old, new in QUERIES.items()}
    return replace(it, proto=proto, payload=bytes([types[it.payload[0]]]) + it.payload[1:])


@dataclass(frozen=True)
class Nat64:
    """A prefix, and the mapping of one endpoint inside; links that take so many bytes."""

    prefix: IPv6Network
    inside: IPv6Address
    inside_port: int
    outside: IPv4Address
    outside_port: int
    mtu_6: int = 1500
    mtu_4: int = 1500

    def out(self, packet: bytes) -> bytes:
        """Translate a packet from inside."""
        it = read_6(packet)
        to = replace(it, destination=extract(self.prefix, IPv6Address(it.destination)))
        to = replace(to, source=self.outside)
        if it.proto == ICMP6 and it.payload[0] < 128:
            return write_4(self._error_out(to))
        if it.fragment and it.fragment[0]:
            return write_4(to)
        to = with_port(_query(to, ICMP), self.outside_port, source=True)
        return write_4(self._repaired(it, to) if it.fragment and it.fragment[1] else summed(to))

    def into(self, packet: bytes) -> list[bytes]:
        """Translate a packet from outside, in as many pieces as it takes."""
        it = read_4(packet)
        to = replace(it, source=embed(self.prefix, IPv4Address(it.source)), destination=self.inside)
        if it.proto == ICMP and it.payload[0] not in QUERIES:
            return [write_6(self._error_in(to))]
        if not it.fragment:
            to = summed(with_port(_query(to, ICMP6), self.inside_port, source=False))
        elif not it.fragment[0]:
            to = self._repaired(it, with_port(to, self.inside_port, source=False))
        may_cut = not it.whole and (it.fragment or len(write_6(to)) > MINIMUM)
        if not may_cut:
            return [write_6(to)]
        return list(self._pieces(to, int.from_bytes(packet[4:6])))

    @staticmethod
    def _repaired(it: Datagram, to: Datagram) -> Datagram:
        """Repair the checksum of a first fragment, which is not all that it covers (RFC 1624)."""
        at = CHECKSUM_AT[it.proto]
        old = int.from_bytes(to.payload[at : at + 2])
        total = (~old & 0xFFFF) + sum(~word & 0xFFFF for word in words(_ends(it)))
        new = ~folded(total + sum(words(_ends(to)))) & 0xFFFF
        new = 0xFFFF if it.proto == UDP and not new else new
        return replace(to, payload=to.payload[:at] + new.to_bytes(2) + to.payload[at + 2 :])

    @staticmethod
    def _pieces(it: Datagram, ident: int) -> list[bytes]:
        """Cut a datagram, or a fragment, into fragments that every link takes."""
        offset, more, _ = it.fragment or (0, 0, 0)
        room = (MINIMUM - 48) // 8 * 8
        pieces = [it.payload[i : i + room] for i in range(0, len(it.payload), room)]
        return [
            write_6(
                replace(
                    it,
                    payload=piece,
                    length=len(piece),
                    fragment=(offset + i * room // 8, int(more or piece is not pieces[-1]), ident),
                )
            )
            for i, piece in enumerate(pieces)
        ]

    def _error_out(self, to: Datagram) -> Datagram:
        kind, code = to.payload[:2]
        value = int.from_bytes(to.payload[4:8])
        inner = read_6(to.payload[8:])
        shrinks = 28 if inner.fragment else 20
        mtu = min(max(value - shrinks, 0), self.mtu_4, self.mtu_6 - 20)
        new = {(2, 0): mtu, (4, 0): POINTERS_TO_4.get(value, 0) << 24}.get((kind, code), 0)
        back = replace(
            inner,
            source=extract(self.prefix, IPv6Address(inner.source)),
            destination=self.outside,
        )
        back = with_port(_query(back, ICMP), self.outside_port, source=False)
        room = 576 - 20 - 8
        body = write_4(summed(back))[:room]
        payload = bytes([*TO_ICMP[kind, code], 0, 0]) + new.to_bytes(4) + body
        return summed(replace(to, proto=ICMP, payload=payload, length=len(payload)))

    def _error_in(self, to: Datagram) -> Datagram:
        kind, code = to.payload[:2]
        value = int.from_bytes(to.payload[4:8])
        inner = read_4(to.payload[8:])
        mtu = min((value & 0xFFFF) + 20, self.mtu_6, self.mtu_4 + 20)
        new = {
            (3, 4): max(mtu, MINIMUM),
            (3, 2): 6,
            (12, 0): POINTERS_TO_6.get(value >> 24, 0),
            (12, 2): POINTERS_TO_6.get(value >> 24, 0),
        }.get((kind, code), 0)
        back = replace(
            inner,
            source=self.inside,
            destination=embed(self.prefix, IPv4Address(inner.destination)),
        )
        back = with_port(_query(back, ICMP6), self.inside_port, source=True)
        room = MINIMUM - 40 - 8
        body = write_6(summed(back))[:room]
        payload = bytes([*TO_ICMP6[kind, code], 0, 0]) + new.to_bytes(4) + body
        return summed(replace(to, proto=ICMP6, payload=payload, length=len(payload)))


def _ends(it: Datagram) -> bytes:
    """Return what a checksum covers of addresses and ports."""
    return it.source.packed + it.destination.packed + it.payload[:4]
