"""Set-field: checksums against scapy, and what must stay as it is."""

from random import Random

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP

from oracle import frames
from oracle.checksum import checksum, crc32c, repaired
from oracle.fields import FIELDS, extract
from oracle.rewrite import set_field

MACS = bytes.fromhex("020000000002020000000001")
SETTABLE = [name for name, field in FIELDS.items() if field.settable and field.places]
SUMS = {IP: "chksum", TCP: "chksum", UDP: "chksum", ICMP: "chksum", SCTP: "chksum"} | {
    layer: "cksum" for layer in (ICMPv6ND_NS, ICMPv6ND_NA)
}


def summed_by_scapy(frame: bytes) -> bytes:
    """Return *frame* with every checksum that scapy knows computed anew."""
    packet = Ether(frame)
    no_udp_sum = UDP in packet and packet[UDP].chksum == 0
    for layer, name in SUMS.items():
        if layer in packet:
            packet[layer].delfieldval(name)
    if no_udp_sum:
        packet[UDP].chksum = 0
    return bytes(packet)


def whole_frame(rng: Random) -> bytes:
    """Make an IP frame that is no fragment and has a protocol that scapy sums."""
    while True:
        eth_type, payload = rng.choice((frames.ipv4, frames.ipv6))(rng)
        frame = MACS + eth_type.to_bytes(2, "big") + payload
        fields = extract(frame)
        known = {1, 6, 17, 132} if eth_type == 0x0800 else {6, 17, 132, 58}
        if fields["ip_proto"] in known and not fields["ipv6_exthdr"]:
            plain = eth_type == 0x86DD or payload[6] & 0x3F == payload[7] == 0
            if plain and summed_by_scapy(frame) == frame:
                return frame


def test_every_checksum_is_what_scapy_computes() -> None:
    rng, changed = Random(5), dict.fromkeys(SETTABLE, 0)
    for _ in range(2_500):
        frame = whole_frame(rng)
        name = rng.choice(SETTABLE)
        if name in ("eth_type", "ip_proto", "icmpv6_type", "icmpv6_code"):
            continue  # Scapy would see another packet.
        value = rng.getrandbits(FIELDS[name].bits)
        after = set_field(frame, name, value)
        assert after == summed_by_scapy(after), (name, value, frame.hex())
        assert len(after) == len(frame)
        if after != frame:
            changed[name] += 1
            assert extract(after)[name] == value
    transport = ("tcp", "udp", "sctp", "nd_", "ipv")
    assert [n for n in SETTABLE if n.startswith(transport) and not changed[n]] == []


def test_a_field_reads_back_as_it_was_set_and_no_other_changes() -> None:
    rng, seen = Random(6), set()
    for _ in range(8_000):
        frame, name = frames.frame(rng), rng.choice(SETTABLE)
        if name in ("eth_type", "ip_proto", "icmpv6_type", "icmpv6_code"):
            continue
        before, value = extract(frame), rng.getrandbits(FIELDS[name].bits)
        if name == "vlan_vid":
            value |= 0x1000
        after = set_field(frame, name, value)
        if after != frame:
            seen.add(name)
            assert extract(after) == before | {name: value}
    assert len(seen) >= len(SETTABLE) - 4


def test_the_protocol_keeps_the_checksum_where_the_old_one_has_it() -> None:
    """TCP stays in place; its sum goes from cb4c to cb41 as 6 becomes 17 in the pseudo header."""
    head = bytes.fromhex("45000028000100004006") + bytes(2) + bytes([10, 0, 0, 1, 10, 0, 0, 2])
    segment = bytes(16) + b"\xcb\x4c" + bytes(2)
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    frame = MACS + b"\x08\0" + head + segment
    after = set_field(frame, "ip_proto", 17)
    assert after[34:] == bytes(16) + b"\xcb\x41" + bytes(2)
    assert (after[23], checksum(after[14:34])) == (17, 0)


def test_udp_without_a_checksum_stays_without() -> None:
    frame = bytes(Ether(MACS + b"\x08\0") / IP(src="10.0.0.1") / UDP(sport=1, dport=2, chksum=0))
    after = set_field(frame, "udp_dst", 99)
    assert (after[36:38], after[40:42]) == (b"\0\x63", b"\0\0")


def test_a_udp_checksum_that_comes_out_as_zero_is_sent_as_ones() -> None:
    frame = bytes(Ether(MACS + b"\x08\0") / IP(src="10.0.0.1") / UDP(sport=0, dport=2))
    total = int.from_bytes(frame[40:42], "big")
    after = set_field(frame, "udp_src", total)
    assert after[40:42] == b"\xff\xff"
    assert set_field(after, "udp_src", 0) == frame


@pytest.mark.parametrize("name", ["udp_src", "ipv4_src"])
def test_a_later_fragment_has_no_checksum_to_repair(name: str) -> None:
    """Prove M11."""
    packet = Ether(MACS + b"\x08\0") / IP(frag=1, proto=17) / UDP(sport=1, dport=2, chksum=77)
    frame = bytes(packet)
    assert set_field(frame, name, 0x1234)[34:] == frame[34:]


def test_a_first_fragment_has_its_checksum_repaired() -> None:
    whole = IP(src="10.0.0.1") / UDP(sport=1, dport=2) / bytes(64)
    packet = Ether(MACS + b"\x08\0") / IP(bytes(whole))
    frame = bytearray(bytes(packet))
    first = bytes(frame[:20]) + b"\x20\0" + bytes(frame[22:])
    moved = set_field(first, "ipv4_src", 0x0A000009)
    unfragmented = set_field(bytes(frame), "ipv4_src", 0x0A000009)
    assert moved[34:] == unfragmented[34:]


def test_what_was_wrong_is_as_wrong_afterwards() -> None:
    frame = bytes(Ether(MACS + b"\x08\0") / IP(chksum=5) / TCP(chksum=7))
    after = set_field(set_field(frame, "ipv4_dst", 0x01020304), "ipv4_dst", 0x7F000001)
    assert after == frame


def test_a_routing_header_hides_the_destination_from_the_checksum() -> None:
    """RFC 2460, 8.1: the pseudo header has the final destination."""
    routing = bytes([17, 2, 0, 1]) + bytes(19) + b"\x05"
    udp = bytes.fromhex("0001000200084321")
    head = b"\x60\0\0\0\0\x20\x2b\x40" + bytes(32)
    frame = MACS + b"\x86\xdd" + head + routing + udp
    assert set_field(frame, "ipv6_dst", 77)[-8:] == udp
    assert set_field(frame, "ipv6_src", 77)[-8:] != udp
    arrived = frame[:57] + b"\0" + frame[58:]
    assert set_field(arrived, "ipv6_dst", 77)[-8:] != udp


def test_crc32c_and_checksum_have_the_values_of_their_rfcs() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF & ~0xDDF2
    assert repaired(0xDD2F, b"\x55\x55", b"\x32\x85") == 0x0000  # RFC 1624, 4.
