"""What is said to the datastore, and what it answers.

A path is written as `/raicho/bridge[name='br0']/port[name='p1']/number`; it may
end at any node.  Values are JSON-like: a container is a dict, a list is a list
of dicts that hold their keys, a leaf-list is a list.

A refusal is a Failure: NOT_FOUND for a path, API or lease that is not there,
INVALID for what the schema forbids, CONFLICT for what another session or
module was first with, REFUSED, TIMEOUT and UNAVAILABLE for what a participant
said or did not say.
"""

import uuid
from typing import Any, Literal

import msgspec

from .envelope import Message, Request
from .failure import Fault
from .types import Change, Done

# Registration: who is there, what it brings, where it listens.

Rollback = Literal["soft", "reinit"]


class Api(msgspec.Struct, frozen=True, array_like=True):
    """An API by *name*, and the *endpoint* that serves this *version* of it."""

    name: str
    endpoint: str
    version: str = "1"


class Register(Request["Registered"], frozen=True):
    """Announce a component; the same component may do so again at any time.

    With an *endpoint* it is a participant: it is synchronised at once and
    asked about every change under its *subscriptions*.  Without one it only
    registers its modules and APIs, and its subscriptions are merely listed.
    It must send a Heartbeat more often than every *ttl* seconds.

    The modules of *imports* are there for others to import: their types, groupings and
    identities to derive from are known, their own nodes are not there.

    *rollback* says how it comes back when a commit fails: "soft", by a
    transaction with the previous configuration, or "reinit", by Restart of its
    *instance*, after which it registers with nothing and is synchronised.
    """

    component: str
    version: str
    modules: list[str] = msgspec.field(default_factory=list)
    apis: list[Api] = msgspec.field(default_factory=list)
    subscriptions: list[str] = msgspec.field(default_factory=list)
    endpoint: str = ""
    ttl: float = 10.0
    rollback: Rollback = "soft"
    instance: str = ""
    imports: list[str] = msgspec.field(default_factory=list)


class Registered(Message, frozen=True):
    """The answer to Register: the *lease* to renew, and what became of each module.

    A module is "accepted", or "upgraded" if an older revision was known.  A
    conflict is a Failure, and nothing is registered.
    """

    lease: str
    modules: dict[str, str]
    revision: int


class Heartbeat(Request[Done], frozen=True):
    """Renew a lease; NOT_FOUND tells the component to register again."""

    component: str
    lease: str


class Unregister(Request[Done], frozen=True):
    """Leave in good order."""

    component: str
    lease: str


class Lookup(Request["Endpoint"], frozen=True):
    """Find the endpoint of an API; a *version* that differs is UNSUPPORTED.

    A *transport* (ipc or tcp) is the only one by which the caller reaches others.
    """

    api: str
    version: str | None = None
    transport: str = ""


class Endpoint(Message, frozen=True):
    """The answer to Lookup."""

    api: str
    endpoint: str
    version: str
    component: str


class ListRegistry(Request["Registry"], frozen=True):
    """Ask who is registered."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One registered component, as seen now.

    *synchronised* is false while a participant has not taken the current
    configuration; *trouble* says why.
    """

    component: str
    version: str
    endpoint: str
    apis: list[Api]
    subscriptions: list[str]
    alive: bool
    synchronised: bool
    trouble: str = ""


class Registry(Message, frozen=True):
    """The answer to ListRegistry."""

    components: list[Entry]


# Editing: a session has its own next configuration until it is committed.


def new_txid() -> str:
    """Return the name of a transaction that nobody else has."""
    return uuid.uuid4().hex


class Set(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Set a leaf, or merge a container, a list or an entry into what is there."""

    path: str
    value: Any = None


class Delete(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Remove a node and all below it; NOT_FOUND if it is not there."""

    path: str


Where = Literal["first", "last", "before", "after"]


class Move(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Bring an entry or a value to another place of what its user orders.

    *beside* is the path of the one of the same list that it comes before or after.
    """

    path: str
    where: Where
    beside: str = ""


Op = Set | Delete | Move


class Edit(Request["Changes"], frozen=True):
    """Apply *ops* in order to the next configuration of a session, all or none.

    The first Edit of a name opens the session.
    """

    session: str
    ops: list[Op]


class Diff(Request["Changes"], frozen=True):
    """Ask what the session would change."""

    session: str


class Changes(Message, frozen=True):
    """The answer to Edit and Diff: the session against the current configuration."""

    changes: list[Change]


class Validate(Request["Faults"], frozen=True):
    """Check the session against the schema; nobody else is asked."""

    session: str


class Faults(Message, frozen=True):
    """The answer to Validate; no faults is good."""

    faults: list[Fault]


class CommitSession(Request["CommitResult"], frozen=True):
    """Make the next configuration of a session the current one, at all sides or none.

    A *dry_run* ends after prepare, with an abort.  The session is closed by
    success only.  *who* is kept in the history; the session's name, if empty.

    With *confirm*, in seconds, the datastore goes back to what was before if
    no Settle keeps the commit in that time.  Until then nobody else commits.

    The *txid* is chosen by the client.  If it has been committed, which a client
    may not have heard before the datastore died, that is answered once more.
    """

    session: str
    dry_run: bool = False
    comment: str = ""
    who: str = ""
    confirm: float = 0.0
    txid: str = msgspec.field(default_factory=new_txid)


class CommitResult(Message, frozen=True):
    """The answer to CommitSession.

    *participants* are those that took part; *revision* is unchanged by a dry run
    and by a session that changes nothing.  Until *confirm_by*, in seconds since
    the epoch, it waits to be kept.
    """

    txid: str
    revision: int
    changes: list[Change]
    participants: list[str]
    notes: list[str] = msgspec.field(default_factory=list)
    confirm_by: float | None = None


class Settle(Request["CommitResult"], frozen=True):
    """Keep the commit that waits to be confirmed, or go back now; NOT_FOUND if none waits."""

    keep: bool = True
    who: str = ""


class Restore(Request["Changes"], frozen=True):
    """Make the next configuration of a session what was current at a *revision*.

    It opens the session, like the first Edit.  Revision 0 was empty.
    """

    session: str
    revision: int


class Discard(Request[Done], frozen=True):
    """Forget a session."""

    session: str


# Reading.


class GetConfig(Request["Config"], frozen=True):
    """Read the configuration at and below *path*.

    *side* is "current" or "next"; the latter needs a *session*.  With
    *defaults*, leaves that are not set are answered with their default.  With
    *ietf*, names and values are written as RFC 7951 does, for other tools.
    """

    path: str = "/"
    side: str = "current"
    session: str = ""
    defaults: bool = False
    ietf: bool = False


class Config(Message, frozen=True):
    """The answer to GetConfig."""

    data: Any
    revision: int


class GetHistory(Request["History"], frozen=True):
    """Ask for the last *limit* revisions, the newest first."""

    limit: int = 20


class Revision(msgspec.Struct, frozen=True, array_like=True):
    """One committed transaction: *when* is in seconds since the epoch.

    One with *confirm_by* had to be confirmed, and the next revision says what
    became of it; the newest one still waits.
    """

    number: int
    txid: str
    who: str
    when: float
    comment: str
    changes: list[Change]
    confirm_by: float | None = None


class History(Message, frozen=True):
    """The answer to GetHistory."""

    revisions: list[Revision]


class Describe(Request["Description"], frozen=True):
    """Ask for the schema at and below *path*; keys in it are not needed."""

    path: str = "/"


class Description(Message, frozen=True):
    """The answer to Describe: a node and all below it, as nested dicts.

    Each has name, kind (container, list, leaf, leaf-list), module and description
    and, as far as they apply, keys, type (base, name, ranges, lengths, patterns,
    values, members, target), default, mandatory, units and children, by name.
    """

    node: dict[str, Any]


class Committed(Message, frozen=True):
    """The event `config.committed`: what is current from now on."""

    txid: str
    revision: int
    changes: list[Change]


class Diverged(Message, frozen=True):
    """The event `config.diverged`: a participant does not hold what is current."""

    component: str
    reason: str


class Presence(Message, frozen=True):
    """The event `registry.COMPONENT`: it came, came anew, or is gone.

    Who follows it reads ListRegistry or Lookup first, and again after a gap.
    """

    component: str
    alive: bool
    version: str
    apis: list[Api]
