"""The requests that every component answers, their replies, and alerts."""

from typing import Any, TypeGuard

import msgspec

from .envelope import Message, Request


class Done(Message, frozen=True):
    """The request was carried out, and there is nothing to say about it."""


class Pong(Message, frozen=True):
    """The component is alive; a new *instance* means that it was started again."""

    instance: str


class Ping(Request[Pong], frozen=True):
    """Ask whether the component is alive."""


class Information(Message, frozen=True):
    """Who the component is and how it feels."""

    component: str  # the identity, e.g. "dataplane"
    version: str
    pid: int
    uptime: float  # seconds
    state: str  # starting, ready, degraded (no datastore), stopping
    instance: str


class Info(Request[Information], frozen=True):
    """Ask who the component is."""


class Modules(Message, frozen=True):
    """The YANG modules of a component, as text."""

    yang: list[str]


class Schema(Request[Modules], frozen=True):
    """Ask for the component's part of the schema."""


Order = list[dict[str, Any]]  # the keys of all entries of a list that its user orders


class Change(Message, frozen=True):
    """A leaf or list entry that differs, or the Order of a list; None stands for absent."""

    path: str
    old: Any = None
    new: Any = None


def is_order(value: Any) -> TypeGuard[Order]:
    """Tell whether the value of a change is an order; no leaf-list holds dicts."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


class Prepared(Message, frozen=True):
    """The participant can commit, and holds what it needs to do so."""


class Prepare(Request[Prepared], frozen=True):
    """Check the changes and get ready; nothing takes effect yet.

    The config is the whole next tree of the participant's modules, as nested
    dicts and lists with plain names.  The changes are *whole* if they lead there
    from nothing, not from what the participant holds.
    """

    txid: str
    revision: int
    changes: list[Change]
    config: dict[str, Any]
    whole: bool = True


class Commit(Request[Done], frozen=True):
    """Let what was prepared take effect."""

    txid: str


class Abort(Request[Done], frozen=True):
    """Forget what was prepared; also right for a transaction never heard of."""

    txid: str


class Restart(Request[Done], frozen=True):
    """Forget everything and register as a new *instance*; any other instance has done so."""

    instance: str


class Value(Message, frozen=True):
    """What was found at a path."""

    data: Any


class Get(Request[Value], frozen=True):
    """Read the state of a component, or a *side* of the datastore.

    Sides of the datastore are "current" and "next"; the latter is that of a
    *session*.  Other components have one side and look at the path alone.
    """

    path: str = "/"
    side: str = "current"
    session: str = ""


class FlowFault(msgspec.Struct, frozen=True, array_like=True):
    """A flow, by its *index* in the request, that could not be added."""

    index: int
    code: str
    reason: str


class AddedFlows(Message, frozen=True):
    """The answer to AddFlows; no faults: all flows are in force."""

    faults: list[FlowFault]


class AddFlows(Request[AddedFlows], frozen=True):
    """Add flows to the tables of a bridge, all of them or none; *check* only reads them.

    This is volatile state: it is in force when the answer comes, and belongs to
    whoever set it.  A flow is written as the state /flows of the agent has it.
    """

    bridge: str
    flows: list[dict[str, Any]]
    check: bool = False


class Sample(Message, frozen=True):
    """Counters that were read at one time (Unix seconds)."""

    time: float
    data: dict[str, Any]


class Stats(Request[Sample], frozen=True):
    """Read counters by name; no names means all."""

    names: list[str] = msgspec.field(default_factory=list)


class Alert(Message, frozen=True):
    """Something that an operator should know; the body of "alert.*" events."""

    component: str
    cause: str
    pid: int = 0
    restarts: int = 0
