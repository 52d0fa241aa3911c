"""The match fields of OpenFlow 1.3 (7.2.3.7, table 12): which bits of which header each one is.

One row a field.  Reading, matching, setting, encoding and generating are loops over this table.
A field whose header is not there reads as 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .packet import ARP_TYPE, IPV4_TYPE, IPV6_TYPE, MPLS_TYPES, PBB_TYPE, Packet, number, parse

PRESENT = 0x1000  # OFPVID_PRESENT
IP_TYPES = (IPV4_TYPE, IPV6_TYPE)
REGISTERS = ("reg0", "reg1", "reg2", "reg15")  # Of those of Nicira's extensions.
OWN_FIELDS = ("tunnel_id", *REGISTERS)  # Not of the frame, and written by actions.


@dataclass(frozen=True)
class Field:
    """A match field."""

    name: str
    oxm: int  # Number in class OFPXMC_OPENFLOW_BASIC.
    bits: int
    size: int  # Bytes on the wire.
    maskable: bool
    needs: tuple[tuple[str, tuple[int, ...]], ...]  # Fields that must be matched, to one of these.
    places: tuple[tuple[str, int], ...]  # Header and the bit in it; the first header found counts.
    oxm_class: int = 0x8000

    @property
    def settable(self) -> bool:
        """Tell if set-field may name it: it is a header field, the tunnel id or a register."""
        return bool(self.places) or self.name in OWN_FIELDS


_MASK, _EXACT = True, False
_IP = (("eth_type", IP_TYPES),)
_V4 = (("eth_type", (IPV4_TYPE,)),)
_V6 = (("eth_type", (IPV6_TYPE,)),)
_ARP = (("eth_type", (ARP_TYPE,)),)
_MPLS = (("eth_type", MPLS_TYPES),)
_PBB = (("eth_type", (PBB_TYPE,)),)
_TCP = (*_IP, ("ip_proto", (6,)))
_UDP = (*_IP, ("ip_proto", (17,)))
_SCTP = (*_IP, ("ip_proto", (132,)))
_ICMP4 = (*_V4, ("ip_proto", (1,)))
_ICMP6 = (*_V6, ("ip_proto", (58,)))
_ND = (*_ICMP6, ("icmpv6_type", (135, 136)))
_NS = (*_ICMP6, ("icmpv6_type", (135,)))
_NA = (*_ICMP6, ("icmpv6_type", (136,)))

# fmt: off
_ROWS = (
    Field("in_port",      0, 32,  4, _EXACT, (),     ()),
    Field("in_phy_port",  1, 32,  4, _EXACT, (("in_port", ()),), ()),
    Field("metadata",     2, 64,  8, _MASK,  (),     ()),
    Field("eth_dst",      3, 48,  6, _MASK,  (),     (("eth_dst", 0),)),
    Field("eth_src",      4, 48,  6, _MASK,  (),     (("eth_src", 0),)),
    Field("eth_type",     5, 16,  2, _EXACT, (),     (("eth_type", 0),)),
    Field("vlan_vid",     6, 13,  2, _MASK,  (),     (("vlan", 3),)),
    Field("vlan_pcp",     7, 3,   1, _EXACT, (("vlan_vid", ()),), (("vlan", 0),)),
    Field("ip_dscp",      8, 6,   1, _EXACT, _IP,    (("ipv4", 8), ("ipv6", 4))),
    Field("ip_ecn",       9, 2,   1, _EXACT, _IP,    (("ipv4", 14), ("ipv6", 10))),
    Field("ip_proto",    10, 8,   1, _EXACT, _IP,    (("ip_proto", 0),)),
    Field("ipv4_src",    11, 32,  4, _MASK,  _V4,    (("ipv4", 96),)),
    Field("ipv4_dst",    12, 32,  4, _MASK,  _V4,    (("ipv4", 128),)),
    Field("tcp_src",     13, 16,  2, _EXACT, _TCP,   (("tcp", 0),)),
    Field("tcp_dst",     14, 16,  2, _EXACT, _TCP,   (("tcp", 16),)),
    Field("udp_src",     15, 16,  2, _EXACT, _UDP,   (("udp", 0),)),
    Field("udp_dst",     16, 16,  2, _EXACT, _UDP,   (("udp", 16),)),
    Field("sctp_src",    17, 16,  2, _EXACT, _SCTP,  (("sctp", 0),)),
    Field("sctp_dst",    18, 16,  2, _EXACT, _SCTP,  (("sctp", 16),)),
    Field("icmpv4_type", 19, 8,   1, _EXACT, _ICMP4, (("icmpv4", 0),)),
    Field("icmpv4_code", 20, 8,   1, _EXACT, _ICMP4, (("icmpv4", 8),)),
    Field("arp_op",      21, 16,  2, _EXACT, _ARP,   (("arp", 48),)),
    Field("arp_spa",     22, 32,  4, _MASK,  _ARP,   (("arp", 112),)),
    Field("arp_tpa",     23, 32,  4, _MASK,  _ARP,   (("arp", 192),)),
    Field("arp_sha",     24, 48,  6, _MASK,  _ARP,   (("arp", 64),)),
    Field("arp_tha",     25, 48,  6, _MASK,  _ARP,   (("arp", 144),)),
    Field("ipv6_src",    26, 128, 16, _MASK, _V6,    (("ipv6", 64),)),
    Field("ipv6_dst",    27, 128, 16, _MASK, _V6,    (("ipv6", 192),)),
    Field("ipv6_flabel", 28, 20,  4, _MASK,  _V6,    (("ipv6", 12),)),
    Field("icmpv6_type", 29, 8,   1, _EXACT, _ICMP6, (("icmpv6", 0),)),
    Field("icmpv6_code", 30, 8,   1, _EXACT, _ICMP6, (("icmpv6", 8),)),
    Field("nd_target",   31, 128, 16, _EXACT, _ND,   (("nd_target", 0),)),
    Field("nd_sll",      32, 48,  6, _EXACT, _NS,    (("nd_sll", 0),)),
    Field("nd_tll",      33, 48,  6, _EXACT, _NA,    (("nd_tll", 0),)),
    Field("mpls_label",  34, 20,  4, _EXACT, _MPLS,  (("mpls", 0),)),
    Field("mpls_tc",     35, 3,   1, _EXACT, _MPLS,  (("mpls", 20),)),
    Field("mpls_bos",    36, 1,   1, _EXACT, _MPLS,  (("mpls", 23),)),
    Field("pbb_isid",    37, 24,  3, _MASK,  _PBB,   (("pbb", 8),)),
    Field("tunnel_id",   38, 64,  8, _MASK,  (),     ()),
    Field("ipv6_exthdr", 39, 9,   2, _MASK,  _V6,    ()),
    Field("pbb_uca",     41, 1,   1, _EXACT, _PBB,   (("pbb", 4),)),
    *(Field(name, int(name[3:]), 32, 4, _MASK, (), (), 1) for name in REGISTERS),
)
# fmt: on
FIELDS: Mapping[str, Field] = {row.name: row for row in _ROWS}
# Fields of the pipeline, not of the frame.
CONTEXT_FIELDS = ("in_port", "in_phy_port", "metadata", *OWN_FIELDS)


def bits_at(frame: bytes, bit: int, size: int) -> int:
    """Read *size* bits that begin *bit* bits into *frame*."""
    first, last = bit // 8, (bit + size + 7) // 8
    return number(frame, first, last - first) >> (last * 8 - bit - size) & (1 << size) - 1


def with_bits(frame: bytes, bit: int, size: int, value: int) -> bytes:
    """Return *frame* with *size* bits that begin *bit* bits into it replaced."""
    first, last = bit // 8, (bit + size + 7) // 8
    shift = last * 8 - bit - size
    kept = number(frame, first, last - first) & ~((1 << size) - 1 << shift)
    return frame[:first] + (kept | value << shift).to_bytes(last - first, "big") + frame[last:]


def place_of(field: Field, packet: Packet) -> int | None:
    """Return the bit at which *field* begins in the frame; None if it is not there."""
    for header, bit in field.places:
        if header in packet.at:
            return packet.at[header] * 8 + bit
    return None


class Key:
    """What a packet looks like to a table; every field is read when it is first asked for."""

    def __init__(
        self,
        frame: bytes,
        in_port: int = 0,
        metadata: int = 0,
        own: Mapping[str, int] | None = None,
    ) -> None:
        self.packet = parse(frame)
        self._values = {
            "in_port": in_port,
            "in_phy_port": in_port,
            "metadata": metadata,
            **dict.fromkeys(OWN_FIELDS, 0),
            **(own or {}),
        }

    def __getitem__(self, name: str) -> int:
        if name not in self._values:
            self._values[name] = self._read(name)
        return self._values[name]

    def _read(self, name: str) -> int:
        field, packet = FIELDS[name], self.packet
        if name == "eth_type":
            return packet.eth_type  # 802.3 frames have a type that is nowhere in them.
        if name == "ipv6_exthdr":
            return packet.extensions
        place = place_of(field, packet)
        if place is None:
            return 0
        if name == "vlan_vid":
            return PRESENT | bits_at(packet.frame, place + 1, 12)
        return bits_at(packet.frame, place, field.bits)

    def present(self, name: str) -> bool:
        """Tell if the packet has the field."""
        if name == "ipv6_exthdr":
            return "ipv6" in self.packet.at
        return name in CONTEXT_FIELDS or place_of(FIELDS[name], self.packet) is not None


def extract(frame: bytes, in_port: int = 0) -> dict[str, int]:
    """Return all match fields of a frame."""
    key = Key(frame, in_port)
    return {name: key[name] for name in FIELDS}
