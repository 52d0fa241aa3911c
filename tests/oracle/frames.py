"""Random frames of every protocol that the parser knows, with right checksums, and broken ones.

Addresses and ports come from small pools, so that frames have much in common.  All randomness
comes from the generator that is passed in: the same seed gives the same frames.
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from .checksum import checksum, crc32c
from .packet import AUTH, DEST, ESP, FRAGMENT, HOP, ICMP, ICMPV6, NO_NEXT, ROUTING, SCTP, TCP, UDP

MACS = tuple(
    bytes.fromhex(mac)
    for mac in ("020000000001", "020000000002", "0200000000ff", "ffffffffffff", "01005e000001")
)
IPV4S = tuple(bytes(ip) for ip in ((10, 0, 0, 1), (10, 0, 0, 2), (10, 0, 1, 1), (192, 168, 1, 200)))
IPV6S = tuple(
    bytes.fromhex(head) + bytes(7) + bytes([tail])
    for head, tail in (("fe80" + "00" * 6, 1), ("20010db8" + "00" * 4, 2), ("ff02" + "00" * 6, 1))
)
IPV6S = (*IPV6S, bytes.fromhex("20010db8000100020003000400050006"))
PORTS = (0, 53, 80, 443, 0x8000, 0xFFFF)
TTLS = (0, 1, 2, 64, 64, 255)
MIN_FRAME = 14  # What a port takes: a whole Ethernet header.


def u16(value: int) -> bytes:
    """Pack 16 bits in network order."""
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    """Pack 32 bits in network order."""
    return value.to_bytes(4, "big")


def frame(rng: Random, payload: "Payload | None" = None) -> bytes:
    """Make a frame, of one kind of payload or any; one in six is broken in some way."""
    whole = ethernet(rng, rng.randrange(3) if rng.random() < 0.4 else 0, payload)
    if rng.random() < 0.2:
        whole += rng.randbytes(rng.randrange(1, 20))  # As link padding.
    return broken(rng, whole) if rng.random() < 0.17 else whole


def broken(rng: Random, data: bytes) -> bytes:
    """Cut a frame short, or change a few of its bytes or bits."""
    if rng.random() < 0.5:
        return data[: rng.randrange(MIN_FRAME, len(data) + 1)]
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(12, min(len(changed), 12 + 80))
        changed[place] = rng.choice((0, 0xFF, rng.randrange(256), changed[place] ^ 1))
    return bytes(changed)


def ethernet(rng: Random, n_tags: int = 0, payload: "Payload | None" = None) -> bytes:
    """Make a frame with so many VLAN tags."""
    head = rng.choice(MACS) + rng.choice(MACS)
    for _ in range(n_tags):
        vid = rng.choice((0, 1, 10, 10, 100, 4095))
        tci = rng.randrange(8) << 13 | rng.choice((0, 0, 0x1000)) | vid
        head += u16(rng.choice((0x8100, 0x8100, 0x88A8, 0x9100))) + u16(tci)
    kinds = (ipv4, ipv6, arp, mpls, pbb, llc, unknown)
    make = payload or rng.choices(kinds, (8, 8, 3, 4, 3, 1, 1))[0]
    eth_type, body = make(rng)
    if eth_type == 0:  # 802.3
        eth_type = len(body)
    return head + u16(eth_type) + body


def unknown(rng: Random) -> tuple[int, bytes]:
    """Make a payload of a type that nobody parses."""
    return rng.choice((0x88CC, 0x0600, 0xFFFF)), rng.randbytes(rng.randrange(40))


def llc(rng: Random) -> tuple[int, bytes]:
    """Make an 802.3 payload: LLC, or SNAP around something else."""
    if rng.random() < 0.4:
        return 0, b"\x42\x42\x03" + rng.randbytes(rng.randrange(35))
    oui = rng.choice((b"\0\0\0", b"\0\0\0", b"\0\0\x0c"))
    eth_type, payload = rng.choice((ipv4, ipv6, arp, mpls))(rng)
    if rng.random() < 0.1:
        eth_type = rng.choice((0x8100, 0x05FF, 5))
    return 0, b"\xaa\xaa\x03" + oui + u16(eth_type) + payload


def mpls(rng: Random) -> tuple[int, bytes]:
    """Make a stack of labels around IP or something else."""
    n = rng.choice((1, 1, 2, 3))
    stack = b""
    for i in range(n):
        label = rng.choice((0, 3, 16, 1000, 0xFFFFF))
        bottom = i == n - 1
        stack += u32(label << 12 | rng.randrange(8) << 9 | bottom << 8 | rng.choice(TTLS))
    inner = rng.choices((ipv4, ipv6, unknown), (5, 4, 1))[0](rng)[1]
    return rng.choice((0x8847, 0x8847, 0x8848)), stack + inner


def pbb(rng: Random) -> tuple[int, bytes]:
    """Make an I-TAG around a frame."""
    head = rng.choice((0, 0x20, 0xE0, 0x10, 0x08, 0xFF))
    isid = rng.choice((0, 1, 0x1234, 0xFFFFFF))
    inner = ethernet(rng, rng.randrange(2)) if rng.random() < 0.95 else rng.randbytes(9)
    return 0x88E7, u32(head << 24 | isid) + inner


def arp(rng: Random) -> tuple[int, bytes]:
    """Make an ARP packet, now and then for other hardware."""
    kind = rng.choices(
        (b"\0\x01\x08\0\x06\x04", b"\0\x06\x08\0\x06\x04", b"\0\x01\x86\xdd\x06\x10"), (18, 1, 1)
    )[0]
    who = rng.choice(MACS) + rng.choice(IPV4S) + rng.choice(MACS) + rng.choice(IPV4S)
    return 0x0806, kind + u16(rng.choice((1, 2, 3, 0))) + who + bytes(rng.choice((0, 18)))


def data(rng: Random) -> bytes:
    """Make the data behind the last header."""
    return rng.randbytes(rng.choice((0, 1, 7, 8, 18, 40)))


def transport(rng: Random, protocol: int, pseudo: bytes, targets: Sequence[bytes] = IPV6S) -> bytes:
    """Make a transport header and data; *pseudo* is source and destination address."""
    if protocol in (TCP, UDP, SCTP):
        ports = u16(rng.choice(PORTS)) + u16(rng.choice(PORTS))
    if protocol == TCP:
        options = rng.choice((b"", b"", b"\x02\x04\x05\xb4"))
        middle = rng.randbytes(8) + u16((20 + len(options)) // 4 << 12 | rng.randrange(64))
        segment = ports + middle + rng.randbytes(2) + bytes(2) + rng.randbytes(2)
        return _summed(segment + options + data(rng), 16, protocol, pseudo)
    if protocol == UDP:
        body = data(rng)
        datagram = ports + u16(8 + len(body)) + bytes(2) + body
        return datagram if rng.random() < 0.2 else _summed(datagram, 6, protocol, pseudo)
    if protocol == SCTP:
        chunk = ports + rng.randbytes(4) + bytes(4) + b"\0\x03\0\x10" + rng.randbytes(12)
        return chunk[:8] + crc32c(chunk).to_bytes(4, "little") + chunk[12:]
    if protocol == ICMP:
        kind = u16(rng.choice((0, 0x0800, 0x0301, 0x0B00)))
        return _summed(kind + bytes(2) + rng.randbytes(4) + data(rng), 2, protocol, b"")
    if protocol == ICMPV6:
        return _summed(_icmpv6(rng, targets), 2, protocol, pseudo)
    return rng.randbytes(rng.randrange(30))


def _summed(segment: bytes, place: int, protocol: int, pseudo: bytes) -> bytes:
    """Fill in the checksum at *place*."""
    head = pseudo + u32(len(segment)) + u32(protocol) if pseudo else b""
    value = checksum(head + segment)
    if protocol == UDP and value == 0:
        value = 0xFFFF
    return segment[:place] + u16(value) + segment[place + 2 :]


def _icmpv6(rng: Random, targets: Sequence[bytes]) -> bytes:
    if rng.random() < 0.3:
        return u16(rng.choice((0x8000, 0x8100, 0x0104, 0x8600))) + bytes(2) + rng.randbytes(8)
    kind, code = rng.choice((135, 136)), rng.choice((0, 0, 0, 0, 1))
    message = bytes([kind, code, 0, 0]) + rng.randbytes(4) + rng.choice(targets)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        message += _nd_option(rng, kind - 134 if rng.random() < 0.75 else rng.choice((1, 2, 14)))
    return message[: rng.randrange(4, 28)] if rng.random() < 0.05 else message


def _nd_option(rng: Random, kind: int) -> bytes:
    option = bytes([kind, 1]) + rng.choice(MACS)
    return rng.choices(
        (option, option[:1] + b"\x02" + option[2:] + bytes(8), b"\x01\0" + bytes(6)), (12, 1, 1)
    )[0]


def ipv4(rng: Random, only: int | None = None) -> tuple[int, bytes]:
    """Make an IPv4 packet: options, fragments, every transport."""
    source, target = rng.choice(IPV4S), rng.choice(IPV4S)
    protocol = only or rng.choices((TCP, UDP, ICMP, SCTP, 47, ICMPV6), (6, 6, 4, 3, 1, 1))[0]
    body = transport(rng, protocol, source + target)
    options = bytes([1]) * (4 * rng.choice((0, 0, 0, 0, 1, 3, 10)))
    fragment = rng.choices((0, 0x4000, 0x2000, 0x2010, 0x0001), (8, 4, 1, 1, 1))[0]
    if fragment & 0x2000:
        body = body[: rng.choice((8, 16, 24))]
    head = bytes([0x40 | (20 + len(options)) // 4, rng.choice((0, 0xB8, 3, 0xFF))])
    head += u16(20 + len(options) + len(body)) + rng.randbytes(2) + u16(fragment)
    head += bytes([rng.choice(TTLS), protocol, 0, 0]) + source + target + options
    return 0x0800, head[:10] + u16(checksum(head)) + head[12:] + body


def ipv6(rng: Random, only: int | None = None) -> tuple[int, bytes]:
    """Make an IPv6 packet: extension headers in any order, fragments, every transport."""
    source, target = rng.choice(IPV6S), rng.choice(IPV6S)
    protocols = (TCP, UDP, ICMPV6, SCTP, NO_NEXT, ESP, ICMP)
    protocol = only or rng.choices(protocols, (6, 6, 8, 3, 1, 1, 1))[0]
    kinds = _extension_kinds(rng) if rng.random() < 0.45 else []
    final = rng.choice(IPV6S)
    routed = ROUTING in kinds and rng.random() < 0.5
    body = transport(rng, protocol, source + (final if routed else target))
    for place in range(len(kinds) - 1, -1, -1):
        follows = [*kinds, protocol][place + 1]
        body = _extension(rng, kinds[place], follows, final if routed else None) + body
    first = [*kinds, protocol][0]
    flow = 6 << 28 | rng.choice((0, 0xB8, 0x03, 0xFF)) << 20 | rng.choice((0, 1, 0xABCDE, 0xFFFFF))
    return 0x86DD, u32(flow) + u16(len(body)) + bytes(
        [first, rng.choice(TTLS)]
    ) + source + target + body


def _extension_kinds(rng: Random) -> list[int]:
    """Choose extension headers, more often than not in their preferred order."""
    order = [HOP, DEST, ROUTING, FRAGMENT, AUTH, DEST]
    if rng.random() < 0.6:
        return [kind for kind in order if rng.random() < 0.35]
    return [rng.choice(order) for _ in range(rng.randrange(1, 5))]


def _extension(rng: Random, kind: int, follows: int, final: bytes | None) -> bytes:
    """Make an extension header; a routing header to *final*, or with nothing left to visit."""
    if kind == FRAGMENT:
        flags = rng.choices((0, 1, 0x0008, 0x0011), (3, 3, 1, 1))[0]
        return bytes([follows, 0]) + u16(flags) + rng.randbytes(4)
    if kind == AUTH:
        return bytes([follows, 4, 0, 0]) + rng.randbytes(20)
    if kind == ROUTING:
        return bytes([follows, 2, 0, final is not None]) + bytes(4) + (final or IPV6S[0])
    units = rng.choice((0, 0, 1))
    fill = 4 + 8 * units
    return bytes([follows, units, 1, fill]) + bytes(fill)


Payload = Callable[[Random], tuple[int, bytes]]  # Makes an Ethernet type and what it is of.
# What most frames of a scenario may be, so that entries for rare protocols find packets.
THEMES: tuple[Payload, ...] = (
    arp,
    mpls,
    pbb,
    ipv6,
    *(partial(ipv4, only=protocol) for protocol in (TCP, UDP, ICMP, SCTP)),
    *(partial(ipv6, only=protocol) for protocol in (TCP, UDP, SCTP, ICMPV6, ICMPV6)),
)
