"""The routes of one source, and what of them the dataplane does not know yet.  No I/O.

Next hops of a source have ids that mean something only as long as the source lives.  Those of the
dataplane are made from what is behind them, so that a source that comes back with other ids finds
its routes as they are: nothing is moved while packets pass.  As long as a source lives, another
content of an id is a new content of the dataplane's, and all routes follow at once.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..message.routes import (
    PUT,
    REMOVE,
    ROUTE,
    Group,
    Hop,
    Kind,
    group_id,
    pack_group,
)
from .events import NextHop, Route
from .protocols import distance_of

MAX_ROUTES = 4_000_000
USES_INTERFACE = frozenset((Kind.GATEWAY, Kind.LINK))

KEY = np.dtype([(name, ROUTE[name]) for name in ("family", "length", "prefix")])

Resolve = Callable[[int], int]  # the kernel's number of an interface to ours; 0: it is none of ours
Hops = tuple[Hop, ...]


class Held(NamedTuple):
    """A route that is wanted."""

    via: int
    metric: int
    distance: int
    name: int  # the id that the source gave for the next hop; 0: none


class Content(NamedTuple):
    """What is behind an id of ours.  Hops of routes themselves stay when an id changes its own."""

    hops: Hops
    is_named: bool


class Batch(NamedTuple):
    """What to tell the dataplane, in this order."""

    groups: list[bytes]  # records of next_hop_mod
    routes: bytes  # records of route_mod
    gone: list[bytes]  # records of next_hop_mod

    def __bool__(self) -> bool:
        return bool(self.groups or self.routes or self.gone)


class Memory:
    """Take events of a source; give batches for the dataplane."""

    def __init__(self, source: int) -> None:
        self.source = source
        self.counters: Counter[str] = Counter()
        self.routes: dict[bytes, Held] = {}
        self.stale: set[bytes] = set()
        self._next_hops: dict[int, NextHop] = {}  # by the id of the source
        self._groups_with: dict[int, set[int]] = {}  # ids of the source, by that of a member
        self._names: dict[int, int] = {}  # id of the source -> ours
        self._holders: dict[int, set[int]] = {}  # ours -> ids of the source
        self._contents: dict[int, Content] = {}  # by our id
        self._uses: Counter[int] = Counter()  # routes, by our id
        self._sent: dict[int, bytes] = {}  # what the dataplane has, by our id
        self._changed: dict[bytes, None] = {}
        self._dirty: dict[int, None] = {}  # groups to look at

    @property
    def waits(self) -> int:
        """Return how many routes and groups the dataplane does not know yet."""
        return len(self._changed) + len(self._dirty)

    def has_told(self, ident: int) -> bool:
        """Return whether the dataplane has a group by what it was told."""
        return bool(self._sent.get(ident))

    # What the source says.

    def put_route(self, route: Route) -> None:
        """Take a route that was put."""
        self.put_routes(route, (route.key,))

    def put_routes(self, like: Route, keys: Sequence[bytes]) -> None:
        """Take routes that were put, alike but for their prefixes."""
        name = 0 if like.hops else like.next_hop
        via = self._group_of(Content(like.hops, False)) if like.hops else self._names.get(name, 0)
        if not via:
            self.counters["without_next_hop"] += len(keys)
            for key in keys:
                self.remove_route(key)
            return
        held = Held(via, like.metric, distance_of(like.protocol), name)
        new = dict.fromkeys(key for key in keys if key not in self.routes)
        if len(new) < len(keys):
            for key in keys:
                if key not in new and self.routes[key] != held:
                    self._set(key, held)
            self.stale.difference_update(keys)
        self._add(new, held)

    def remove_route(self, key: bytes) -> None:
        """Take that there is no route any more; there may not have been one."""
        self.stale.discard(key)
        held = self.routes.pop(key, None)
        if held:
            self._changed[key] = None
            self._release(held.via)

    def take_next_hop(self, event: NextHop) -> None:
        """Take that a next hop was put or removed."""
        known = self._next_hops.get(event.id)
        if known == event:
            return
        for member, _ in known.members if known else ():
            self._groups_with[member].discard(event.id)
        if event.removed:
            self._next_hops.pop(event.id, None)
            self._forget(event.id)
            return
        self._next_hops[event.id] = event
        for member, _ in event.members:
            self._groups_with.setdefault(member, set()).add(event.id)
        self._rename(event.id)
        for group in tuple(self._groups_with.get(event.id, ())):  # it may come after them
            self._rename(group)

    def mark(self) -> None:
        """Begin anew: the source says all again, and its ids mean nothing any more."""
        self.stale = set(self.routes)
        self._next_hops.clear()
        self._groups_with.clear()
        for name in list(self._names):
            self._forget(name)

    def sweep(self) -> int:
        """Remove what was not said again; return how many routes that were."""
        stale = list(self.stale)
        for key in stale:
            self.remove_route(key)
        return len(stale)

    # What the dataplane is told.

    def forget_sent(self) -> None:
        """Tell all again: the dataplane knows nothing, or nobody knows what it does."""
        self._sent.clear()
        self._changed = dict.fromkeys(self.routes)
        self._dirty = dict.fromkeys(self._contents)

    def resolve_again(self) -> None:
        """Look at all groups again: the interfaces have changed."""
        self._dirty = dict.fromkeys(self._contents)

    def tell_again(self, key: bytes) -> None:
        """Tell of a route again, which the dataplane refused."""
        self._changed[key] = None

    def batch(self, resolve: Resolve) -> Batch:
        """Return what has changed, and take it as told."""
        groups, gone = [], []
        turned: set[int] = set()  # there is a way now, or none any more
        for ident in self._dirty:
            before, record = self._sent.get(ident), self._group_record(ident, resolve)
            if record and record != before:
                groups.append(record)
            if before and not record:
                gone.append(pack_group(Group(self.source, ident, ()), REMOVE))
            if before is not None and bool(before) != bool(record):
                turned.add(ident)
            self._note_sent(ident, record)
        self._dirty = {}
        if turned:
            self._changed |= dict.fromkeys(k for k, h in self.routes.items() if h.via in turned)
        changed, self._changed = self._changed, {}
        return Batch(groups, self._route_records(changed), gone)

    def _group_record(self, ident: int, resolve: Resolve) -> bytes:
        """Return what the dataplane shall have; nothing if no route needs it or no way is ours."""
        if not self._uses[ident]:
            return b""
        hops = _resolved(self._contents[ident].hops, resolve)
        return pack_group(Group(self.source, ident, hops)) if hops else b""

    def _note_sent(self, ident: int, record: bytes) -> None:
        if self._uses[ident]:
            self._sent[ident] = record
            return
        self._sent.pop(ident, None)
        if ident not in self._holders:
            del self._contents[ident], self._uses[ident]

    def _route_records(self, keys: Collection[bytes]) -> bytes:
        """Return a record for each prefix: what there is for it now, or that there is nothing."""
        helds = list(map(self.routes.get, keys))
        kinds = {held: i for i, held in enumerate(set(helds))}
        rows = np.array([self._row(held) for held in kinds], ROUTE)
        records = rows[[kinds[held] for held in helds]]
        prefixes = np.frombuffer(b"".join(keys), KEY)
        for name in KEY.names or ():
            records[name] = prefixes[name]
        return records.tobytes()

    def _row(self, held: Held | None) -> tuple[Any, ...]:
        """Return a record without a prefix."""
        if held and self._sent.get(held.via):
            return PUT, 0, 0, self.source, held.via, held.metric, held.distance, b"", b""
        return REMOVE, 0, 0, self.source, 0, 0, 0, b"", b""

    # Groups.

    def _add(self, new: dict[bytes, None], held: Held) -> None:
        """Add routes of which there was none."""
        if (over := len(self.routes) + len(new) - MAX_ROUTES) > 0:
            self.counters["full"] += over
            new = dict.fromkeys(islice(new, max(len(new) - over, 0)))
        self.routes |= dict.fromkeys(new, held)
        self._changed |= new
        self._use(held.via, len(new))

    def _use(self, ident: int, n: int) -> None:
        if n and not self._uses[ident]:
            self._dirty[ident] = None
        self._uses[ident] += n

    def _set(self, key: bytes, held: Held) -> None:
        self.stale.discard(key)
        before = self.routes.get(key)
        self.routes[key] = held
        if before and before[:3] == held[:3]:
            return
        self._changed[key] = None
        self._use(held.via, 1)
        if before:
            self._release(before.via)

    def _release(self, ident: int) -> None:
        self._uses[ident] -= 1
        if not self._uses[ident]:
            self._dirty[ident] = None

    def _group_of(self, content: Content) -> int:
        """Return our id of this content."""
        ident = group_id(content.hops)
        while (known := self._contents.get(ident)) != content:
            if known is None:
                self._contents[ident] = content
                self._dirty[ident] = None  # it goes again if nothing comes to use it
            else:
                ident = ident % 0xFFFFFFFF + 1
        return ident

    def _rename(self, name: int) -> None:
        """Let an id of the source mean what is behind it now."""
        content, ours = Content(self._flat(name), True), self._names.get(name)
        if ours is not None and self._contents[ours] == content:
            return
        if ours is not None and content.hops and self._holders[ours] == {name}:
            self._contents[ours] = content
            self._dirty[ours] = None
            return
        self._forget(name)
        if content.hops:
            self._hold(name, self._group_of(content))
        if ours is not None:
            self._move(name)

    def _move(self, name: int) -> None:
        """Let routes follow an id that had the same content as others, or has none any more."""
        via = self._names.get(name, 0)
        for key in [k for k, h in self.routes.items() if h.name == name and k not in self.stale]:
            if via:
                self._set(key, self.routes[key]._replace(via=via))
            else:
                self.remove_route(key)

    def _hold(self, name: int, ours: int) -> None:
        self._names[name] = ours
        self._holders.setdefault(ours, set()).add(name)

    def _forget(self, name: int) -> None:
        ours = self._names.pop(name, None)
        if ours is None:
            return
        self._holders[ours].discard(name)
        if not self._holders[ours]:
            del self._holders[ours]
            self._dirty[ours] = None

    def _flat(self, name: int) -> Hops:
        """Return the hops behind an id; the members of a group are hops (linux/nexthop.h)."""
        event = self._next_hops[name]
        if event.hop:
            return (event.hop,)
        found = []
        for ident, weight in event.members:
            member = self._next_hops.get(ident)
            if member and member.hop:
                found.append(_weighted(member.hop, weight))
        return tuple(found)


def _weighted(hop: Hop, weight: int) -> Hop:
    return hop if hop.weight == weight else msgspec.structs.replace(hop, weight=weight)


def _resolved(hops: Hops, resolve: Resolve) -> Hops:
    """Return the hops with our numbers of interfaces, without those that leave by others."""
    return tuple(filter(None, (_resolve(hop, resolve) for hop in hops)))


def _resolve(hop: Hop, resolve: Resolve) -> Hop | None:
    ours = resolve(hop.interface) if hop.kind in USES_INTERFACE else 0
    if hop.kind in USES_INTERFACE and not ours:
        return None
    return msgspec.structs.replace(hop, interface=ours)
