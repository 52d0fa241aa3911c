"""The actions (section 7.2.5): one class is the wire format, the name and the words for it."""

from ..codec import rest
from .families import ACTIONS, Item
from .match import SET_FIELD, AnyOxm


class Action(Item, frozen=True):
    """One step done to a packet."""


@ACTIONS.row(0, "IH6x")
class Output(Action, frozen=True):
    """Send a copy out of *port*; to a controller, at most *max_len* bytes."""

    port: int
    max_len: int = 0xFFFF


@ACTIONS.row(11, "4x")
class CopyTtlOut(Action, frozen=True):
    """Copy the TTL from the next header outwards."""


@ACTIONS.row(12, "4x")
class CopyTtlIn(Action, frozen=True):
    """Copy the TTL from the outermost header inwards."""


@ACTIONS.row(15, "B3x")
class SetMplsTtl(Action, frozen=True):
    """Set the TTL of the outermost MPLS label."""

    ttl: int


@ACTIONS.row(16, "4x")
class DecMplsTtl(Action, frozen=True):
    """Take one from the TTL of the outermost MPLS label."""


@ACTIONS.row(17, "H2x")
class PushVlan(Action, frozen=True):
    """Add an outer VLAN tag."""

    ethertype: int = 0x8100


@ACTIONS.row(18, "4x")
class PopVlan(Action, frozen=True):
    """Remove the outer VLAN tag."""


@ACTIONS.row(19, "H2x")
class PushMpls(Action, frozen=True):
    """Add an outer MPLS label."""

    ethertype: int = 0x8847


@ACTIONS.row(20, "H2x")
class PopMpls(Action, frozen=True):
    """Remove the outer MPLS label; what is left is of *ethertype*."""

    ethertype: int


@ACTIONS.row(21, "I")
class SetQueue(Action, frozen=True):
    """Use this queue of the port that the packet leaves by."""

    queue_id: int


@ACTIONS.row(22, "I")
class Group(Action, frozen=True):
    """Hand the packet to a group."""

    group_id: int


@ACTIONS.row(23, "B3x")
class SetNwTtl(Action, frozen=True):
    """Set the TTL or hop limit of the IP header."""

    ttl: int


@ACTIONS.row(24, "4x")
class DecNwTtl(Action, frozen=True):
    """Take one from the TTL or hop limit of the IP header."""


@ACTIONS.row(25, SET_FIELD)
class SetField(Action, frozen=True):
    """Write a header field."""

    field: AnyOxm


@ACTIONS.row(26, "H2x")
class PushPbb(Action, frozen=True):
    """Add a PBB service tag."""

    ethertype: int = 0x88E7


@ACTIONS.row(27, "4x")
class PopPbb(Action, frozen=True):
    """Remove the PBB service tag."""


@ACTIONS.row(0xFFFF, "I", rest())
class ActionExperimenter(Action, frozen=True):
    """What *experimenter* has defined; Nicira's (0x2320) are the usual ones."""

    experimenter: int
    data: bytes = b""
