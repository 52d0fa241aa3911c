"""How many packet-ins go to controllers: a token bucket for a bridge and one for each of its ports.

Without a clock.  What goes beyond is dropped and counted, before anybody is asked who wants it.
"""

import struct
from collections import Counter
from collections.abc import Iterator

from .settings import PacketInLimit

IN_PORT = 0x80000004  # the header of an OXM with the port
FIRST_OXM = 28  # its place in a packet-in: behind the header and that of the match
_OXM = struct.Struct("!II")


class Bucket:
    """Tokens that come at a rate, up to a burst; a rate of 0 is no limit."""

    def __init__(self, rate: int, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(max(burst, 1))
        self._tokens = self._burst
        self._at = now

    def has_token(self, now: float) -> bool:
        """Return whether there is a token; take() takes it."""
        if not self._rate:
            return True
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens >= 1

    def take(self) -> None:
        """Take a token."""
        self._tokens -= 1


class Limiter:
    """The buckets of one bridge."""

    def __init__(self, limit: PacketInLimit, now: float) -> None:
        self.dropped: Counter[str] = Counter()  # by which limit
        self._limit = limit
        self._bridge = Bucket(limit.rate, limit.burst, now)
        self._ports: dict[int, Bucket] = {}

    def filter(self, messages: bytes, now: float) -> bytes:
        """Return those of whole packet-ins that may go."""
        return b"".join(m for m in _split(messages) if self._may_go(m, now))

    def _may_go(self, message: bytes, now: float) -> bool:
        port = self._ports.get(number := in_port(message))
        if port is None:
            limit = self._limit
            port = self._ports[number] = Bucket(limit.port_rate, limit.port_burst, now)
        for name, bucket in (("port", port), ("bridge", self._bridge)):
            if not bucket.has_token(now):
                self.dropped[name] += 1
                return False
        port.take()
        self._bridge.take()
        return True


def in_port(message: bytes) -> int:
    """Return the port in the match of a packet-in, where it is the first field; 0 if it is not."""
    if len(message) < FIRST_OXM + _OXM.size:
        return 0
    header, port = _OXM.unpack_from(message, FIRST_OXM)
    return int(port) if header == IN_PORT else 0


def _split(messages: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(messages):
        size = int.from_bytes(messages[at + 2 : at + 4], "big")
        yield messages[at : at + size]
        at += size
