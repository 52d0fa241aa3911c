"""Flow entries, and which of a table's entries a packet belongs to (5.2 to 5.4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .actions import Action
from .fields import Key

Match = Mapping[str, tuple[int, int]]  # Field: (value, mask); all ones where it is exact.


@dataclass(frozen=True)
class Meter:
    """Send the packet through a meter; the oracle knows no time, so it always passes."""

    meter_id: int


@dataclass(frozen=True)
class Apply:
    """Carry out actions now, in their order."""

    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Clear:
    """Empty the action set."""


@dataclass(frozen=True)
class Write:
    """Merge actions into the action set."""

    actions: tuple[Action, ...]


@dataclass(frozen=True)
class WriteMetadata:
    """Replace the bits of the metadata that *mask* names."""

    value: int
    mask: int


@dataclass(frozen=True)
class Goto:
    """Go on in a later table."""

    table_id: int


Instruction = Meter | Apply | Clear | Write | WriteMetadata | Goto


@dataclass(frozen=True)
class Entry:
    """A flow entry."""

    table_id: int
    priority: int
    match: Match = field(default_factory=dict)
    instructions: tuple[Instruction, ...] = ()
    cookie: int = 0

    @property
    def table_miss(self) -> bool:
        """Tell if this is the table-miss entry: it matches all, at priority 0 (5.4)."""
        return self.priority == 0 and not self.match


def matches(match: Match, key: Key) -> bool:
    """Tell if a packet fits *match*."""
    return all((key[name] ^ value) & mask == 0 for name, (value, mask) in match.items())


def lookup(entries: Iterable[Entry], key: Key) -> Entry | None:
    """Return the entry of the highest priority that fits."""
    best = None
    for entry in entries:
        if (best is None or entry.priority > best.priority) and matches(entry.match, key):
            best = entry
    return best


def overlap(one: Match, other: Match) -> bool:
    """Tell if some packet could fit both (OFPFF_CHECK_OVERLAP)."""
    for name in one.keys() & other.keys():
        (value, mask), (other_value, other_mask) = one[name], other[name]
        if (value ^ other_value) & mask & other_mask:
            return False
    return True
