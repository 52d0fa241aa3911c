"""What flow-mods, group-mods and meter-mods mean (OpenFlow 1.3.5, 6.4 to 6.7, 7.3.4): plainly.

A message here is a value, not bytes; `apply` says which errors it may get: none, or any of those
that are right. Packets, counters and timeouts are left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from raicho.control.openflow.spec.errors import (
    BadAction,
    BadInstruction,
    FlowModFailed,
    GroupModFailed,
    MeterModFailed,
    reason,
)

Errors = frozenset[tuple[int, int]]
Match = Mapping[str, tuple[int, int]]  # field -> value, mask

FINE: Errors = frozenset()
ALL_TABLES, ANY, ALL_GROUPS, ALL_METERS = 0xFF, 0xFFFFFFFF, 0xFFFFFFFC, 0xFFFFFFFF
ADD, MODIFY, MODIFY_STRICT, DELETE, DELETE_STRICT = range(5)  # of flows
GROUP_DELETE = METER_DELETE = 2
SEND_FLOW_REM, CHECK_OVERLAP = 1, 2
INDIRECT = 2
BY_DELETE, BY_GROUP = 2, 3  # reasons of flow-removed


@dataclass(frozen=True)
class Does:
    """What instructions or a bucket name, and their bytes."""

    wire: bytes
    ports: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    meter: int = 0
    goto: int = 0


@dataclass(frozen=True)
class Flow:
    table: int
    priority: int
    match: Match
    cookie: int
    flags: int
    does: Does

    @property
    def key(self) -> tuple[object, ...]:
        return self.table, self.priority, tuple(sorted(self.match.items()))


@dataclass(frozen=True)
class FlowMod:
    command: int
    flow: Flow
    cookie_mask: int = 0
    out_port: int = ANY
    out_group: int = ANY


@dataclass(frozen=True)
class GroupMod:
    command: int
    number: int
    kind: int = 0
    buckets: tuple[Does, ...] = ()


@dataclass(frozen=True)
class MeterMod:
    command: int
    number: int
    flags: int = 1
    bands: bytes = b""


Mod = FlowMod | GroupMod | MeterMod


@dataclass
class Model:
    """Tables, groups and meters; and what controllers were told."""

    max_flows: int
    flows: dict[tuple[object, ...], Flow] = field(default_factory=dict)
    groups: dict[int, GroupMod] = field(default_factory=dict)
    meters: dict[int, MeterMod] = field(default_factory=dict)
    removed: Counter[tuple[int, int, int, int]] = field(default_factory=Counter)

    def apply(self, mod: Mod) -> Errors:
        """Do it; return the errors of which the switch must give one, if there are any."""
        match mod:
            case FlowMod():
                return self._flow_mod(mod)
            case GroupMod():
                return GROUP_COMMANDS[mod.command](self, mod)
            case MeterMod():
                return METER_COMMANDS[mod.command](self, mod)

    def bundle(self, mods: list[Mod]) -> tuple[int, Errors]:
        """Do all or none; return which one failed, and how it may have."""
        before = deepcopy(self.__dict__)
        for i, mod in enumerate(mods):
            if errors := self.apply(mod):
                self.__dict__.update(before)
                return i, errors
        return len(mods), FINE

    def references(self) -> tuple[Counter[int], Counter[int]]:
        """Count who names each group, and which flows each meter."""
        groups: Counter[int] = Counter()
        for does in self._all():
            groups.update(number for number in does.groups if number in self.groups)
        flows = (flow.does.meter for flow in self.flows.values())
        return groups, Counter(meter for meter in flows if meter)

    def _all(self) -> Iterator[Does]:
        yield from (flow.does for flow in self.flows.values())
        yield from (bucket for group in self.groups.values() for bucket in group.buckets)

    # Flows.

    def _flow_mod(self, mod: FlowMod) -> Errors:
        if mod.command in (DELETE, DELETE_STRICT):
            for flow in self._chosen(mod):
                self._remove(flow, BY_DELETE)
            return FINE
        if mod.flow.table == ALL_TABLES:
            return errors(FlowModFailed.BAD_TABLE_ID)
        if wrong := self._wrong(mod.flow.does, mod.flow.table):
            return wrong
        if mod.command == ADD:
            return self._add(mod.flow)
        for flow in self._chosen(replace(mod, out_port=ANY, out_group=ANY)):
            self.flows[flow.key] = replace(flow, does=mod.flow.does)
        return FINE

    def _add(self, new: Flow) -> Errors:
        if new.flags & CHECK_OVERLAP and any(overlap(new, old) for old in self.flows.values()):
            return errors(FlowModFailed.OVERLAP)
        if new.key not in self.flows and len(self.flows) >= self.max_flows:
            return errors(FlowModFailed.TABLE_FULL)
        self.flows[new.key] = new
        return FINE

    def _wrong(self, does: Does, table: int) -> Errors:
        wrong = []
        if any(group not in self.groups for group in does.groups):
            wrong.append(reason(BadAction.BAD_OUT_GROUP))
        if does.meter and does.meter not in self.meters:
            wrong.append(reason(MeterModFailed.UNKNOWN_METER))
        if does.goto and (does.goto <= table or does.goto == ALL_TABLES):
            wrong.append(reason(BadInstruction.BAD_TABLE_ID))
        return frozenset(wrong)

    def _chosen(self, mod: FlowMod) -> list[Flow]:
        strict = mod.command in (MODIFY_STRICT, DELETE_STRICT)
        return [flow for flow in self.flows.values() if chosen(mod, flow, strict)]

    def _remove(self, flow: Flow, why: int) -> None:
        del self.flows[flow.key]
        if flow.flags & SEND_FLOW_REM:
            self.removed[flow.table, flow.priority, flow.cookie, why] += 1

    # Groups.

    def _put_group(self, mod: GroupMod) -> Errors:
        if mod.kind == INDIRECT and len(mod.buckets) != 1:
            return errors(GroupModFailed.INVALID_GROUP)
        named = {group for bucket in mod.buckets for group in bucket.groups}
        if named - self.groups.keys():
            return errors(BadAction.BAD_OUT_GROUP)
        if mod.number in self._below(named):
            return errors(GroupModFailed.LOOP)
        self.groups[mod.number] = mod
        return FINE

    def _below(self, named: set[int]) -> set[int]:
        """Return all groups that packets for these may come through."""
        below: set[int] = set()
        while named:
            below |= named
            buckets = (bucket for number in named for bucket in self.groups[number].buckets)
            named = {group for bucket in buckets for group in bucket.groups} - below
        return below

    def _add_group(self, mod: GroupMod) -> Errors:
        if mod.number in self.groups:
            return errors(GroupModFailed.GROUP_EXISTS)
        return self._put_group(mod)

    def _modify_group(self, mod: GroupMod) -> Errors:
        if mod.number not in self.groups:
            return errors(GroupModFailed.UNKNOWN_GROUP)
        return self._put_group(mod)

    def _delete_group(self, mod: GroupMod) -> Errors:
        numbers = set(self.groups) if mod.number == ALL_GROUPS else {mod.number} & set(self.groups)
        for group in self.groups.values():
            named = {number for bucket in group.buckets for number in bucket.groups}
            if mod.number != ALL_GROUPS and named & numbers:
                return errors(GroupModFailed.CHAINED_GROUP)
        for flow in list(self.flows.values()):
            if numbers & set(flow.does.groups):
                self._remove(flow, BY_GROUP)
        for number in numbers:
            del self.groups[number]
        return FINE

    # Meters.

    def _add_meter(self, mod: MeterMod) -> Errors:
        if mod.number in self.meters:
            return errors(MeterModFailed.METER_EXISTS)
        self.meters[mod.number] = mod
        return FINE

    def _modify_meter(self, mod: MeterMod) -> Errors:
        if mod.number not in self.meters:
            return errors(MeterModFailed.UNKNOWN_METER)
        self.meters[mod.number] = mod
        return FINE

    def _delete_meter(self, mod: MeterMod) -> Errors:
        numbers = set(self.meters) if mod.number == ALL_METERS else {mod.number} & set(self.meters)
        for flow in list(self.flows.values()):
            if flow.does.meter in numbers:
                self._remove(flow, BY_DELETE)
        for number in numbers:
            del self.meters[number]
        return FINE


GROUP_COMMANDS: tuple[Callable[[Model, GroupMod], Errors], ...] = (
    Model._add_group,
    Model._modify_group,
    Model._delete_group,
)
METER_COMMANDS: tuple[Callable[[Model, MeterMod], Errors], ...] = (
    Model._add_meter,
    Model._modify_meter,
    Model._delete_meter,
)


def errors(*codes: object) -> Errors:
    """Return the errors of which one is right."""
    return frozenset(reason(code) for code in codes)  # type: ignore[arg-type]


def overlap(one: Flow, other: Flow) -> bool:
    """Whether a packet could match both, with the same priority in the same table."""
    if (one.table, one.priority) != (other.table, other.priority):
        return False
    for name in one.match.keys() & other.match.keys():
        (value, mask), (wanted, bits) = one.match[name], other.match[name]
        if (value ^ wanted) & mask & bits:
            return False
    return True


def chosen(mod: FlowMod, flow: Flow, strict: bool) -> bool:
    """Whether a request is about a flow."""
    wanted = mod.flow
    if wanted.table not in (ALL_TABLES, flow.table):
        return False
    if (flow.cookie ^ wanted.cookie) & mod.cookie_mask:
        return False
    if mod.out_port != ANY and mod.out_port not in flow.does.ports:
        return False
    if mod.out_group != ANY and mod.out_group not in flow.does.groups:
        return False
    if strict:
        return (wanted.match, wanted.priority) == (flow.match, flow.priority)
    return covers(wanted.match, flow.match)


def covers(wide: Match, narrow: Match) -> bool:
    """Whether every packet that *narrow* matches, *wide* matches too."""
    for name, (value, mask) in wide.items():
        other, bits = narrow.get(name, (0, 0))
        if mask & ~bits or (value ^ other) & mask:
            return False
    return True
