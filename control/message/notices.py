"""What the datastore tells of changes, beyond the event `config.committed`.

Triggers belong to a lease: they are gone with it, and whoever registers again
sets them again.
"""

from typing import Any, Literal

import msgspec

from .envelope import Message, Request
from .types import Change, Done

On = Literal["create", "write", "delete", "read"]


class Trigger(msgspec.Struct, frozen=True, array_like=True):
    """A place to be told of, by a name of the client's choice, and on which occasions.

    The path leads to a table, a row, a column or a cell: a step without keys
    means every entry of a list.
    """

    name: str
    path: str
    on: list[On]


class SetTriggers(Request[Done], frozen=True):
    """Have these triggers, and no others, under a lease; all or none are taken."""

    component: str
    lease: str
    triggers: list[Trigger]


class Triggered(Message, frozen=True):
    """The event `trigger.COMPONENT`: what happened at a row or a cell.

    *old* and *new* are its values, None if it was not or is not there.  A read
    has only the path that was read and the revision that was seen.
    """

    trigger: str
    on: On
    path: str
    old: Any = None
    new: Any = None
    txid: str = ""
    revision: int = 0


class GetSnapshot(Request["Snapshot"], frozen=True):
    """Ask for the current configuration at and below *path*, as changes from nothing.

    Steps without keys mean every entry.  *known* is the txid of the snapshot or
    of the last commit that the client has seen.  The answer may name a *page* that
    follows, which is asked for with it; CONFLICT tells that it is kept no longer, so
    that the reader has to begin anew.  read_snapshot() asks for all of them.
    """

    path: str = "/"
    known: str = ""
    page: str = ""


class Snapshot(Message, frozen=True):
    """The answer to GetSnapshot; *changes* are None if what is known is current.

    All pages are of one revision.  The last one names no next *page*.
    """

    revision: int
    txid: str
    changes: list[Change] | None
    page: str = ""
