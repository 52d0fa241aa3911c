"""The checksum of SCTP (RFC 9260, appendix A)."""

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(map(_row, range(256)))


def crc32c(data: bytes) -> int:
    """Return the CRC32c of some bytes, as a number."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def sctp_checksum(data: bytes) -> int:
    """Return the number that, written in network order, is the checksum of a packet."""
    return int.from_bytes(crc32c(data).to_bytes(4, "little"))
