"""What the actions that change a frame do to its bytes (5.11, 5.12).

An action on a header that the frame does not have changes nothing.
"""

from collections.abc import Callable

from .actions import (
    Action,
    CopyTtlIn,
    CopyTtlOut,
    DecMplsTtl,
    DecNwTtl,
    PopMpls,
    PopPbb,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    SetMplsTtl,
    SetNwTtl,
)
from .fields import FIELDS, bits_at, place_of, with_bits
from .packet import IPV4_TYPE, IPV6_TYPE, Packet, ipv4_end, ipv6_end, parse
from .rewrite import repair, set_field


class InvalidTtl(Exception):
    """A time to live has run out."""


def field_of(packet: Packet, name: str) -> int | None:
    """Return a header field; None if it is not there."""
    place = place_of(FIELDS[name], packet)
    return None if place is None else bits_at(packet.frame, place, FIELDS[name].bits)


def push_vlan(frame: bytes, eth_type: int) -> bytes:
    """Insert a tag after the MAC addresses, with VID and PCP of the one that was outermost."""
    packet = parse(frame)
    vid = (field_of(packet, "vlan_vid") or 0) & 0xFFF
    tci = (field_of(packet, "vlan_pcp") or 0) << 13 | vid
    return frame[:12] + eth_type.to_bytes(2, "big") + tci.to_bytes(2, "big") + frame[12:]


def pop_vlan(frame: bytes) -> bytes:
    """Remove the tag after the MAC addresses, if it and the type behind it are whole."""
    if "vlan" not in parse(frame).at or len(frame) < 18:
        return frame
    return frame[:12] + frame[16:]


def push_mpls(frame: bytes, eth_type: int) -> bytes:
    """Insert a label after the Ethernet type, copied from the one that was outermost."""
    packet = parse(frame)
    type_at = packet.at.get("eth_type")
    if type_at is None:
        return frame
    ttl = _outer_ttl(packet)
    label, traffic = field_of(packet, "mpls_label") or 0, field_of(packet, "mpls_tc") or 0
    bottom = 0 if "mpls" in packet.at else 1
    shim = label << 12 | traffic << 9 | bottom << 8 | ttl
    return (
        frame[:type_at] + eth_type.to_bytes(2, "big") + shim.to_bytes(4, "big") + frame[packet.l3 :]
    )


def _outer_ttl(packet: Packet) -> int:
    """Return the TTL that a new label copies: of MPLS, else of IP, else 0 (table 7)."""
    for header in ("mpls", "ipv4", "ipv6"):
        if header in packet.at:
            return packet.frame[_TTL_AT[header] + packet.at[header]]
    return 0


_TTL_AT = {"mpls": 3, "ipv4": 8, "ipv6": 7}


def pop_mpls(frame: bytes, eth_type: int) -> bytes:
    """Remove the outermost label and say what is behind it."""
    packet = parse(frame)
    if "mpls" not in packet.at:
        return frame
    type_at = packet.at["eth_type"]
    return frame[:type_at] + eth_type.to_bytes(2, "big") + frame[packet.l3 + 4 :]


def push_pbb(frame: bytes, eth_type: int) -> bytes:
    """Put new addresses (copies) and an I-TAG in front of the frame (IEEE 802.1ah)."""
    packet = parse(frame)
    isid = field_of(packet, "pbb_isid") or 0
    tag = (field_of(packet, "vlan_pcp") or 0) << 29 | isid
    return frame[:12] + eth_type.to_bytes(2, "big") + tag.to_bytes(4, "big") + frame


def pop_pbb(frame: bytes) -> bytes:
    """Remove the I-TAG and move the customer's addresses to the front.

    A backbone VLAN tag stays: the specification has it popped by pop_vlan beforehand.
    """
    packet = parse(frame)
    if "pbb" not in packet.at or len(frame) < packet.l3 + 18:
        return frame
    customer = packet.l3 + 4
    tags = frame[12 : packet.at["eth_type"]]
    return frame[customer : customer + 12] + tags + frame[customer + 12 :]


def set_ttl(frame: bytes, headers: tuple[str, ...], ttl: int) -> bytes:
    """Set the TTL of the first of *headers* that the frame has."""
    packet = parse(frame)
    for header in headers:
        if header in packet.at:
            place = packet.at[header] + _TTL_AT[header]
            return repair(packet, with_bits(frame, place * 8, 8, ttl))
    return frame


def dec_ttl(frame: bytes, headers: tuple[str, ...]) -> bytes:
    """Count the TTL of the first of *headers* down; raise InvalidTtl if that leaves nothing."""
    packet = parse(frame)
    for header in headers:
        if header in packet.at:
            ttl = frame[packet.at[header] + _TTL_AT[header]]
            if ttl <= 1:
                raise InvalidTtl
            return set_ttl(frame, (header,), ttl - 1)
    return frame


def _next_ttl(packet: Packet) -> tuple[int, Packet | None] | None:
    """Find the TTL behind the outermost label: its place, and the IP packet if it is one's."""
    frame = packet.frame
    if "mpls" not in packet.at:
        return None
    inner = packet.at["mpls"] + 4
    if not field_of(packet, "mpls_bos"):
        return (inner + 3, None) if len(frame) >= inner + 4 else None
    for end, eth_type, name in ((ipv4_end, IPV4_TYPE, "ipv4"), (ipv6_end, IPV6_TYPE, "ipv6")):
        if end(frame, inner) is not None:
            # What the frame would be without the label, to repair the checksum of IPv4 in.
            bare = parse(
                frame[: packet.at["eth_type"]] + eth_type.to_bytes(2, "big") + frame[inner:]
            )
            return inner + _TTL_AT[name], bare
    return None


def copy_ttl_out(frame: bytes) -> bytes:
    """Copy the TTL of the next header to the outermost label."""
    packet = parse(frame)
    found = _next_ttl(packet)
    return frame if found is None else set_ttl(frame, ("mpls",), frame[found[0]])


def copy_ttl_in(frame: bytes) -> bytes:
    """Copy the TTL of the outermost label to the next header."""
    packet = parse(frame)
    found = _next_ttl(packet)
    if found is None:
        return frame
    place, bare = found
    ttl = frame[packet.at["mpls"] + 3]
    if bare is None:
        return with_bits(frame, place * 8, 8, ttl)
    changed = set_ttl(bare.frame, ("ipv4", "ipv6"), ttl)
    return frame[: packet.l3 + 4] + changed[bare.l3 :]


_IP = ("ipv4", "ipv6")
_MPLS = ("mpls",)
# What each action makes of a frame.
HEADER_ACTIONS: dict[type[Action], Callable[..., bytes]] = {
    SetField: lambda frame, act: set_field(frame, act.name, act.value),
    PushVlan: lambda frame, act: push_vlan(frame, act.eth_type),
    PopVlan: lambda frame, act: pop_vlan(frame),
    PushMpls: lambda frame, act: push_mpls(frame, act.eth_type),
    PopMpls: lambda frame, act: pop_mpls(frame, act.eth_type),
    PushPbb: lambda frame, act: push_pbb(frame, act.eth_type),
    PopPbb: lambda frame, act: pop_pbb(frame),
    SetNwTtl: lambda frame, act: set_ttl(frame, _IP, act.ttl),
    DecNwTtl: lambda frame, act: dec_ttl(frame, _IP),
    SetMplsTtl: lambda frame, act: set_ttl(frame, _MPLS, act.ttl),
    DecMplsTtl: lambda frame, act: dec_ttl(frame, _MPLS),
    CopyTtlOut: lambda frame, act: copy_ttl_out(frame),
    CopyTtlIn: lambda frame, act: copy_ttl_in(frame),
}
