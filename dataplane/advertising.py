"""What a router tells hosts on the link of an interface (RFC 4861, section 6.2), as values."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Prefix = tuple[bytes, int, bool]  # length in bits, and whether hosts make addresses of it

MAX_PREFIXES = 16
AUTONOMOUS = 64  # bits of the prefixes that hosts make addresses of (RFC 4862, 5.5.3)


@dataclass(frozen=True, slots=True)
class AdvertiseConfig:
    """Router advertisements; times are in seconds."""

    enabled: bool = False
    max_interval: int = 600
    min_interval: int | None = None
    lifetime: int | None = None
    hop_limit: int = 64
    managed: bool = False
    other: bool = False
    valid_lifetime: int = 2_592_000
    preferred_lifetime: int = 604_800
    prefixes: tuple[str, ...] = ()

    @property
    def least(self) -> float:
        """Return the least time between two (RFC 4861, 6.2.1)."""
        third = 0.33 if self.max_interval >= 9 else 0.75
        return max(3, third * self.max_interval) if self.min_interval is None else self.min_interval

    @property
    def router_lifetime(self) -> int:
        """Return how long the router is a default router."""
        return min(3 * self.max_interval, 9000) if self.lifetime is None else self.lifetime


@dataclass(frozen=True, slots=True)
class Advertised:
    """What is told on a link."""

    config: AdvertiseConfig
    mtu: int
    prefixes: tuple[Prefix, ...]


def read_advertise(row: Mapping[str, Any]) -> AdvertiseConfig:
    """Turn a container of the configuration into a value."""
    leaves = {name.replace("-", "_"): value for name, value in row.items()}
    prefixes = tuple(leaves.pop("prefix", ()))
    return AdvertiseConfig(**leaves, prefixes=prefixes)


def wrong_advertise(config: AdvertiseConfig, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the reason of what contradicts something else."""
    if config.min_interval and config.min_interval > 0.75 * config.max_interval:
        reason = f"more than three quarters of max-interval, {config.max_interval} s"
        yield f"{path}/min-interval", reason
    if config.lifetime and config.lifetime < config.max_interval:
        yield f"{path}/lifetime", f"neither 0 nor as long as max-interval, {config.max_interval} s"
    for text in config.prefixes:
        try:
            ipaddress.IPv6Network(text)
        except ValueError as error:
            yield f"{path}/prefix[.='{text}']", str(error)


def advertised(config: AdvertiseConfig, mtu: int, addresses: Sequence[str]) -> Advertised | None:
    """Return what is told with these addresses of the interface; None: nothing."""
    if not config.enabled:
        return None
    found = map(ipaddress.ip_interface, config.prefixes or addresses)
    networks = dict.fromkeys(each.network for each in found if each.version == 6)
    prefixes = [
        (network.network_address.packed, network.prefixlen, network.prefixlen == AUTONOMOUS)
        for network in networks
        if not network.is_link_local
    ]
    return Advertised(config, mtu, tuple(prefixes[:MAX_PREFIXES]))


def describe_advertise(config: AdvertiseConfig) -> dict[str, Any]:
    """Return the names of the schema, and what is in force."""
    return {
        "enabled": config.enabled,
        "max-interval": config.max_interval,
        "min-interval": int(config.least),
        "lifetime": config.router_lifetime,
        "hop-limit": config.hop_limit,
        "managed": config.managed,
        "other": config.other,
        "valid-lifetime": config.valid_lifetime,
        "preferred-lifetime": config.preferred_lifetime,
        "prefix": list(config.prefixes),
    }
