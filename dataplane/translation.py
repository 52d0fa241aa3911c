"""The NAT of a router, made of its configuration."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from .config import BadConfig
from .datapath import Dataplane
from .nat import MAX_NATS, Forward, Host, Nat, NatConfig, Pool, check
from .nat_config import NatLeaves
from .router_config import RouterConfig

EVENTS = 16384  # mappings that come and go between two looks at them, for the log


class Translation:
    """A NAT that is there; another number of sessions is another NAT."""

    def __init__(self, dataplane: Dataplane, number: int, sessions: int) -> None:
        self.number, self.most = number, sessions
        self.nat = Nat(dataplane, number, sessions=sessions, events=EVENTS)
        self._config: NatConfig | None = None

    def configure(self, router: RouterConfig, now_ms: int) -> None:
        """Make it what the configuration says; sessions that still fit go on."""
        config = _config(router)
        if config == self._config:
            return
        try:
            self.nat.configure(config, now_ms)
        except ValueError as error:
            raise BadConfig(f"{router.path}/nat", str(error)) from error
        self._config = config

    def close(self) -> None:
        """Forget all sessions."""
        self.nat.close()


def check_nat(router: RouterConfig) -> None:
    """Raise BadConfig if the NAT of a router cannot be as it is to be."""
    try:
        check(_config(router))
    except ValueError as error:
        raise BadConfig(f"{router.path}/nat", str(error)) from error


def is_used(router: RouterConfig) -> bool:
    """Return whether an interface is on a side of the router's NAT."""
    return any(interface.nat != "none" for interface in router.interfaces.values())


def free_number(used: set[int]) -> int:
    """Return a number that no NAT has."""
    return min(set(range(MAX_NATS)) - used)


def _config(router: RouterConfig) -> NatConfig:
    nat = router.nat
    return NatConfig(
        pools=tuple(_pools(router)),
        forwards=tuple(
            Forward(each.protocol, each.outside, each.outside_port, each.inside, each.inside_port)
            for each in nat.forwards
        ),
        hosts=tuple(Host(outside, inside) for outside, inside in nat.hosts.items()),
        max_per_source=nat.max_per_source,
        block=nat.block,
        filtering=nat.filtering,
        strict_tcp=nat.strict_tcp,
        logs=nat.logs,
        nat64=ipaddress.IPv6Network(nat.nat64) if nat.nat64 else None,
        source_bits=nat.source_bits,
        timers=dict(nat.timeouts),
    )


def _pools(router: RouterConfig) -> Iterator[Pool]:
    for pool in router.nat.pools:
        if pool.first and pool.last:
            yield Pool(pool.first, pool.last, pool.first_port, pool.last_port)
        elif interface := router.interfaces.get(pool.interface):
            for text in interface.addresses:
                address = ipaddress.ip_interface(text)
                if isinstance(address, ipaddress.IPv4Interface):
                    ip = address.ip
                    yield Pool(ip, ip, pool.first_port, pool.last_port, shared=True)


def describe(nat: NatLeaves, counts: dict[str, int]) -> dict[str, Any]:
    """Return the NAT as it is, with the names of the schema."""
    return {
        "max-sessions": nat.sessions,
        "max-per-source": nat.max_per_source,
        "filtering": nat.filtering,
        "port-block": nat.block,
        "strict-tcp": nat.strict_tcp,
        "log-mappings": nat.logs,
        "nat64": {"prefix": nat.nat64 or None, "source-prefix-length": nat.source_bits},
        "pool": [
            {
                "name": pool.name,
                "interface": pool.interface or None,
                "first": str(pool.first) if pool.first else None,
                "last": str(pool.last) if pool.last else None,
                "first-port": pool.first_port,
                "last-port": pool.last_port,
            }
            for pool in nat.pools
        ],
        "forward": [
            {
                "name": each.name,
                "protocol": each.protocol,
                "outside": str(each.outside),
                "outside-port": each.outside_port,
                "inside": str(each.inside),
                "inside-port": each.inside_port,
            }
            for each in nat.forwards
        ],
        "host": [{"outside": str(o), "inside": str(i)} for o, i in nat.hosts.items()],
        "timeout": dict(nat.timeouts),
        "counts": counts,
    }
