"""Which of the kernel's routes are taken, and which of several for a prefix.  No I/O.

Zebra tells of its own by FPM, so those that it wrote into the kernel are left out.
"""

from collections.abc import Iterable

from ..message.routes import LABEL
from .events import NO_TABLE, Route
from .protocols import ZEBRA

MAIN, LOCAL_TABLE = 254, 255  # the latter has the host's own addresses
FAMILY_AND_LENGTH = 2  # bytes of a key before its prefix
_SUSPECT = {  # first bytes of addresses, by family
    4: frozenset((0x7F, *range(0xE0, 0x100))),
    6: frozenset((0x00, 0xFE, 0xFF)),
    LABEL: frozenset(),
}
_LOOPBACK = {4: (b"\x7f", 8), 6: (bytes(15) + b"\1", 128)}


class KernelRoutes:
    """Turn routes by prefix and metric into the best one of each prefix."""

    def __init__(self, table: int, with_zebra: bool) -> None:
        self._tables = frozenset((NO_TABLE, table, *((LOCAL_TABLE,) if table == MAIN else ())))
        self._without = frozenset() if with_zebra else ZEBRA
        self._routes: dict[bytes, dict[tuple[int, int], Route]] = {}

    def clear(self) -> None:
        """Forget all."""
        self._routes.clear()

    def concerns(self, event: Route) -> bool:
        """Return whether routes of its table and protocol are taken."""
        return event.table in self._tables and event.protocol not in self._without

    def take(self, event: Route) -> Route | None:
        """Return the route that there is now for the prefix; None: nothing has changed."""
        if not self.concerns(event) or is_of_the_host_alone(event.key):
            return None
        routes = self._routes.setdefault(event.key, {})
        name = event.table, event.metric
        before = routes.get(name)
        after = _without_hops(before, event) if event.removed else event
        if after:
            routes[name] = after
        else:
            routes.pop(name, None)
        if not routes:
            del self._routes[event.key]
            return event
        return routes[max(routes, key=_preference)]


def _preference(name: tuple[int, int]) -> tuple[bool, int]:
    """Order by table, that of the host's addresses first, then by metric."""
    table, metric = name
    return table == LOCAL_TABLE, -metric


def _without_hops(before: Route | None, event: Route) -> Route | None:
    """Return what is left of a route: IPv6's ways go one by one."""
    left = tuple(hop for hop in before.hops if hop not in event.hops) if before else ()
    return before._replace(hops=left) if before and left and event.hops else None


def for_a_router(keys: Iterable[bytes]) -> list[bytes]:
    """Return the prefixes that mean something to a router; a table may have a million."""
    return [
        key
        for key in keys
        if key[FAMILY_AND_LENGTH] not in _SUSPECT[key[0]] or not is_of_the_host_alone(key)
    ]


def is_of_the_host_alone(key: bytes) -> bool:
    """Return whether a prefix means something on a link or in the host only.

    Link-local addresses of IPv6 are on every link; a router has no route to them, but to its own.
    """
    family, length = key[:FAMILY_AND_LENGTH]
    if family == LABEL:
        return False
    prefix, least = _LOOPBACK[family]
    address = key[FAMILY_AND_LENGTH:]
    if address.startswith(prefix) and length >= least:
        return True
    if family == 4:
        return address[0] >= 0xE0
    return address[0] == 0xFF or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)
