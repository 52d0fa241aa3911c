"""The NAT of a router, made of its configuration."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .config import BadConfig
from .datapath import Dataplane
from .nat import MAX_NATS, Forward, Host, Nat, NatConfig, Pool, check
from .nat_config import NatLeaves
from .router_config import RouterConfig

# What becomes of a record (control/message/routes.py).
DONE, BAD, FULL, GONE, CONFIGURED, NO_POOL = 0, 1, 5, 6, 8, 9
BY_CONFIGURATION, BY_PROGRAM = 2, 16  # whose a forward is
MAX_FORWARDS = 1024  # of both
EVENTS = 16384  # mappings that come and go between two looks at them, for the log


Place = tuple[str, ipaddress.IPv4Address, int]  # protocol, address and port outside


class Forwards:
    """Port forwards of programs, beside those of a configuration, while they are being changed."""

    def __init__(self, config: NatConfig) -> None:
        self._config = config
        self._configured = {_place(each) for each in config.forwards}
        self.there: dict[Place, Forward] = {}

    def put(self, forward: Forward) -> int:
        """Add one, or replace that of the same endpoint outside."""
        place = _place(forward)
        if place in self._configured:
            return CONFIGURED
        if not any(pool.first <= forward.outside <= pool.last for pool in self._config.pools):
            return NO_POOL
        try:
            check(self._config._replace(forwards=(forward,), hosts=()))
        except ValueError:
            return BAD
        if place not in self.there and len(self.there) + len(self._configured) >= MAX_FORWARDS:
            return FULL
        self.there[place] = forward
        return DONE

    def remove(self, forward: Forward) -> int:
        """Remove the one of the same endpoint outside."""
        place = _place(forward)
        if place in self._configured:
            return CONFIGURED
        return DONE if self.there.pop(place, None) else GONE


class Translation:
    """A NAT that is there; another number of sessions is another NAT."""

    def __init__(self, dataplane: Dataplane, number: int, sessions: int) -> None:
        self.number, self.most = number, sessions
        self.nat = Nat(dataplane, number, sessions=sessions, events=EVENTS)
        self._config: NatConfig | None = None
        self._volatile: dict[Place, Forward] = {}
        self._given_up = 0  # forwards of programs for which the configuration left no place

    def configure(self, router: RouterConfig, now_ms: int) -> None:
        """Make it what the configuration says; sessions and forwards that still fit go on."""
        config = _config(router)
        if config == self._config:
            return
        forwards = Forwards(config)
        given_up = sum(forwards.put(each) != DONE for each in self._volatile.values())
        try:
            self._set(config, forwards, now_ms)
        except ValueError as error:
            raise BadConfig(f"{router.path}/nat", str(error)) from error
        self._given_up += given_up

    @contextmanager
    def changing(self, now_ms: int) -> Iterator[Forwards]:
        """Let forwards of programs be changed; they are in force at the end, all at once."""
        assert self._config, "it is configured as soon as it is there"
        forwards = Forwards(self._config)
        forwards.there = dict(self._volatile)
        yield forwards
        if forwards.there != self._volatile:
            self._set(self._config, forwards, now_ms)

    def _set(self, config: NatConfig, forwards: Forwards, now_ms: int) -> None:
        every = (*config.forwards, *forwards.there.values())
        self.nat.configure(config._replace(forwards=every), now_ms)
        self._config, self._volatile = config, forwards.there

    def forwards(self) -> Iterator[tuple[Forward, int]]:
        """Yield port forwards, and whose they are."""
        configured = self._config.forwards if self._config else ()
        yield from ((each, BY_CONFIGURATION) for each in configured)
        yield from ((each, BY_PROGRAM) for each in self._volatile.values())

    def counts(self) -> dict[str, int]:
        """Count what is there, and what has been."""
        own = {"forwards": len(self._volatile), "forwards_given_up": self._given_up}
        return {**self.nat.counts(), **own}

    def close(self) -> None:
        """Forget all sessions."""
        self.nat.close()


def _place(forward: Forward) -> Place:
    return forward.protocol, forward.outside, forward.outside_port


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
