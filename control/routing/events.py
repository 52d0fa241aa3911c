"""What messages of rtnetlink say, as values.

Indices of interfaces are those of the kernel, also in a Hop.
"""

from typing import NamedTuple

from ..message.routes import Hop

NO_TABLE = 0


class Route(NamedTuple):
    """A route was put (also over one that is there) or removed."""

    removed: bool
    key: bytes  # of 18 bytes: family, length in bits, prefix as routes.ROUTE has them
    table: int  # NO_TABLE: that of labels, of which there is one
    protocol: int  # who installed it, as rtnetlink numbers them (RTPROT_*)
    metric: int
    next_hop: int  # the id of a next hop, 0: none; hops count more
    hops: tuple[Hop, ...]


class Routes(NamedTuple):
    """Routes that are alike but for their prefixes."""

    like: Route  # the first
    keys: list[bytes]  # of all


class NextHop(NamedTuple):
    """A next hop was put or removed: a hop, or members by id and weight."""

    removed: bool
    id: int
    hop: Hop | None
    members: tuple[tuple[int, int], ...]


class Link(NamedTuple):
    """A network interface of the host is there, or has gone."""

    removed: bool
    interface: int
    name: str
    up: bool  # what the operator wants
    carrier: bool
    mtu: int
    mac: bytes


class Neighbour(NamedTuple):
    """The kernel knows a neighbour, or has forgotten it."""

    removed: bool
    interface: int
    address: bytes
    state: int  # NUD_*
    flags: int  # NTF_*
    mac: bytes


class Done(NamedTuple):
    """A request was carried out, or failed with an errno."""

    sequence: int
    error: int
    interrupted: bool  # a dump that does not fit together


Event = Route | Routes | NextHop | Link | Neighbour | Done
