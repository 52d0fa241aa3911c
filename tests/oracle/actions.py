"""The actions of OpenFlow 1.3 (5.12) and the order of an action set (5.10)."""

from dataclasses import dataclass

from .fields import FIELDS

IN_PORT, TABLE, FLOOD, ALL, CONTROLLER = 0xFFFFFFF8, 0xFFFFFFF9, 0xFFFFFFFB, 0xFFFFFFFC, 0xFFFFFFFD
WHOLE_PACKET = 0xFFFF  # OFPCML_NO_BUFFER


@dataclass(frozen=True)
class Output:
    """Send a copy to a port."""

    port: int
    max_len: int = WHOLE_PACKET


@dataclass(frozen=True)
class Group:
    """Send a copy through a group."""

    group_id: int


@dataclass(frozen=True)
class SetQueue:
    """Choose the queue of the outputs that follow."""

    queue_id: int


@dataclass(frozen=True)
class SetField:
    """Set a field."""

    name: str
    value: int


@dataclass(frozen=True)
class RegLoad:
    """Set *bits* bits of a field, from bit *at* on (Nicira)."""

    name: str
    at: int
    bits: int
    value: int


@dataclass(frozen=True)
class RegMove:
    """Copy *bits* bits of one field to another (Nicira)."""

    source: str
    source_at: int
    name: str
    at: int
    bits: int


@dataclass(frozen=True)
class Resubmit:
    """Look up another table, and come back (Nicira)."""

    table_id: int


@dataclass(frozen=True)
class PushVlan:
    """Add an outermost VLAN tag."""

    eth_type: int


@dataclass(frozen=True)
class PopVlan:
    """Remove the outermost VLAN tag."""


@dataclass(frozen=True)
class PushMpls:
    """Add an outermost MPLS label, after the VLAN tags."""

    eth_type: int


@dataclass(frozen=True)
class PopMpls:
    """Remove the outermost MPLS label; what is left is of type *eth_type*."""

    eth_type: int


@dataclass(frozen=True)
class PushPbb:
    """Put the frame into a backbone frame."""

    eth_type: int


@dataclass(frozen=True)
class PopPbb:
    """Take the customer's frame out of the backbone frame."""


@dataclass(frozen=True)
class SetNwTtl:
    """Set the IP TTL."""

    ttl: int


@dataclass(frozen=True)
class DecNwTtl:
    """Count the IP TTL down."""


@dataclass(frozen=True)
class SetMplsTtl:
    """Set the TTL of the outermost MPLS label."""

    ttl: int


@dataclass(frozen=True)
class DecMplsTtl:
    """Count the TTL of the outermost MPLS label down."""


@dataclass(frozen=True)
class CopyTtlOut:
    """Copy the TTL of the next header to the outermost MPLS label."""


@dataclass(frozen=True)
class CopyTtlIn:
    """Copy the TTL of the outermost MPLS label to the next header."""


Action = (
    Output | Group | SetQueue | SetField | RegLoad | RegMove | Resubmit
    | PushVlan | PopVlan | PushMpls | PopMpls | PushPbb | PopPbb
    | SetNwTtl | DecNwTtl | SetMplsTtl | DecMplsTtl | CopyTtlOut | CopyTtlIn
)  # fmt: skip


# The order in which an action set is carried out (5.10); pops undo pushes from outside in.
SET_ORDER: tuple[type[Action], ...] = (
    CopyTtlIn, PopVlan, PopPbb, PopMpls, PushMpls, PushPbb, PushVlan, CopyTtlOut,
    DecMplsTtl, DecNwTtl, SetField, SetMplsTtl, SetNwTtl, SetQueue, Group, Output,
)  # fmt: skip
# What only an action list can have.
LIST_ONLY: tuple[type[Action], ...] = (RegLoad, RegMove, Resubmit)


def slot_of(action: Action) -> tuple[int, int]:
    """Return the place of *action* in an action set: one of each kind, one set-field a field."""
    place = list(FIELDS).index(action.name) if isinstance(action, SetField) else 0
    return SET_ORDER.index(type(action)), place
