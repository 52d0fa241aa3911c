"""What raicho-routing.yang has, and what of a router's configuration matters here."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec


class Routing(msgspec.Struct, frozen=True, rename="kebab"):
    """How a routing daemon takes part; times are in seconds."""

    fpm_address: str = "127.0.0.1"
    fpm_port: int = 2620
    restart_time: int = 120
    stale_time: int = 30
    table: int = 254
    kernel_routes: Literal["others", "all", "none"] = "others"


class Interface(msgspec.Struct, frozen=True):
    """An interface; *host* means that a network interface of the host stands for it."""

    name: str
    host: bool = False


class Router(msgspec.Struct, frozen=True, rename="kebab"):
    """A router; without an interface on the host's side there is nothing to do for it."""

    name: str
    host_namespace: str = ""
    interface: tuple[Interface, ...] = ()
    routing: Routing = Routing()

    @property
    def has_host_side(self) -> bool:
        """Return whether a routing daemon can take part."""
        return any(interface.host for interface in self.interface)

    @property
    def listens(self) -> tuple[str, str, int]:
        """Return where zebra is awaited."""
        return self.host_namespace, self.routing.fpm_address, self.routing.fpm_port


def routers_of(config: dict[str, Any]) -> dict[str, Router]:
    """Return the routers in a configuration tree that have a host's side."""
    rows = config.get("raicho", {}).get("router", ())
    routers = (msgspec.convert(row, Router) for row in rows)
    return {router.name: router for router in routers if router.has_host_side}


def clashes(routers: dict[str, Router]) -> Iterator[tuple[str, str]]:
    """Yield the path and the reason where two routers have one table of one zebra."""
    owners: dict[tuple[tuple[str, str, int], int], str] = {}
    for name, router in routers.items():
        owner = owners.setdefault((router.listens, router.routing.table), name)
        if owner != name:
            reason = f"router {owner} has this table of the zebra that connects there"
            yield f"/raicho/router[name='{name}']/routing/table", reason
