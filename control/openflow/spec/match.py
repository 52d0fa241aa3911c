"""The match fields (section 7.2.3) and how a match is written down.

To add a field, add a row; the codec, the text form and the tests follow.
"""

from typing import NamedTuple

import msgspec

from .. import codec
from .errors import BadAction, BadMatch, reason

BASIC = 0x8000  # the OXM class of the specification's own fields
NXM0, NXM1 = 0x0000, 0x0001  # classes of Nicira's extensions
REGISTERS = 0x8001  # OFPXMC_PACKET_REGS of OpenFlow 1.5
EXPERIMENTER = 0xFFFF
VLAN_PRESENT = 0x1000  # set in vlan_vid where there is a tag


class Need(NamedTuple):
    """What must be matched first: a field, with one of these values (none: any value)."""

    field: str
    values: tuple[int, ...] = ()


class Field(NamedTuple):
    """A row: what a field is called, how it lies on the wire, what it needs, how people write it.

    *form* is one of the keys of FORMS in text.py.
    """

    name: str
    oxm: int
    bits: int
    maskable: bool
    needs: tuple[Need, ...] = ()
    form: str = "number"
    oxm_class: int = BASIC

    @property
    def size(self) -> int:
        """Bytes on the wire; flow labels and MPLS labels take four for their 20 bits."""
        return 4 if self.bits == 20 else (self.bits + 7) // 8


EXACT, MASK = False, True
_IP = (Need("eth_type", (0x0800, 0x86DD)),)
_IPV4 = (Need("eth_type", (0x0800,)),)
_IPV6 = (Need("eth_type", (0x86DD,)),)
_ARP = (Need("eth_type", (0x0806,)),)
_MPLS = (Need("eth_type", (0x8847, 0x8848)),)
_PBB = (Need("eth_type", (0x88E7,)),)
_TCP = (*_IP, Need("ip_proto", (6,)))
_UDP = (*_IP, Need("ip_proto", (17,)))
_SCTP = (*_IP, Need("ip_proto", (132,)))
_ICMPV4 = (*_IPV4, Need("ip_proto", (1,)))
_ICMPV6 = (*_IPV6, Need("ip_proto", (58,)))

FIELDS = (
    Field("in_port", 0, 32, EXACT, (), "port"),
    Field("in_phy_port", 1, 32, EXACT, (Need("in_port"),), "port"),
    Field("metadata", 2, 64, MASK, (), "hex"),
    Field("eth_dst", 3, 48, MASK, (), "mac"),
    Field("eth_src", 4, 48, MASK, (), "mac"),
    Field("eth_type", 5, 16, EXACT, (), "hex"),
    Field("vlan_vid", 6, 13, MASK),
    Field("vlan_pcp", 7, 3, EXACT, (Need("vlan_vid"),)),
    Field("ip_dscp", 8, 6, EXACT, _IP),
    Field("ip_ecn", 9, 2, EXACT, _IP),
    Field("ip_proto", 10, 8, EXACT, _IP),
    Field("ipv4_src", 11, 32, MASK, _IPV4, "ipv4"),
    Field("ipv4_dst", 12, 32, MASK, _IPV4, "ipv4"),
    Field("tcp_src", 13, 16, EXACT, _TCP),
    Field("tcp_dst", 14, 16, EXACT, _TCP),
    Field("udp_src", 15, 16, EXACT, _UDP),
    Field("udp_dst", 16, 16, EXACT, _UDP),
    Field("sctp_src", 17, 16, EXACT, _SCTP),
    Field("sctp_dst", 18, 16, EXACT, _SCTP),
    Field("icmpv4_type", 19, 8, EXACT, _ICMPV4),
    Field("icmpv4_code", 20, 8, EXACT, _ICMPV4),
    Field("arp_op", 21, 16, EXACT, _ARP),
    Field("arp_spa", 22, 32, MASK, _ARP, "ipv4"),
    Field("arp_tpa", 23, 32, MASK, _ARP, "ipv4"),
    Field("arp_sha", 24, 48, MASK, _ARP, "mac"),
    Field("arp_tha", 25, 48, MASK, _ARP, "mac"),
    Field("ipv6_src", 26, 128, MASK, _IPV6, "ipv6"),
    Field("ipv6_dst", 27, 128, MASK, _IPV6, "ipv6"),
    Field("ipv6_flabel", 28, 20, MASK, _IPV6, "hex"),
    Field("icmpv6_type", 29, 8, EXACT, _ICMPV6),
    Field("icmpv6_code", 30, 8, EXACT, _ICMPV6),
    Field("ipv6_nd_target", 31, 128, EXACT, (*_ICMPV6, Need("icmpv6_type", (135, 136))), "ipv6"),
    Field("ipv6_nd_sll", 32, 48, EXACT, (*_ICMPV6, Need("icmpv6_type", (135,))), "mac"),
    Field("ipv6_nd_tll", 33, 48, EXACT, (*_ICMPV6, Need("icmpv6_type", (136,))), "mac"),
    Field("mpls_label", 34, 20, EXACT, _MPLS),
    Field("mpls_tc", 35, 3, EXACT, _MPLS),
    Field("mpls_bos", 36, 1, EXACT, _MPLS),
    Field("pbb_isid", 37, 24, MASK, _PBB),
    Field("tunnel_id", 38, 64, MASK, (), "hex"),
    Field("ipv6_exthdr", 39, 9, MASK, _IPV6, "hex"),
    Field("pbb_uca", 41, 1, EXACT, _PBB),
    *(Field(f"reg{n}", n, 32, MASK, (), "hex", NXM1) for n in range(16)),
    Field("tun_ipv4_src", 31, 32, MASK, (), "ipv4", NXM1),
    Field("tun_ipv4_dst", 32, 32, MASK, (), "ipv4", NXM1),
    Field("ip_frag", 26, 2, MASK, _IP, "hex", NXM1),
    Field("nw_ttl", 29, 8, EXACT, _IP, "number", NXM1),
    Field("mpls_ttl", 30, 8, EXACT, _MPLS, "number", NXM1),
    Field("tcp_flags", 34, 12, MASK, _TCP, "hex", NXM1),
    Field("vlan_tci", 4, 16, MASK, (), "hex", NXM0),
    *(Field(f"xreg{n}", n, 64, MASK, (), "hex", REGISTERS) for n in range(8)),
    *(Field(f"xxreg{n}", 111 + n, 128, MASK, (), "hex", NXM1) for n in range(4)),
)
FIELD: dict[str, Field] = {field.name: field for field in FIELDS}


class Oxm(msgspec.Struct, frozen=True):
    """One field of the specification: *name* is that of a row in FIELDS."""

    name: str
    value: int
    mask: int | None = None


class RawOxm(msgspec.Struct, frozen=True):
    """A field of another class (Nicira's, an experimenter's), as bytes."""

    oxm_class: int
    field: int
    value: bytes
    mask: bytes | None = None
    experimenter: int | None = None


class OxmId(msgspec.Struct, frozen=True):
    """The header of a field without its value, as in table features."""

    header: int
    experimenter: int | None = None


AnyOxm = Oxm | RawOxm
Match = tuple[AnyOxm, ...]

MATCH = codec.match(
    codec.OxmTable(
        FIELDS,
        Oxm,
        RawOxm,
        bad_type=reason(BadMatch.BAD_TYPE),
        bad_len=reason(BadMatch.BAD_LEN),
        bad_field=reason(BadMatch.BAD_FIELD),
    )
)
SET_FIELD = codec.oxm(
    codec.OxmTable(
        FIELDS,
        Oxm,
        RawOxm,
        bad_type=reason(BadAction.BAD_SET_TYPE),
        bad_len=reason(BadAction.BAD_SET_LEN),
        bad_field=reason(BadAction.BAD_SET_TYPE),
    )
)


def match(**fields: int | tuple[int, int]) -> Match:
    """Return a match: ``match(eth_type=0x0800, ipv4_dst=(0x0A000000, 0xFF000000))``."""
    pairs = {name: v if isinstance(v, tuple) else (v, None) for name, v in fields.items()}
    unknown = pairs.keys() - FIELD.keys()
    if unknown:
        raise ValueError(f"no match field is called {', '.join(sorted(unknown))}")
    return tuple(Oxm(name, value, mask) for name, (value, mask) in pairs.items())
