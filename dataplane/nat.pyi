"""NAT: the Python face of cext/nat.h."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import NamedTuple

from .datapath import Dataplane

MAX_NATS: int
MAX_EVENTS: int
PROTOCOLS: dict[str, int]  # those with ports or ids of their own
FILTERINGS: dict[str, int]
TIMERS: dict[str, int]

class Pool(NamedTuple):
    """Addresses outside, from first to last, and which of their ports are given away.

    A shared one is also somebody else's: what comes to it and belongs to no mapping goes on.
    """

    first: IPv4Address
    last: IPv4Address
    first_port: int = 1024
    last_port: int = 65535
    shared: bool = False

class Forward(NamedTuple):
    """What comes to an endpoint outside goes to one inside; "tcp", "udp" or "sctp"."""

    protocol: str
    outside: IPv4Address
    outside_port: int
    inside: IPv4Address | IPv6Address  # IPv6 takes a nat64 prefix
    inside_port: int

class Host(NamedTuple):
    """An address inside with one outside all to itself (one-to-one)."""

    outside: IPv4Address
    inside: IPv4Address

class NatConfig(NamedTuple):
    """What a NAT is like; docs/nat.md says more."""

    pools: Sequence[Pool] = ()
    forwards: Sequence[Forward] = ()
    hosts: Sequence[Host] = ()
    max_per_source: int = 0  # sessions of a source inside; 0: no limit
    block: int = 0  # ports that a source has for itself; 0: it takes any
    filtering: str = "open"  # one of FILTERINGS
    strict_tcp: bool = False  # connections begin with a SYN
    logs: bool = False  # mappings that come and go are events
    nat64: IPv6Network | None = None  # behind it IPv6 hosts inside find IPv4
    source_bits: int = 64  # of an IPv6 address, which are a source
    timers: Mapping[str, int] = ...  # seconds by a name of TIMERS; others have their default

class Session(NamedTuple):
    protocol: str
    inside: IPv4Address | IPv6Address
    inside_port: int
    outside: IPv4Address
    outside_port: int
    remote: IPv4Address
    remote_port: int
    timer: str  # which of TIMERS it is under
    idle_ms: int

class Event(NamedTuple):
    """A mapping that came or went."""

    at_ms: int
    created: bool
    protocol: str
    inside: IPv4Address | IPv6Address
    inside_port: int
    outside: IPv4Address
    outside_port: int

def check(config: NatConfig) -> None:
    """Raise ValueError with what is wrong if no NAT can be like that."""

class Nat:
    """A NAT under a number, by which actions of flow entries name it.

    Everything but close() raises ValueError once it is closed.
    """

    number: int
    def __init__(
        self, dataplane: Dataplane, number: int, *, sessions: int = 65536, events: int = 0
    ) -> None:
        """Make one of nothing, with room for so many sessions and so many events between two looks.

        Raises ValueError if the number is in use or too large.
        """

    def close(self) -> None:
        """Forget everything.  Idempotent."""

    def configure(self, config: NatConfig, now_ms: int) -> None:
        """Make it what *config* says; sessions that still fit go on.

        Raises ValueError with what is wrong; then nothing has changed.
        """

    def sessions(self, position: int, limit: int, now_ms: int) -> tuple[int, list[Session]]:
        """List up to *limit* sessions behind *position*, which begins with 0.

        The next position comes first; 0: there are no more.
        """

    def end(
        self,
        now_ms: int,
        protocol: str,
        inside: IPv4Address | IPv6Address,
        inside_port: int,
        remote: IPv4Address,
        remote_port: int,
    ) -> bool:
        """End one session; return whether there was one."""

    def counts(self) -> dict[str, int]:
        """Count what is there (sessions, mappings, sources) and what has been."""

    def events(self, limit: int = ...) -> list[Event]:
        """Take up to *limit* mappings that came and went and were not taken yet, in order."""

    def flush(self, now_ms: int, inside: IPv4Address | IPv6Address | None = None) -> int:
        """End the sessions of an address inside, or all; return how many."""
