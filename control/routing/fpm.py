"""The stream of zebra's forwarding plane manager: messages of rtnetlink, each in a frame.

A frame is a version, a type, its size in network byte order (these four bytes included), and the
message.  Only type 1, netlink, is spoken.

Reference: FRRouting, fpm/fpm.h
"""

import struct
from collections.abc import Iterator

VERSION, NETLINK = 1, 1
SMALLEST = 20  # bytes: the headers of the frame and of the message

_HEADER = struct.Struct(">BBH")


class BadFrame(ValueError):
    """A frame after which no other can be found, or of what is not spoken here."""


class Framer:
    """Cut a stream into messages, however it arrives."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are whole now; raise BadFrame."""
        data, at = self._rest + data, 0
        while len(data) - at >= _HEADER.size:
            version, kind, size = _HEADER.unpack_from(data, at)
            if (version, kind) != (VERSION, NETLINK):
                raise BadFrame(f"version {version}, type {kind} where 1, 1 (netlink) is spoken")
            if size < SMALLEST:
                raise BadFrame(f"a frame of {size} bytes cannot hold a message")
            if len(data) - at < size:
                break
            yield data[at + _HEADER.size : at + size]
            at += size
        self._rest = data[at:]
