"""Random pipelines, and packets that hit their entries.

Matches are taken from packets that really reach the table: as they came in, or as earlier tables
have made them.  All randomness comes from the generator passed in; scenarios() and
packets() are strategies of hypothesis on top.  No two entries of a table overlap at equal
priority: the winner would be undefined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st

from . import actions as act
from . import frames, groups
from .consistent import Known, after, allowed, known
from .derive import derived_match
from .fields import FIELDS, PRESENT, REGISTERS, Key
from .groups import Bucket, GroupEntry
from .match import Apply, Clear, Entry, Goto, Instruction, Match, Write, WriteMetadata, overlap
from .packet import IPV4_TYPE, IPV6_TYPE
from .pipeline import Pipeline

# Fields on which the presence of others depends.  An action set has no order among its set-fields,
# so there they would make the result the switch's own affair.
GOVERNING_FIELDS = ("eth_type", "ip_proto", "icmpv6_type", "icmpv6_code")
ETH_TYPES = (IPV4_TYPE, IPV6_TYPE, 0x0806, 0x8847, 0x88E7, 0x88CC)
METADATA = (0, 1, 2, 0xFF, 0x8000000000000001, 0xFFFFFFFFFFFFFFFF)
PRIORITIES = (0, 1, 10, 10, 100, 100, 100, 0x8000, 0xFFFF)


@dataclass(frozen=True)
class Features:
    """What may be generated; take kinds out where the switch under test lacks them."""

    actions: frozenset[type[act.Action]] = frozenset(act.SET_ORDER) - {act.SetQueue}
    list_actions: tuple[type[act.Action], ...] = act.LIST_ONLY
    fields: frozenset[str] = frozenset(FIELDS)
    group_kinds: tuple[int, ...] = (
        groups.ALL,
        groups.SELECT,
        groups.INDIRECT,
        groups.FAST_FAILOVER,
    )
    ports: tuple[int, ...] = (act.IN_PORT, act.FLOOD, act.ALL, act.CONTROLLER)
    n_ports: int = 4  # As many as the switch under test has.
    max_tables: int = 4
    max_entries: int = 12


EVERYTHING = Features()


@dataclass(frozen=True)
class Scenario:
    """Tables, groups and ports, and packets to send through them."""

    entries: tuple[Entry, ...]
    groups: tuple[GroupEntry, ...]
    ports: tuple[int, ...]
    packets: tuple[tuple[int, bytes], ...] = field(repr=False)  # Port and frame.

    def pipeline(self) -> Pipeline:
        """Return the oracle's switch with these tables."""
        return Pipeline(self.entries, self.groups, self.ports)


def scenario(rng: Random, n_packets: int = 100, features: Features = EVERYTHING) -> Scenario:
    """Make tables and packets."""
    return _Maker(rng, features).scenario(n_packets)


def packets() -> st.SearchStrategy[bytes]:
    """Return a strategy of frames; hypothesis makes a failing one small."""
    return st.randoms(use_true_random=False).map(frames.frame)


def scenarios(n_packets: int = 20, features: Features = EVERYTHING) -> st.SearchStrategy[Scenario]:
    """Return a strategy of scenarios; shrink.py makes a failing one small."""
    return st.randoms(use_true_random=True).map(lambda rng: scenario(rng, n_packets, features))


class _Maker:
    """Makes the parts of one scenario."""

    def __init__(self, rng: Random, features: Features) -> None:
        self.rng, self.features = rng, features
        self.names = [name for name in FIELDS if name in features.fields]
        self.settable = [name for name in self.names if FIELDS[name].settable]
        self.kinds = [kind for kind in act.SET_ORDER if kind in features.actions]
        self.ports = tuple(range(1, features.n_ports + 1))
        self.groups: list[GroupEntry] = []
        self.entries: list[Entry] = []

    def scenario(self, n_packets: int) -> Scenario:
        rng = self.rng
        theme = rng.choice((None, *frames.THEMES))
        packets = [
            (rng.choice(self.ports), frames.frame(rng, theme if rng.random() < 0.7 else None))
            for _ in range(n_packets)
        ]
        if act.Group in self.features.actions and self.features.group_kinds:
            for _ in range(rng.choice((0, 0, 1, 2, 4))):
                self._add_group()
        tables = sorted(rng.sample(range(1, 6), rng.randrange(self.features.max_tables)))
        tables = [0, *tables]
        for place, table_id in enumerate(tables):
            self._add_table(table_id, tables[place + 1 :], packets)
        return Scenario(tuple(self.entries), tuple(self.groups), self.ports, tuple(packets))

    # Tables.

    def _add_table(self, table_id: int, later: list[int], packets: list[tuple[int, bytes]]) -> None:
        rng = self.rng
        keys = self._reaching(table_id, packets) or [Key(frame, port) for port, frame in packets]
        table: list[Entry] = []
        if rng.random() < 0.6:
            table.append(self._entry(table_id, 0, {}, later))
        for _ in range(rng.randrange(1, self.features.max_entries)):
            n_fields = rng.choice((1, 1, 1, 2, 2, 3, 5))
            match = derived_match(rng, rng.choice(keys), self.names, n_fields)
            entry = self._entry(table_id, rng.choice(PRIORITIES), match, later)
            rivals = {each.priority for each in table if overlap(each.match, match)}
            if entry.priority not in rivals:
                table.append(entry)
        self.entries += table

    def _reaching(self, table_id: int, packets: list[tuple[int, bytes]]) -> list[Key]:
        pipeline = Pipeline(self.entries, self.groups, self.ports)
        outcomes = (pipeline.run(frame, port) for port, frame in packets)
        return [v.key for outcome in outcomes for v in outcome.visits if v.table_id == table_id]

    def _entry(self, table_id: int, priority: int, match: Match, later: list[int]) -> Entry:
        rng, now = self.rng, known(match)
        instructions: list[Instruction] = []
        if rng.random() < 0.55:
            actions = self._action_list(now, later)
            instructions.append(Apply(actions))
            for action in actions:
                now = after(action, now)
        if rng.random() < 0.15:
            instructions.append(Clear())
        if rng.random() < 0.55:
            instructions.append(Write(self._action_set(known(match), now)))
        if later and rng.random() < 0.3:
            instructions.append(WriteMetadata(rng.choice(METADATA), rng.choice(METADATA)))
        if later and rng.random() < 0.65:
            instructions.append(Goto(rng.choice(later)))
        rng.shuffle(instructions)
        return Entry(table_id, priority, match, tuple(instructions), rng.getrandbits(64))

    # Groups.

    def _add_group(self) -> None:
        rng = self.rng
        kind = rng.choice(self.features.group_kinds)
        n = 1 if kind == groups.INDIRECT else rng.choice((0, 1, 2, 2, 3))
        group_id = 10 * len(self.groups) + rng.randrange(1, 10)
        buckets = tuple(self._bucket(kind) for _ in range(n))
        self.groups.append(GroupEntry(group_id, kind, buckets))

    def _bucket(self, kind: int) -> Bucket:
        rng = self.rng
        actions = self._action_set(None, None)
        if kind == groups.SELECT:
            return Bucket(actions, weight=rng.choice((1, 1, 5)))
        if kind == groups.FAST_FAILOVER and self.groups and rng.random() < 0.6:
            return Bucket(actions, watch_group=rng.choice(self.groups).group_id)
        if kind == groups.FAST_FAILOVER:
            return Bucket(actions, watch_port=rng.choice(self.ports))
        return Bucket(actions)

    # Actions.

    def _action_list(self, now: Known, later: list[int]) -> tuple[act.Action, ...]:
        """Make a list in which each action is allowed after those before it."""
        rng = self.rng
        actions: list[act.Action] = []
        for _ in range(rng.choice((0, 1, 2, 3, 4, 6))):
            action = self._list_only(later) if rng.random() < 0.2 else self._action(now)
            if action is not None and allowed(action, now):
                actions.append(action)
                now = after(action, now)
        if rng.random() < 0.5:
            actions.append(self._make(act.Output, now))
        return tuple(actions)

    def _action_set(self, before: Known | None, now: Known | None) -> tuple[act.Action, ...]:
        """Make actions for a set: allowed by the match alone, and after apply-actions too.

        A bucket knows no match: there everything is allowed.
        """
        rng = self.rng
        lax = before is None or now is None
        chosen: dict[tuple[int, int], act.Action] = {}
        for _ in range(rng.choice((0, 1, 2, 3, 5))):
            action = self._action(
                now or Known(rng.choice(ETH_TYPES), True, rng.choice((6, 17, 58)))
            )
            if isinstance(action, act.SetField) and action.name in GOVERNING_FIELDS:
                continue
            if before is None or now is None or (allowed(action, before) and allowed(action, now)):
                chosen[act.slot_of(action)] = action
        if lax or rng.random() < 0.75:
            output = self._make(act.Output, now)
            chosen[act.slot_of(output)] = output
        actions = list(chosen.values())
        rng.shuffle(actions)
        return tuple(actions)

    def _list_only(self, later: list[int]) -> act.Action | None:
        """Make an action that only a list can have; None if there is nothing to make it of."""
        rng = self.rng
        kind = rng.choice(self.features.list_actions) if self.features.list_actions else None
        if kind is act.Resubmit:
            return act.Resubmit(rng.choice(later)) if later else None
        targets = [name for name in self.settable if name not in (*GOVERNING_FIELDS, "vlan_vid")]
        name = rng.choice(targets + [each for each in REGISTERS if each in targets] * 8)
        at, bits = _part(rng, FIELDS[name].bits)
        if kind is act.RegLoad:
            bits = min(bits, 64)
            return act.RegLoad(name, at, bits, rng.getrandbits(bits))
        if kind is act.RegMove:
            source = rng.choice([each for each in self.names if each != "in_phy_port"])
            bits = min(bits, FIELDS[source].bits)
            source_at = rng.randrange(FIELDS[source].bits - bits + 1)
            return act.RegMove(source, source_at, name, at, bits)
        return None

    def _action(self, now: Known) -> act.Action:
        rng = self.rng
        weights = [
            6 if kind is act.SetField else 2 if kind is act.Output else 1 for kind in self.kinds
        ]
        kind = rng.choices(self.kinds, weights)[0]
        return self._make(kind, now)

    def _make(self, kind: type[act.Action], now: Known | None) -> act.Action:
        """Make an action of a kind."""
        if kind is act.Output or (kind is act.Group and not self.groups):
            return self._output()
        if kind is act.SetField:
            return self._set_field(now or Known())
        values = (
            [group.group_id for group in self.groups] if kind is act.Group else _VALUES_OF.get(kind)
        )
        make: Callable[..., act.Action] = kind
        return make(self.rng.choice(values)) if values else make()

    def _output(self) -> act.Action:
        rng = self.rng
        if self.features.ports and rng.random() < 0.3:
            return act.Output(rng.choice(self.features.ports), rng.choice((0xFFFF, 0xFFFF, 0, 64)))
        return act.Output(rng.choice(self.ports), rng.choice((0, 0xFFFF)))

    def _set_field(self, now: Known) -> act.SetField:
        rng = self.rng
        possible = [name for name in self.settable if allowed(act.SetField(name, 0), now)]
        # The deeper a field lies, the more it needs, and the rarer its packets.
        weights = [1 + 2 * len(FIELDS[name].needs) ** 2 for name in possible]
        name = rng.choices(possible, weights)[0]
        return act.SetField(name, random_value(rng, name))


# What an action's one value may be; actions that are not here have none.
_VALUES_OF: dict[Callable[..., act.Action], Sequence[int]] = {
    act.SetNwTtl: frames.TTLS,
    act.SetMplsTtl: frames.TTLS,
    act.SetQueue: (0,),
    act.PushVlan: (0x8100, 0x88A8),
    act.PushMpls: (0x8847, 0x8848),
    act.PopMpls: (IPV4_TYPE, IPV6_TYPE, 0x8847, 0x88CC),
    act.PushPbb: (0x88E7,),
}
# Values that say something; other fields take any bits.
_VALUES: dict[str, tuple[int, ...]] = {
    "eth_type": ETH_TYPES,
    "vlan_vid": tuple(PRESENT | vid for vid in (0, 1, 10, 100, 4095)),
    "ip_proto": (1, 6, 17, 58, 132, 47, 255),
    "icmpv6_type": (128, 135, 136),
    "icmpv6_code": (0, 1),
}


def _part(rng: Random, size: int) -> tuple[int, int]:
    """Choose some bits of *size*: the first one, and how many; often all."""
    if rng.random() < 0.5:
        return 0, size
    at = rng.randrange(size)
    return at, rng.randrange(1, size - at + 1)


def values_of(kind: Callable[..., act.Action]) -> Sequence[int]:
    """Return what the one value of an action may be; nothing if it has none."""
    return _VALUES_OF.get(kind, ())


def random_value(rng: Random, name: str) -> int:
    """Choose a value for a field to be set to."""
    if name in _VALUES:
        return rng.choice(_VALUES[name])
    bits = FIELDS[name].bits
    return rng.choice((0, 1, (1 << bits) - 1, rng.getrandbits(bits), rng.getrandbits(bits)))
