"""What a file in the old language consists of, and what comes of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Bad(NamedTuple):
    """What is wrong with a line."""

    line: int
    reason: str


class Place(NamedTuple):
    """An edit, and the line that it comes from."""

    path: str
    value: Any
    line: int


class Flow(NamedTuple):
    """A flow for a bridge, and the line that it comes from."""

    bridge: str
    flow: dict[str, Any]
    line: int


class Said(NamedTuple):
    """A value of an attribute: what was read, the further word, the line."""

    value: Any
    further: Any
    line: int


@dataclass
class Thing:
    """An object of the old language."""

    kind: str
    name: str
    line: int
    enabled: bool = False
    used: bool = False
    said: dict[str, list[Said]] = field(default_factory=dict)  # by leaf

    def get(self, leaf: str) -> Said | None:
        """Return what was said last about a leaf."""
        return self.said[leaf][-1] if self.said.get(leaf) else None

    def all(self, leaf: str) -> list[Said]:
        """Return everything that was said about a leaf."""
        return self.said.get(leaf, [])


@dataclass
class Script:
    """What a file says: edits, then flows; notes about what was left out."""

    things: dict[tuple[str, str], Thing] = field(default_factory=dict)
    edits: list[Place] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    notes: list[Bad] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)

    def of_kind(self, kind: str) -> Iterator[Thing]:
        """Yield the objects of a kind, in the order of the file."""
        return (thing for thing in self.things.values() if thing.kind == kind)

    def line_of(self, path: str) -> int:
        """Return the line that set *path*, or the nearest that it lies in."""
        above = [p for p in self.edits if path == p.path or path.startswith(p.path + "/")]
        return max(above, key=lambda place: len(place.path)).line if above else 1
