"""The Internet checksum (RFC 1071), its repair (RFC 1624) and CRC32c (RFC 9260, appendix A)."""


def words(data: bytes) -> list[int]:
    """Split *data* into 16-bit words; an odd last byte is followed by a zero."""
    padded = data + bytes(len(data) % 2)
    return [padded[i] << 8 | padded[i + 1] for i in range(0, len(padded), 2)]


def folded(total: int) -> int:
    """Add the carries of *total* back in until 16 bits are left."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    """Compute the Internet checksum of *data*."""
    return ~folded(sum(words(data))) & 0xFFFF


def repaired(old: int, before: bytes, after: bytes) -> int:
    """Repair checksum *old* of data in which *before* became *after* (RFC 1624, equation 3).

    Words that have not changed take no part, so a change to the same value changes nothing.
    """
    total = ~old & 0xFFFF
    for m, new in zip(words(before), words(after), strict=True):
        if m != new:
            total += (~m & 0xFFFF) + new
    return ~folded(total) & 0xFFFF


def _crc32c_row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC32C = tuple(_crc32c_row(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """Compute the CRC32c of *data*."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
