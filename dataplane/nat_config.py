"""The configuration of a router's NAT, as values that can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

Tree = Mapping[str, Any]

SESSIONS = 65536
SOURCE_BITS = 64
TIMEOUTS = {
    "udp": 300,
    "icmp": 60,
    "tcp-established": 7440,
    "tcp-transitory": 240,
    "tcp-closed": 240,
}


@dataclass(frozen=True, slots=True)
class PoolLeaves:
    """Addresses outside: those of an interface, or from first to last."""

    name: str
    interface: str = ""
    first: IPv4Address | None = None
    last: IPv4Address | None = None
    first_port: int = 1024
    last_port: int = 65535


@dataclass(frozen=True, slots=True)
class ForwardLeaves:
    """What comes to an endpoint outside goes to one inside."""

    name: str
    protocol: str
    outside: IPv4Address
    outside_port: int
    inside: IPv4Address | IPv6Address
    inside_port: int


@dataclass(frozen=True, slots=True)
class NatLeaves:
    """How addresses are translated."""

    sessions: int = SESSIONS
    max_per_source: int = 0
    filtering: str = "open"
    block: int = 0
    strict_tcp: bool = False
    logs: bool = False
    nat64: str = ""  # a prefix of IPv6; none: no NAT64
    source_bits: int = SOURCE_BITS
    pools: tuple[PoolLeaves, ...] = ()
    forwards: tuple[ForwardLeaves, ...] = ()
    hosts: Mapping[IPv4Address, IPv4Address] = field(default_factory=dict)  # outside -> inside
    timeouts: Mapping[str, int] = field(default_factory=lambda: dict(TIMEOUTS))


def read_nat(row: Tree) -> NatLeaves:
    """Turn /raicho/router/nat into a value."""
    return NatLeaves(
        row.get("max-sessions", SESSIONS),
        row.get("max-per-source", 0),
        row.get("filtering", "open"),
        row.get("port-block", 0),
        row.get("strict-tcp", False),
        row.get("log-mappings", False),
        row.get("nat64", {}).get("prefix", ""),
        row.get("nat64", {}).get("source-prefix-length", SOURCE_BITS),
        tuple(map(_pool, row.get("pool", ()))),
        tuple(map(_forward, row.get("forward", ()))),
        {IPv4Address(h["outside"]): IPv4Address(h["inside"]) for h in row.get("host", ())},
        TIMEOUTS | dict(row.get("timeout", {})),
    )


def _pool(row: Tree) -> PoolLeaves:
    first = IPv4Address(row["first"]) if "first" in row else None
    return PoolLeaves(
        row["name"],
        row.get("interface", ""),
        first,
        IPv4Address(row["last"]) if "last" in row else first,
        row.get("first-port", 1024),
        row.get("last-port", 65535),
    )


def _forward(row: Tree) -> ForwardLeaves:
    return ForwardLeaves(
        row["name"],
        row["protocol"],
        IPv4Address(row["outside"]),
        row["outside-port"],
        ip_address(row["inside"]),
        row["inside-port"],
    )
