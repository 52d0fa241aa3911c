"""The events `vrrp.*`: what a VRRP daemon beside the switch has decided."""

from typing import Literal

from .envelope import Message


class VrrpMoved(Message, frozen=True):
    """The events vrrp.instance and vrrp.group: one of them has another state or priority.

    States are those of the daemon: INIT before it said anything, BACKUP, MASTER, FAULT, STOP, and
    DELETED for one that its configuration has no more.
    """

    kind: Literal["instance", "group"]
    name: str
    old: str
    new: str
    priority: int
