"""Find the headers of a frame: where each begins, and no more of it than is whole.

The result names places, not values; fields.py says which bits of which header a field is.
A header that is cut off, or that contradicts itself, is not there.
"""

from dataclasses import dataclass, field

VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
MPLS_TYPES = (0x8847, 0x8848)
PBB_TYPE = 0x88E7
ARP_TYPE = 0x0806
IPV4_TYPE = 0x0800
IPV6_TYPE = 0x86DD
LLC_TYPE = 0x05FF  # Stands for "an 802.3 frame without an Ethernet type".
MIN_TYPE = 0x0600

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
HOP, ROUTING, FRAGMENT, ESP, AUTH, NO_NEXT, DEST = 0, 43, 44, 50, 51, 59, 60

# OFPIEH_* (7.2.3.8).
NONEXT_BIT, ESP_BIT, AUTH_BIT, DEST_BIT, FRAG_BIT, ROUTER_BIT, HOP_BIT, UNREP_BIT, UNSEQ_BIT = (
    1 << bit for bit in range(9)
)
EXTENSION_BITS = {
    HOP: HOP_BIT,
    ROUTING: ROUTER_BIT,
    FRAGMENT: FRAG_BIT,
    DEST: DEST_BIT,
    AUTH: AUTH_BIT,
    ESP: ESP_BIT,
    NO_NEXT: NONEXT_BIT,
}
# The order of RFC 2460, 4.1.  Destination options have two places in it.
EXTENSION_ORDER = (HOP, DEST, ROUTING, FRAGMENT, AUTH, ESP, DEST)

# (IP version, protocol): name of the header and the bytes that must be there.
TRANSPORTS = {
    (4, ICMP): ("icmpv4", 4),
    (6, ICMPV6): ("icmpv6", 4),
    **{(version, TCP): ("tcp", 20) for version in (4, 6)},
    **{(version, UDP): ("udp", 8) for version in (4, 6)},
    **{(version, SCTP): ("sctp", 12) for version in (4, 6)},
}
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136


@dataclass(slots=True)
class Packet:
    """A frame and the headers found in it."""

    frame: bytes
    at: dict[str, int] = field(default_factory=dict)  # Header or place: its first byte.
    eth_type: int = 0  # After all VLAN tags; 0 if the frame ends before it.
    extensions: int = 0  # OFPIEH_* bits.
    l3: int = 0  # The first byte after the Ethernet type.
    l4: int = 0  # The first byte after the IP header and its extension headers.
    end: int = 0  # The first byte after the IP payload; link padding may follow.
    fragment: bool = False  # Any fragment, the first included.
    later_fragment: bool = False
    more_segments: bool = False  # A routing header has addresses still to visit.


def number(frame: bytes, at: int, size: int) -> int:
    """Read *size* bytes at *at* in network order."""
    return int.from_bytes(frame[at : at + size], "big")


def parse(frame: bytes) -> Packet:
    """Find the headers of *frame*."""
    packet = Packet(frame)
    _ethernet(packet)
    handler = _BY_TYPE.get(packet.eth_type)
    if handler:
        handler(packet)
    return packet


def _ethernet(packet: Packet) -> None:
    """Find the addresses, the outermost tag and the type.

    A tag is whole if the type behind it is; a cut one is no tag.
    """
    frame, at = packet.frame, packet.at
    if len(frame) < 14:
        return
    at["eth_dst"], at["eth_src"] = 0, 6
    place = 12
    while len(frame) >= place + 6 and number(frame, place, 2) in VLAN_TYPES:
        at.setdefault("vlan", place + 2)
        place += 4
    _ether_type(packet, place)


def _ether_type(packet: Packet, place: int) -> None:
    """Tell an Ethernet type from an 802.3 length, with or without SNAP behind it."""
    frame = packet.frame
    packet.eth_type = number(frame, place, 2)
    if packet.eth_type < MIN_TYPE:
        packet.eth_type = LLC_TYPE
        snap = frame[place + 2 : place + 10]
        inner = number(snap, 6, 2)
        if len(snap) == 8 and snap[:6] == b"\xaa\xaa\x03\0\0\0" and inner >= MIN_TYPE:
            packet.eth_type = inner
            place += 8
    packet.at["eth_type"] = place
    packet.l3 = place + 2


def _mpls(packet: Packet) -> None:
    if len(packet.frame) >= packet.l3 + 4:
        packet.at["mpls"] = packet.l3


def _pbb(packet: Packet) -> None:
    """Find the I-TAG; the customer's addresses are the end of it (IEEE 802.1Q, 9.7)."""
    if len(packet.frame) >= packet.l3 + 16:
        packet.at["pbb"] = packet.l3


def _arp(packet: Packet) -> None:
    """Accept IPv4 over Ethernet only (RFC 826)."""
    whole = len(packet.frame) >= packet.l3 + 28
    if whole and packet.frame[packet.l3 : packet.l3 + 6] == b"\0\x01\x08\0\x06\x04":
        packet.at["arp"] = packet.l3


def ipv4_end(frame: bytes, at: int) -> int | None:
    """Return where the IPv4 packet at *at* ends; None if it is malformed (RFC 791)."""
    if len(frame) < at + 20 or frame[at] >> 4 != 4:
        return None
    header, total = (frame[at] & 15) * 4, number(frame, at + 2, 2)
    if header < 20 or total < header or at + total > len(frame):
        return None
    return at + total


def ipv6_end(frame: bytes, at: int) -> int | None:
    """Return where the IPv6 packet at *at* ends; None if it is malformed (RFC 2460)."""
    if len(frame) < at + 40 or frame[at] >> 4 != 6:
        return None
    end = at + 40 + number(frame, at + 4, 2)
    return end if end <= len(frame) else None


def _ipv4(packet: Packet) -> None:
    frame, l3 = packet.frame, packet.l3
    end = ipv4_end(frame, l3)
    if end is None:
        return
    fragment = number(frame, l3 + 6, 2)
    packet.at["ipv4"] = l3
    packet.at["ip_proto"] = l3 + 9
    packet.l4 = l3 + (frame[l3] & 15) * 4
    packet.end = end
    packet.fragment = bool(fragment & 0x3FFF)
    packet.later_fragment = bool(fragment & 0x1FFF)
    _transport(packet, 4)


def _ipv6(packet: Packet) -> None:
    end = ipv6_end(packet.frame, packet.l3)
    if end is None:
        return
    packet.at["ipv6"] = packet.l3
    packet.end = end
    packet.l4 = packet.l3 + 40
    packet.at["ip_proto"] = packet.l3 + 6
    seen = _extension_headers(packet)
    packet.extensions = _extension_bits(seen)
    _transport(packet, 6)


def _extension_headers(packet: Packet) -> list[int]:
    """Walk to the last next-header byte that can be reached; return the kinds on the way."""
    seen: list[int] = []
    while not packet.later_fragment:
        kind = packet.frame[packet.at["ip_proto"]]
        size = _extension_size(packet, kind)
        if kind not in EXTENSION_BITS or size is None:
            break
        seen.append(kind)
        if kind in (ESP, NO_NEXT):
            break
        _note_extension(packet, kind)
        packet.at["ip_proto"] = packet.l4
        packet.l4 += size
    return seen


def _extension_size(packet: Packet, kind: int) -> int | None:
    """Return the size of the extension header at l4; None if it is not whole."""
    if kind in (ESP, NO_NEXT):
        return 0  # Nothing of them is read.
    room = packet.end - packet.l4
    if room < 8:
        return None
    units = packet.frame[packet.l4 + 1]
    size = {FRAGMENT: 8, AUTH: (units + 2) * 4}.get(kind, (units + 1) * 8)
    return size if size <= room else None


def _note_extension(packet: Packet, kind: int) -> None:
    if kind == FRAGMENT:
        flags = number(packet.frame, packet.l4 + 2, 2)
        packet.fragment |= bool(flags & 0xFFF9)
        packet.later_fragment = bool(flags & 0xFFF8)
    if kind == ROUTING:
        packet.more_segments |= packet.frame[packet.l4 + 3] > 0


def _extension_bits(seen: list[int]) -> int:
    """Say in OFPIEH_* bits which extension headers were *seen*, and whether as expected."""
    bits = 0
    for place, kind in enumerate(seen):
        if kind != HOP or place == 0:  # "present as the first extension header"
            bits |= EXTENSION_BITS[kind]
        if seen.count(kind) > (2 if kind == DEST else 1):
            bits |= UNREP_BIT
    reached = 0
    for kind in seen:
        later = [i for i, each in enumerate(EXTENSION_ORDER) if each == kind and i >= reached]
        if later:
            reached = later[0] + 1
        elif kind in EXTENSION_ORDER:
            bits |= UNSEQ_BIT
    return bits


def _transport(packet: Packet, version: int) -> None:
    protocol = packet.frame[packet.at["ip_proto"]]
    name, size = TRANSPORTS.get((version, protocol), ("", 0))
    if name and not packet.later_fragment and packet.l4 + size <= packet.end:
        packet.at[name] = packet.l4
        if name == "icmpv6":
            _neighbour_discovery(packet)


def _neighbour_discovery(packet: Packet) -> None:
    """Find the target and the link-layer address of RFC 4861, 4.3 and 4.4."""
    frame, l4 = packet.frame, packet.l4
    option = {NEIGHBOUR_SOLICITATION: (1, "nd_sll"), NEIGHBOUR_ADVERTISEMENT: (2, "nd_tll")}
    if frame[l4] not in option or frame[l4 + 1] != 0 or l4 + 24 > packet.end:
        return
    packet.at["nd_target"] = l4 + 8
    kind, name = option[frame[l4]]
    place = l4 + 24
    while place + 8 <= packet.end:
        size = frame[place + 1] * 8
        if size == 0 or place + size > packet.end:
            return
        if frame[place] == kind and size == 8:
            packet.at.setdefault(name, place + 2)
        place += size


_BY_TYPE = {
    **{eth_type: _mpls for eth_type in MPLS_TYPES},
    PBB_TYPE: _pbb,
    ARP_TYPE: _arp,
    IPV4_TYPE: _ipv4,
    IPV6_TYPE: _ipv6,
}
