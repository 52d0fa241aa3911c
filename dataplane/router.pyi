"""Routers: interfaces, routes and next hops that belong together (a VRF)."""

from collections.abc import Sequence
from typing import Any, Protocol

from .advertising import Advertised
from .bridge import Bridge

LOCAL: int  # the "port" of an interface that is on a bridge itself
STATIC: int  # the source of static routes
LABEL: int  # the family of a route of a label, whose prefix is the label in four bytes
LABEL_LENGTH: int  # of its prefix
NAT_SIDES: dict[str, int]  # what nat_side may be
KINDS: dict[str, int]  # of next hops
REASONS: dict[str, int]  # why packets are escalated; as bits, 1 << n
REVERSE_PATHS: dict[str, int]  # what reverse_path may be

class _InterfaceSettings(Protocol):
    """What an interface is like."""

    @property
    def vlan(self) -> int: ...
    @property
    def mac(self) -> int: ...
    @property
    def mtu(self) -> int: ...
    @property
    def reverse_path(self) -> str: ...
    @property
    def proxy_arp(self) -> bool: ...
    @property
    def redirects(self) -> bool: ...
    @property
    def detects(self) -> bool: ...
    @property
    def up(self) -> bool: ...
    @property
    def nat_side(self) -> str: ...
    @property
    def nat(self) -> int: ...
    @property
    def number(self) -> int: ...

class _Message(Protocol):
    """What to send: addresses are 4 or 16 bytes, alike; without a source it is the interface's."""

    @property
    def protocol(self) -> int: ...
    @property
    def ttl(self) -> int: ...
    @property
    def traffic_class(self) -> int: ...
    @property
    def dont_fragment(self) -> bool: ...
    @property
    def checksum_at(self) -> int: ...
    @property
    def interface(self) -> int: ...
    @property
    def source(self) -> bytes: ...
    @property
    def destination(self) -> bytes: ...

class Router:
    """A router.  Dataplane.add_router() makes one.

    Records are those of cext/router_wire.h, and so are the results.  What the C core refuses is
    an OSError that says what and why; everything but close() a ValueError once it is closed.
    """

    name: str
    def close(self) -> None:
        """Let go of its interfaces and routes."""

    def add_interface(
        self, name: str, home: Bridge, port: int, settings: _InterfaceSettings
    ) -> int:
        """Put an interface on a port of a bridge, or (LOCAL) on the bridge; return its index."""

    def set_interface(self, index: int, name: str, settings: _InterfaceSettings) -> None:
        """Change what an interface is like; one that is up must have its port."""

    def remove_interface(self, index: int) -> None:
        """Take an interface out, with its addresses and neighbours."""

    def add_address(self, index: int, packed: bytes, length: int) -> None:
        """Give an interface an address of 4 or 16 bytes, with the length of its link's prefix."""

    def remove_address(self, index: int, packed: bytes, length: int) -> None:
        """Take it away."""

    def duplicates(self, index: int) -> list[tuple[bytes, int]]:
        """Return the addresses of an interface that somebody else on its link has."""

    def set_advertised(self, index: int, told: Advertised | None) -> None:
        """Tell hosts on the link of an interface of the router; None: no more."""

    def set_listening(self, index: int, listens: bool, now_ms: int) -> None:
        """Ask on the link of an interface who is in which groups, and make trees to them."""

    def set_host(self, index: int, descriptor: int) -> None:
        """Let a tap's descriptor be the host's side of an interface; -1: it has none."""

    def read_host(self, index: int) -> None:
        """Send what the host has sent."""

    def interface_state(self, index: int) -> dict[str, Any]:
        """Return what an interface is like, and what it has counted."""

    def set_pipe(self, pipe: bool) -> None:
        """Let labels hide the time to live of what is below them, or not (RFC 3443)."""

    def put_static(
        self,
        id: int,
        hops: Sequence[tuple[str, int, bytes, int, Sequence[int]]],
        family: int,
        packed: bytes,
        length: int,
        distance: int,
        metric: int,
    ) -> None:
        """Put a static route by next hops: kind (of KINDS), interface, address, weight, labels.

        Labels are pushed, the first one outermost.  *family* is 4, 6 or LABEL.  *id* is that of
        its group, and no other's.  ValueError says what is wrong.
        """

    def remove_static(self, id: int, family: int, packed: bytes, length: int) -> None:
        """Remove a static route and its group."""

    def route_mod(self, records: bytes) -> bytes:
        """Put and remove routes; return a result for each."""

    def next_hop_mod(self, records: bytes) -> bytes:
        """Put and remove groups of next hops; return a result for each."""

    def neighbour_mod(self, records: bytes, now_ms: int) -> bytes:
        """Set and remove neighbours; return a result for each."""

    def begin(self, source: int) -> None:
        """Mark the routes of a source."""

    def sweep(self, source: int) -> int:
        """Remove those that were not put since; return how many."""

    def routes(self, source: int, cursor: int, limit: int) -> tuple[int, bytes]:
        """Return routes of a source (0: of all), and where to go on; 0: that was the end."""

    def groups(self, source: int, cursor: int, limit: int) -> tuple[int, bytes]:
        """Return groups of next hops of a source (0: of all), and where to go on."""

    def neighbours(self, now_ms: int, cursor: int, limit: int) -> tuple[int, bytes]:
        """Return neighbours on the interfaces, and where to go on."""

    def send_message(self, payload: bytes, message: _Message, now_ms: int) -> None:
        """Send a payload behind a header, as router_send_message() in cext/router.h does."""

    def send_frame(self, index: int, frame: bytes) -> None:
        """Send a frame without a tag by an interface, as it is."""

    def subscribe(
        self, reasons: int, per_second: int, *, eth_type: int = 0, protocol: int = 0, port: int = 0
    ) -> int:
        """Have packets copied that came for one of these reasons and are so (0: anything).

        Return an id that no other subscription of the dataplane has; see Dataplane.escalated().
        """

    def unsubscribe(self, id: int) -> None:
        """End a subscription."""

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return subscriptions with how many copies were sent, and dropped as above the rate."""

    def tree_mod(self, records: bytes) -> bytes:
        """Put and remove trees; return a result for each."""

    def put_tree(self, record: bytes) -> None:
        """Do what one record says; ValueError says why not."""

    def begin_trees(self, source: int) -> None:
        """Mark the trees of a source."""

    def sweep_trees(self, source: int) -> int:
        """Remove those that were not put since; return how many."""

    def trees(self, source: int, cursor: int, limit: int) -> tuple[int, bytes]:
        """Return trees of a source (0: of all), and where to go on; 0: that was the end."""

    def counts(self) -> dict[str, int]:
        """Return how many prefixes, labels, routes, next hops and trees there are.

        And how many found no room so far: routes_refused, and of trees to hosts members_refused.
        """
