"""Which headers the oracle finds, against scapy and against the text of the RFCs."""

from random import Random

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet

from oracle import frames
from oracle.fields import FIELDS, extract
from oracle.packet import parse

MACS = bytes.fromhex("020000000002020000000001")


def found(frame: bytes) -> dict[str, int]:
    """Return the header fields of *frame* that are not 0."""
    pipeline = ("in_port", "in_phy_port", "eth_dst", "eth_src")
    return {n: v for n, v in extract(frame, 1).items() if v and n not in pipeline}


# Layer of scapy: its fields and how the oracle calls them.
SCAPY_FIELDS = {
    IP: {"proto": "ip_proto", "src": "ipv4_src", "dst": "ipv4_dst"},
    IPv6: {"src": "ipv6_src", "dst": "ipv6_dst", "fl": "ipv6_flabel"},
    TCP: {"sport": "tcp_src", "dport": "tcp_dst"},
    UDP: {"sport": "udp_src", "dport": "udp_dst"},
    SCTP: {"sport": "sctp_src", "dport": "sctp_dst"},
    ICMP: {"type": "icmpv4_type", "code": "icmpv4_code"},
    ARP: {"op": "arp_op", "psrc": "arp_spa", "pdst": "arp_tpa"}
    | {"hwsrc": "arp_sha", "hwdst": "arp_tha"},
    MPLS: {"label": "mpls_label", "cos": "mpls_tc", "s": "mpls_bos"},
    Ether: {"src": "eth_src", "dst": "eth_dst"},
}


def raw(layer: Packet, name: str) -> int:
    """Return a field of a scapy layer as a number."""
    field = layer.get_field(name)
    value = getattr(layer, name)
    if isinstance(value, int):
        return value
    return int.from_bytes(field.i2m(layer, value), "big")


def scapy_says(frame: bytes) -> dict[str, int]:
    """Return what scapy finds in the outermost header of each kind."""
    packet, said = Ether(frame), {}
    for layer, names in SCAPY_FIELDS.items():
        if layer is Ether or (layer in packet and not behind_a_tunnel(packet, layer)):
            for name, ours in names.items():
                said[ours] = raw(packet[layer], name)
    if IP in packet and not behind_a_tunnel(packet, IP):
        said["ip_dscp"], said["ip_ecn"] = packet[IP].tos >> 2, packet[IP].tos & 3
    if IPv6 in packet and not behind_a_tunnel(packet, IPv6):
        said["ip_dscp"], said["ip_ecn"] = packet[IPv6].tc >> 2, packet[IPv6].tc & 3
    tag = packet.payload
    if isinstance(tag, Dot1Q | Dot1AD):
        said["vlan_vid"], said["vlan_pcp"] = 0x1000 | tag.vlan, tag.prio
    return said


def behind_a_tunnel(packet: Packet, layer: type[Packet]) -> bool:
    """Tell if another IP or MPLS header comes before the layer."""
    outer = packet.payload
    while isinstance(outer, Dot1Q | Dot1AD):
        outer = outer.payload
    if layer in (IP, IPv6, MPLS, ARP):
        return type(outer) is not layer
    return not isinstance(outer, IP | IPv6)


def test_scapy_reads_the_same_from_whole_frames() -> None:
    rng, compared = Random(1), 0
    for _ in range(2_000):
        kind = rng.choice((frames.ipv4, frames.ipv6, frames.arp, frames.mpls))
        eth_type, payload = kind(rng)
        tag = rng.choice((b"", b"\x81\x00\x20\x0a", b"\x88\xa8\xe0\x01\x81\x00\x00\x05"))
        frame = MACS + tag + eth_type.to_bytes(2, "big") + payload
        ours = extract(frame)
        for name, value in scapy_says(frame).items():
            if ours[name] or FIELDS[name].oxm <= 7:  # Fragments: scapy dissects what it should not.
                assert ours[name] == value, (name, frame.hex())
                compared += 1
    assert compared > 10_000


def ipv4(payload: bytes, proto: int, fragment: int = 0, total: int | None = None) -> bytes:
    size = 20 + len(payload) if total is None else total
    head = b"\x45\xb9" + size.to_bytes(2, "big") + bytes(2) + fragment.to_bytes(2, "big")
    head += bytes([64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    return MACS + b"\x08\0" + head + payload


UDP_BYTES = bytes.fromhex("0035003600080000")
IPV4_FIELDS = {
    "eth_type": 0x0800,
    "ip_dscp": 46,
    "ip_ecn": 1,
    "ip_proto": 17,
    "ipv4_src": 0x0A000001,
    "ipv4_dst": 0x0A000002,
}
UDP_FIELDS = {"udp_src": 53, "udp_dst": 54}


def test_a_first_fragment_has_ports_and_a_later_one_has_none() -> None:
    """Prove M11."""
    assert found(ipv4(UDP_BYTES, 17, 0x2000)) == IPV4_FIELDS | UDP_FIELDS
    assert found(ipv4(UDP_BYTES, 17, 0x4000)) == IPV4_FIELDS | UDP_FIELDS
    assert found(ipv4(UDP_BYTES, 17, 0x0001)) == IPV4_FIELDS
    assert found(ipv4(UDP_BYTES, 17, 0x2001)) == IPV4_FIELDS


def test_a_transport_header_must_be_whole_inside_the_ip_packet() -> None:
    assert found(ipv4(UDP_BYTES[:7], 17)) == IPV4_FIELDS
    assert found(ipv4(UDP_BYTES, 17, total=27)) == IPV4_FIELDS  # The last byte is padding.
    for proto, size, names in (
        (6, 20, {"tcp_src": 53, "tcp_dst": 54}),
        (132, 12, {"sctp_src": 53, "sctp_dst": 54}),
        (1, 4, {"icmpv4_code": 53}),
        (58, 20, {}),  # ICMPv6 is not in IPv4.
    ):
        data = (UDP_BYTES + bytes(20))[:size]
        assert found(ipv4(data, proto)) == IPV4_FIELDS | {"ip_proto": proto} | names
        assert found(ipv4(data[:-1], proto)) == IPV4_FIELDS | {"ip_proto": proto}


def test_a_malformed_ipv4_header_gives_no_fields_beyond_the_type() -> None:
    bare = {"eth_type": 0x0800}
    assert found(ipv4(UDP_BYTES, 17, total=19)) == bare
    assert found(ipv4(UDP_BYTES, 17, total=29)) == bare  # Longer than the frame.
    good = ipv4(UDP_BYTES, 17)
    assert found(good[:14] + b"\x55" + good[15:]) == bare
    assert found(good[:14] + b"\x44" + good[15:]) == bare
    assert found(good[:14] + b"\x49" + good[15:]) == bare  # Options do not fit the length.
    assert found(good[:33]) == bare


def test_options_move_the_transport_header() -> None:
    head = ipv4(b"\x01" * 4 + UDP_BYTES, 17)
    assert found(head[:14] + b"\x46" + head[15:]) == IPV4_FIELDS | UDP_FIELDS


def test_a_tag_that_is_cut_off_leaves_the_rest_unread() -> None:
    for cut in (b"", b"\x20", b"\x20\x05", b"\x20\x05\x08"):
        assert found(MACS + b"\x81\x00" + cut) == {"eth_type": 0x8100}
    tagged = {"vlan_vid": 0x1005, "vlan_pcp": 1, "eth_type": 0x88CC}
    assert found(MACS + b"\x81\x00\x20\x05\x88\xcc") == tagged


def test_the_outermost_of_any_tags_counts_and_the_type_behind_all_of_them() -> None:
    tags = b"\x88\xa8\xe0\x01\x91\x00\x00\x02\x81\x00\x20\x03"
    assert found(MACS + tags + b"\x88\xcc") == {
        "vlan_vid": 0x1001,
        "vlan_pcp": 7,
        "eth_type": 0x88CC,
    }


def test_802_3_frames_have_the_type_of_snap_or_none() -> None:
    arp = bytes.fromhex("0001080006040001020000000001 0a000001 000000000000 0a000002")
    snap = b"\0\x24\xaa\xaa\x03\0\0\0\x08\x06"
    assert found(MACS + snap + arp)["arp_op"] == 1
    assert found(MACS + b"\0\x24\xaa\xaa\x03\0\0\x0c\x08\x06" + arp) == {"eth_type": 0x05FF}
    assert found(MACS + b"\0\x24\x42\x42\x03" + arp) == {"eth_type": 0x05FF}
    assert found(MACS + snap[:9]) == {"eth_type": 0x05FF}
    assert found(MACS + snap[:8] + b"\x05\xff") == {"eth_type": 0x05FF}
    assert found(MACS + b"\x06\x00") == {"eth_type": 0x0600}


def test_arp_is_read_for_ipv4_over_ethernet_only() -> None:
    arp = bytes.fromhex("0001080006040002020000000001 0a000001 020000000003 0a000002")
    assert found(MACS + b"\x08\x06" + arp) == {
        "eth_type": 0x0806,
        "arp_op": 2,
        "arp_sha": 0x020000000001,
        "arp_spa": 0x0A000001,
        "arp_tha": 0x020000000003,
        "arp_tpa": 0x0A000002,
    }
    for place in range(6):
        odd = arp[:place] + b"\xee" + arp[place + 1 :]
        assert found(MACS + b"\x08\x06" + odd) == {"eth_type": 0x0806}
    assert found(MACS + b"\x08\x06" + arp[:27]) == {"eth_type": 0x0806}


def test_nothing_is_read_behind_labels_and_backbone_tags() -> None:
    inner = ipv4(UDP_BYTES, 17)
    shim = (0x12345 << 12 | 5 << 9 | 0 << 8 | 64).to_bytes(4, "big")
    assert found(MACS + b"\x88\x47" + shim + inner[14:]) == {
        "eth_type": 0x8847,
        "mpls_label": 0x12345,
        "mpls_tc": 5,
    }
    assert found(MACS + b"\x88\x48" + shim[:3]) == {"eth_type": 0x8848}
    assert found(MACS + b"\x88\xe7\x28\x01\x02\x03" + inner) == {
        "eth_type": 0x88E7,
        "pbb_isid": 0x010203,
        "pbb_uca": 1,
    }
    cut = MACS + b"\x88\xe7\x28\x01\x02\x03" + inner[:11]
    assert found(cut) == {"eth_type": 0x88E7}


NONEXT, ESP, AUTH, DEST, FRAG, ROUTER, HOP, UNREP, UNSEQ = (1 << bit for bit in range(9))


def ipv6(kinds: list[int], last: int, payload: bytes, fragment: int = 0) -> bytes:
    """Make a packet with extension headers of 8 bytes."""
    body = b""
    for follows in [*kinds, last][1:]:
        body += bytes([follows, 0, fragment >> 8, fragment & 255] + [0] * 4)
    first = [*kinds, last][0]
    head = b"\x60\0\0\0" + (len(body) + len(payload)).to_bytes(2, "big") + bytes([first, 64])
    return MACS + b"\x86\xdd" + head + bytes(15) + b"\x01" + bytes(15) + b"\x02" + body + payload


@pytest.mark.parametrize(
    ("kinds", "last", "bits"),
    [
        ([], 17, 0),
        ([], 59, NONEXT),
        ([], 50, ESP),
        ([0], 17, HOP),
        ([60], 17, DEST),
        ([0, 60, 43, 44, 51, 60], 17, HOP | DEST | ROUTER | FRAG | AUTH),
        ([0, 60, 43, 44, 51], 50, HOP | DEST | ROUTER | FRAG | AUTH | ESP),
        ([60, 60], 17, DEST),
        ([60, 60, 60], 17, DEST | UNREP | UNSEQ),
        ([43, 43], 17, ROUTER | UNREP | UNSEQ),
        ([44, 43], 17, ROUTER | FRAG | UNSEQ),
        ([43, 60, 44], 17, ROUTER | DEST | FRAG | UNSEQ),
        ([60, 0], 17, DEST | UNSEQ),  # Hop-by-hop counts as the first header only.
        ([51, 43, 51], 59, AUTH | ROUTER | UNREP | UNSEQ | NONEXT),
    ],
)
def test_extension_headers_give_the_bits_of_the_specification(
    kinds: list[int], last: int, bits: int
) -> None:
    """Follow 7.2.3.8 and the order of RFC 2460, 4.1."""
    fields = found(ipv6(kinds, last, UDP_BYTES))
    assert (fields["ip_proto"], fields.get("ipv6_exthdr", 0)) == (last, bits)
    assert fields.get("udp_src", 0) == (53 if last == 17 else 0)


def test_an_extension_header_that_is_cut_off_ends_the_walk() -> None:
    frame = ipv6([0, 43], 17, b"")
    frame = frame[:18] + b"\0\x0f" + frame[20:-1]
    fields = found(frame)
    assert (fields["ip_proto"], fields["ipv6_exthdr"]) == (43, HOP)


def test_a_later_ipv6_fragment_has_the_protocol_and_no_ports() -> None:
    """Prove M11."""
    first, later = ipv6([44], 17, UDP_BYTES, 0x0001), ipv6([44], 17, UDP_BYTES, 0x0008)
    assert found(first)["udp_src"] == 53
    assert (found(later)["ip_proto"], "udp_src" in found(later)) == (17, False)
    assert found(ipv6([44, 60], 17, UDP_BYTES, 0x0008))["ip_proto"] == 60


def test_an_ipv6_packet_longer_than_its_frame_gives_no_fields() -> None:
    assert found(ipv6([], 17, UDP_BYTES)[:-1]) == {"eth_type": 0x86DD}


SOLICITATION = bytes.fromhex("8700000000000000") + bytes(15) + b"\x09"
SOURCE_OPTION = b"\x01\x01\x02\0\0\0\0\x07"


def test_neighbour_discovery_fields_need_code_0_and_whole_options() -> None:
    def nd(message: bytes) -> dict[str, int]:
        fields = found(ipv6([], 58, message))
        return {name: value for name, value in fields.items() if name.startswith("nd_")}

    both = {"nd_target": 9, "nd_sll": 0x020000000007}
    assert nd(SOLICITATION + SOURCE_OPTION) == both
    assert nd(SOLICITATION + b"\x0e\x01" + bytes(6) + SOURCE_OPTION) == both
    assert nd(SOLICITATION + b"\x0e\0" + bytes(6) + SOURCE_OPTION) == {"nd_target": 9}
    assert nd(SOLICITATION + SOURCE_OPTION[:7]) == {"nd_target": 9}
    assert nd(SOLICITATION + b"\x02" + SOURCE_OPTION[1:]) == {"nd_target": 9}
    assert nd(SOLICITATION + b"\x01\x02" + SOURCE_OPTION[2:] + bytes(8)) == {"nd_target": 9}
    assert nd(b"\x87\x01" + SOLICITATION[2:] + SOURCE_OPTION) == {}
    assert nd(SOLICITATION[:23]) == {}
    advertisement = b"\x88" + SOLICITATION[1:] + b"\x02" + SOURCE_OPTION[1:]
    assert nd(advertisement) == {"nd_target": 9, "nd_tll": 0x020000000007}


def test_no_frame_is_read_past_its_end() -> None:
    rng = Random(3)
    for _ in range(3_000):
        frame = frames.frame(rng)
        packet = parse(frame)
        sizes = {name: (row.bits + 7) // 8 for name, row in FIELDS.items()}
        for name, place in packet.at.items():
            assert place + sizes.get(name, 1) <= len(frame)
        for cut in range(0, len(frame), 7):
            extract(frame[:cut])
