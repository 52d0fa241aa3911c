"""Set-field: write the bits of one field, then repair the checksums that cover them."""

from .checksum import crc32c, repaired
from .fields import FIELDS, PRESENT, place_of, with_bits
from .packet import Packet, number, parse

# Header: where its checksum lies, and whether that covers the pseudo header of IP.
CHECKSUMS = {"tcp": (16, True), "udp": (6, True), "icmpv4": (2, False), "icmpv6": (2, True)}


def set_field(frame: bytes, name: str, value: int) -> bytes:
    """Return *frame* with a field set; unchanged where the field is not in it."""
    field, packet = FIELDS[name], parse(frame)
    place = place_of(field, packet)
    if place is None:
        return frame
    if name == "vlan_vid":  # The wire has 12 bits; the 13th says that there is a tag.
        changed = with_bits(frame, place + 1, 12, value & ~PRESENT)
    else:
        changed = with_bits(frame, place, field.bits, value)
    changed = repair(packet, changed)
    return _sctp_repaired(packet, changed) if name in ("sctp_src", "sctp_dst") else changed


def repair(old: Packet, frame: bytes) -> bytes:
    """Repair the checksums of *frame*, which was *old* and has the same headers.

    The headers are those of *old*: a new ip_proto leaves the checksum where the old protocol has
    it.  What is wrong before is as wrong afterwards.
    """
    ipv4 = old.at.get("ipv4")
    if ipv4 is not None:
        before, after = old.frame[ipv4 : old.l4], frame[ipv4 : old.l4]
        frame = _repaired_at(frame, ipv4 + 10, _without(before, 10), _without(after, 10))
    for header, (place, _) in CHECKSUMS.items():
        if header in old.at:
            return _repaired_transport(old, frame, header, old.l4 + place)
    return frame


def _repaired_transport(old: Packet, frame: bytes, header: str, place: int) -> bytes:
    if header == "udp" and number(old.frame, place, 2) == 0:
        return frame  # The sender computed none (RFC 768).
    before, after = _covered(old, old.frame, header), _covered(old, frame, header)
    frame = _repaired_at(frame, place, before, after)
    if header == "udp" and number(frame, place, 2) == 0:
        return with_bits(frame, place * 8, 16, 0xFFFF)
    return frame


def _covered(old: Packet, frame: bytes, header: str) -> bytes:
    """Return what the checksum of the transport header covers in *frame*."""
    place, pseudo = CHECKSUMS[header]
    payload = _without(frame[old.l4 : old.end], place)
    return _pseudo_header(old, frame) + payload if pseudo else payload


def _pseudo_header(old: Packet, frame: bytes) -> bytes:
    """Return addresses and protocol; lengths never change here.

    With segments left in a routing header the pseudo header has the final destination, not the
    one in the IPv6 header (RFC 2460, 8.1).
    """
    protocol = bytes([0, frame[old.at["ip_proto"]]])
    if "ipv4" in old.at:
        ipv4 = old.at["ipv4"]
        return frame[ipv4 + 12 : ipv4 + 20] + protocol
    ipv6 = old.at["ipv6"]
    return frame[ipv6 + 8 : ipv6 + (24 if old.more_segments else 40)] + protocol


def _without(data: bytes, place: int) -> bytes:
    """Return *data* with zeros for the checksum at *place*."""
    return data[:place] + b"\0\0" + data[place + 2 :]


def _repaired_at(frame: bytes, place: int, before: bytes, after: bytes) -> bytes:
    if before == after:
        return frame
    return with_bits(frame, place * 8, 16, repaired(number(frame, place, 2), before, after))


def _sctp_repaired(old: Packet, frame: bytes) -> bytes:
    """Compute the CRC32c anew over the whole SCTP packet (RFC 9260, 6.8), if it is all here."""
    if old.fragment:
        return frame
    zeroed = frame[old.l4 : old.l4 + 8] + bytes(4) + frame[old.l4 + 12 : old.end]
    crc = crc32c(zeroed).to_bytes(4, "little")
    return frame[: old.l4 + 8] + crc + frame[old.l4 + 12 :]
