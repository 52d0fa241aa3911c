"""The pipeline (5.1): a packet, a port and the tables in; what comes out, and what was counted."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from .actions import (
    ALL,
    CONTROLLER,
    FLOOD,
    IN_PORT,
    TABLE,
    Action,
    Group,
    Output,
    RegLoad,
    RegMove,
    Resubmit,
    SetField,
    SetQueue,
    slot_of,
)
from .fields import OWN_FIELDS, Key
from .groups import GroupEntry, chosen
from .headers import HEADER_ACTIONS, InvalidTtl
from .match import Apply, Clear, Entry, Goto, Meter, Write, WriteMetadata, lookup

NO_MATCH, ACTION, INVALID_TTL = range(3)  # OFPR_*
NO_COOKIE = 0xFFFFFFFFFFFFFFFF
METADATA_BITS = 0xFFFFFFFFFFFFFFFF
# The order in which the instructions of an entry are carried out (5.9).
INSTRUCTION_ORDER = (Meter, Apply, Clear, Write, WriteMetadata, Goto)


@dataclass(frozen=True, order=True)
class PacketIn:
    """A packet for the controller.

    A switch without buffers sends all of it, whatever *max_len* asks for (7.4.1).
    """

    reason: int
    table_id: int
    cookie: int
    in_port: int
    metadata: int
    tunnel_id: int
    data: bytes
    max_len: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Visit:
    """A packet was looked up in a table."""

    table_id: int
    key: Key
    entry: Entry | None  # The entry that it belongs to.


@dataclass
class Outcome:
    """What a packet has led to."""

    outputs: list[tuple[int, bytes]] = field(default_factory=list)
    packet_ins: list[PacketIn] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    buckets: list[tuple[int, int]] = field(default_factory=list)  # Group and bucket number.

    def counted(self) -> list[Entry]:
        """Return the flow entries that count the packet, in order."""
        return [visit.entry for visit in self.visits if visit.entry is not None]

    def same(self, other: "Outcome") -> bool:
        """Tell if nobody outside can see a difference; copies may leave in any order."""
        return sorted(self.outputs) == sorted(other.outputs) and sorted(self.packet_ins) == sorted(
            other.packet_ins
        )


class _Choices:
    """Decisions that are the switch's own: follows a script, then takes the first."""

    def __init__(self, script: Sequence[int]) -> None:
        self._script = script
        self._taken: list[tuple[int, int]] = []

    def pick(self, n: int) -> int:
        place = len(self._taken)
        choice = self._script[place] if place < len(self._script) else 0
        self._taken.append((choice, n))
        return choice

    def next_script(self) -> list[int] | None:
        """Return the script of the next possibility; None after the last."""
        taken = self._taken[:]
        while taken:
            choice, n = taken.pop()
            if choice + 1 < n:
                return [each for each, _ in taken] + [choice + 1]
        return None


class Pipeline:
    """Flow tables, groups and ports, frozen."""

    def __init__(
        self,
        entries: Iterable[Entry],
        groups: Iterable[GroupEntry] = (),
        ports: Collection[int] = (1, 2, 3, 4),
    ) -> None:
        self.entries = tuple(entries)
        self.groups = {group.group_id: group for group in groups}
        self.ports = tuple(sorted(ports))
        self.tables: dict[int, list[Entry]] = {}
        for entry in self.entries:
            self.tables.setdefault(entry.table_id, []).append(entry)

    def run(self, frame: bytes, in_port: int) -> Outcome:
        """Say what a packet leads to; select groups choose their first bucket."""
        return self._run(frame, in_port, _Choices([]))

    def outcomes(self, frame: bytes, in_port: int, limit: int = 256) -> list[Outcome]:
        """Say all that a packet may lead to: one outcome for each way that select groups choose."""
        script: list[int] | None = []
        found: list[Outcome] = []
        while script is not None and len(found) < limit:
            choices = _Choices(script)
            found.append(self._run(frame, in_port, choices))
            script = choices.next_script()
        return found

    def packet_out(self, frame: bytes, in_port: int, actions: Iterable[Action]) -> Outcome:
        """Say what a packet-out with an action list leads to."""
        walk = _Walk(self, frame, in_port, Outcome(), _Choices([]))
        walk.guarded(partial(walk.list_and_set, actions))
        return walk.outcome

    def _run(self, frame: bytes, in_port: int, choices: _Choices) -> Outcome:
        walk = _Walk(self, frame, in_port, Outcome(), choices)
        walk.guarded(walk.tables)
        return walk.outcome


class _Walk:
    """One copy of a packet on its way."""

    def __init__(
        self, pipeline: Pipeline, frame: bytes, in_port: int, outcome: Outcome, choices: _Choices
    ) -> None:
        self.pipeline, self.outcome, self.choices = pipeline, outcome, choices
        self.frame, self.in_port = frame, in_port
        self.metadata = 0
        self.own = dict.fromkeys(OWN_FIELDS, 0)
        self.action_set: dict[tuple[int, int], Action] = {}
        self.table_id: int | None = 0
        self.entry: Entry | None = None  # The last one matched.

    def guarded(self, step: Callable[[], None]) -> None:
        """Take a step; a packet whose TTL runs out on it stops there and is reported."""
        try:
            step()
        except InvalidTtl:
            self._packet_in(INVALID_TTL, 0)

    # The tables.

    def tables(self) -> None:
        """Go through the tables, then carry out the action set."""
        if self._lookups():  # A miss without a table-miss entry drops (5.4), action set and all.
            self.carry_out(self.action_set.values())

    def list_and_set(self, actions: Iterable[Action]) -> None:
        """Carry out an action list, then what resubmits in it have written."""
        self.apply(actions)
        self.carry_out(self.action_set.values())

    def _key(self) -> Key:
        return Key(self.frame, self.in_port, self.metadata, self.own)

    def _lookups(self) -> bool:
        """Go through the tables; tell if every one had an entry."""
        while self.table_id is not None:
            key = self._key()
            entry = lookup(self.pipeline.tables.get(self.table_id, ()), key)
            self.outcome.visits.append(Visit(self.table_id, key, entry))
            if entry is None:
                return False
            self._follow(entry)
        return True

    def _resubmit(self, table_id: int) -> None:
        """Go through other tables and come back, to what was changed there."""
        saved = self.table_id, self.entry
        self.table_id = table_id
        self._lookups()
        self.table_id, self.entry = saved

    def _follow(self, entry: Entry) -> None:
        self.entry = entry
        self.table_id = None
        order = INSTRUCTION_ORDER.index
        for instruction in sorted(entry.instructions, key=lambda each: order(type(each))):
            match instruction:
                case Apply(actions):
                    self.apply(actions)
                case Clear():
                    self.action_set = {}
                case Write(actions):
                    self.action_set.update((slot_of(action), action) for action in actions)
                case WriteMetadata(value, mask):
                    self.metadata = self.metadata & ~mask & METADATA_BITS | value & mask
                case Goto(table_id):
                    self.table_id = table_id

    # The actions.

    def carry_out(self, actions: Iterable[Action]) -> None:
        """Carry out an action set: in the order of 5.10, and a group makes outputs void."""
        ordered = sorted(actions, key=slot_of)
        if any(isinstance(action, Group) for action in ordered):
            ordered = [action for action in ordered if not isinstance(action, Output)]
        self.apply(ordered)

    def apply(self, actions: Iterable[Action]) -> None:
        """Carry out an action list."""
        for action in actions:
            match action:
                case Output():
                    self._output(action)
                case Group(group_id):
                    self._group(self.pipeline.groups[group_id])
                case Resubmit(table_id):
                    self._resubmit(table_id)
                case RegLoad(name, at, bits, value):
                    self._load(name, at, bits, value)
                case RegMove(source, source_at, name, at, bits):
                    self._load(name, at, bits, self._key()[source] >> source_at)
                case SetField(name, value) if name in OWN_FIELDS:
                    self.own[name] = value
                case SetQueue():
                    pass
                case _:
                    self.frame = HEADER_ACTIONS[type(action)](self.frame, action)

    def _load(self, name: str, at: int, bits: int, value: int) -> None:
        mask = ((1 << bits) - 1) << at
        new = self._key()[name] & ~mask | value << at & mask
        self.apply([SetField(name, new)])

    def _output(self, action: Output) -> None:
        others = [port for port in self.pipeline.ports if port != self.in_port]
        match action.port:
            case port if port == CONTROLLER:
                miss = self.entry is not None and self.entry.table_miss
                self._packet_in(NO_MATCH if miss else ACTION, action.max_len)
            case port if port == TABLE:
                self._copy().tables()
            case port if port in (ALL, FLOOD):
                self._send(others)
            case port if port == IN_PORT:
                self._send([self.in_port])
            case port:
                self._send([port] if port in others else [])

    def _send(self, ports: Iterable[int]) -> None:
        self.outcome.outputs += [(port, self.frame) for port in ports]

    def _packet_in(self, reason: int, max_len: int) -> None:
        table_id, cookie = (
            (self.entry.table_id, self.entry.cookie) if self.entry else (0, NO_COOKIE)
        )
        context = (self.in_port, self.metadata, self.own["tunnel_id"])
        message = PacketIn(reason, table_id, cookie, *context, self.frame, max_len)
        self.outcome.packet_ins.append(message)

    def _copy(self) -> "_Walk":
        walk = _Walk(self.pipeline, self.frame, self.in_port, self.outcome, self.choices)
        walk.metadata, walk.own, walk.entry = self.metadata, dict(self.own), self.entry
        return walk

    def _group(self, group: GroupEntry) -> None:
        pipeline = self.pipeline
        numbers = chosen(group, pipeline.groups, pipeline.ports, self.choices.pick)
        for number in numbers:
            self.outcome.buckets.append((group.group_id, number))
            walk = self._copy()
            walk.guarded(partial(walk.carry_out, group.buckets[number].actions))
