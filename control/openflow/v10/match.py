"""The match of OpenFlow 1.0: twelve fields with a word of wildcards."""

import struct
from collections.abc import Iterable

from ..spec.match import VLAN_PRESENT, AnyOxm, Match, Oxm
from .ports import number_of, old_number

SIZE = 40
_MATCH = struct.Struct("!IH6s6sHBxHBB2x4s4sHH")
ALL = 0x3FFFFF
IPV4, ARP, NO_VLAN = 0x0800, 0x0806, 0xFFFF
(IN_PORT, DL_VLAN, DL_SRC, DL_DST, DL_TYPE, NW_PROTO, TP_SRC, TP_DST) = (1 << i for i in range(8))
NW_SRC_SHIFT, NW_DST_SHIFT = 8, 14
DL_VLAN_PCP, NW_TOS = 1 << 20, 1 << 21
#: By IP protocol: the fields that 1.0 calls tp_src and tp_dst.
TRANSPORT = {
    6: ("tcp_src", "tcp_dst"),
    17: ("udp_src", "udp_dst"),
    1: ("icmpv4_type", "icmpv4_code"),
}


def unpack_match(data: bytes) -> Match:
    """Return the match as one of 1.3; fields whose needs are not met are no part of it."""
    found = list(_fields(data))
    present = {oxm.name for oxm in found}
    order = ("in_port", "eth_dst", "eth_src", "eth_type", "vlan_vid", "vlan_pcp", "ip_dscp")
    rank = {name: i for i, name in enumerate(order)}
    assert len(present) == len(found), "each field is there once"
    return tuple(sorted(found, key=lambda oxm: rank.get(oxm.name, len(rank))))


def _fields(data: bytes) -> Iterable[Oxm]:
    (wild, port, src, dst, vid, pcp, kind, tos, proto, nw_src, nw_dst, tp_src, tp_dst) = (
        _MATCH.unpack(data)
    )
    if not wild & IN_PORT:
        yield Oxm("in_port", number_of(port))
    if not wild & DL_DST:
        yield Oxm("eth_dst", int.from_bytes(dst, "big"))
    if not wild & DL_SRC:
        yield Oxm("eth_src", int.from_bytes(src, "big"))
    yield from _vlan(wild, vid, pcp)
    if wild & DL_TYPE:
        return
    yield Oxm("eth_type", kind)
    if kind in (IPV4, ARP):
        yield from _network(wild, kind, tos, proto)
        yield from _addresses(wild, kind, nw_src, nw_dst)
    if kind == IPV4 and not wild & NW_PROTO and proto in TRANSPORT:
        for bit, name, value in zip(
            (TP_SRC, TP_DST), TRANSPORT[proto], (tp_src, tp_dst), strict=True
        ):
            if not wild & bit:
                yield Oxm(name, value & 0xFF if proto == 1 else value)


def _vlan(wild: int, vid: int, pcp: int) -> Iterable[Oxm]:
    if not wild & DL_VLAN and vid == NO_VLAN:
        yield Oxm("vlan_vid", 0)
        return
    if not wild & DL_VLAN:
        yield Oxm("vlan_vid", vid & 0xFFF | VLAN_PRESENT)
    elif not wild & DL_VLAN_PCP:
        yield Oxm("vlan_vid", VLAN_PRESENT, VLAN_PRESENT)
    if not wild & DL_VLAN_PCP:
        yield Oxm("vlan_pcp", pcp & 7)


def _network(wild: int, kind: int, tos: int, proto: int) -> Iterable[Oxm]:
    if kind == IPV4 and not wild & NW_TOS:
        yield Oxm("ip_dscp", tos >> 2)
    if not wild & NW_PROTO:
        yield Oxm("ip_proto" if kind == IPV4 else "arp_op", proto)


def _addresses(wild: int, kind: int, src: bytes, dst: bytes) -> Iterable[Oxm]:
    names = ("ipv4_src", "ipv4_dst") if kind == IPV4 else ("arp_spa", "arp_tpa")
    for name, shift, value in zip(names, (NW_SRC_SHIFT, NW_DST_SHIFT), (src, dst), strict=True):
        bits = min(wild >> shift & 63, 32)
        mask = 0xFFFFFFFF << bits & 0xFFFFFFFF
        if mask:
            address = int.from_bytes(value, "big") & mask
            yield Oxm(name, address, None if mask == 0xFFFFFFFF else mask)


def pack_match(match: Iterable[AnyOxm]) -> bytes:
    """Return a match as 1.0 writes it; what it has no words for matches anything."""
    fields = {oxm.name: oxm for oxm in match if isinstance(oxm, Oxm)}
    wild, values = (
        ALL,
        dict.fromkeys(("port", "vid", "pcp", "kind", "tos", "proto", "tp0", "tp1"), 0),
    )

    def take(name: str, into: str, bit: int) -> None:
        nonlocal wild
        if name in fields and fields[name].mask is None:
            values[into] = fields[name].value
            wild &= ~bit

    port = old_number(fields["in_port"].value) if "in_port" in fields else None
    if port is not None:
        values["port"], wild = port, wild & ~IN_PORT
    take("vlan_vid", "vid", DL_VLAN)
    take("vlan_pcp", "pcp", DL_VLAN_PCP)
    take("eth_type", "kind", DL_TYPE)
    take("ip_dscp", "tos", NW_TOS)
    take("ip_proto", "proto", NW_PROTO)
    take("arp_op", "proto", NW_PROTO)
    for src, dst in TRANSPORT.values():
        take(src, "tp0", TP_SRC)
        take(dst, "tp1", TP_DST)
    if not wild & DL_VLAN:
        values["vid"] = values["vid"] & 0xFFF if values["vid"] & VLAN_PRESENT else NO_VLAN
    macs = {name: bytes(6) for name in ("eth_src", "eth_dst")}
    for name, bit in (("eth_src", DL_SRC), ("eth_dst", DL_DST)):
        if name in fields and fields[name].mask is None:
            macs[name], wild = fields[name].value.to_bytes(6, "big"), wild & ~bit
    (src_bits, nw_src), (dst_bits, nw_dst) = (
        _prefix(fields, names) for names in (("ipv4_src", "arp_spa"), ("ipv4_dst", "arp_tpa"))
    )
    wild = wild & ~(63 << NW_SRC_SHIFT | 63 << NW_DST_SHIFT)
    wild |= src_bits << NW_SRC_SHIFT | dst_bits << NW_DST_SHIFT
    return _MATCH.pack(
        *(wild, values["port"], macs["eth_src"], macs["eth_dst"], values["vid"], values["pcp"]),
        *(values["kind"], values["tos"] << 2, values["proto"] & 0xFF, nw_src, nw_dst),
        *(values["tp0"], values["tp1"]),
    )


def _prefix(fields: dict[str, Oxm], names: tuple[str, str]) -> tuple[int, bytes]:
    """Return how many low bits of an address are wild, and the address."""
    for name in names:
        if name in fields:
            mask = 0xFFFFFFFF if fields[name].mask is None else fields[name].mask or 0
            wild = 32 if mask == 0 else (mask & -mask).bit_length() - 1
            return wild, fields[name].value.to_bytes(4, "big")
    return 32, bytes(4)
