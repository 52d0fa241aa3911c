"""The events `escalate.*`: what a routing OS should know of the dataplane at once."""

from .envelope import Message


class Missed(Message, frozen=True):
    """The events escalate.neighbour-miss, escalate.route-miss and escalate.ttl-expired: a packet.

    *source* and *destination* are its own; *dropped* is how many such packets of the router no
    event told of so far.
    """

    router: str
    interface: str
    port: str
    vlan: int
    source: str
    destination: str
    dropped: int


class LinkMoved(Message, frozen=True):
    """The event escalate.link: the link under an interface of a router is up, or down."""

    router: str
    interface: str
    port: str
    up: bool


class TableFull(Message, frozen=True):
    """The event escalate.table-full: what found no room in a table since the last one.

    Tables are flow and mac (of a bridge), route (of a router), neighbour and nat (of all routers,
    without an owner).
    """

    table: str
    owner: str
    refused: int
