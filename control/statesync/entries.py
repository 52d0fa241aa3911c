"""Flows, groups and meters as rows: OpenFlow's bodies of many entries, cut into one row for each.

The dataplane hands them over as it has them, in the fewest steps.  An entry that nothing has
happened to is the same in the next sample, so that a reader of what has changed is not told of it:
how long it has been there, which always differs, becomes the time at which it began.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from ..message.statistics import Sets

FLOW_MATCH = 48  # where it stands in the statistics of a flow
NS = 1_000_000  # nanoseconds of a millisecond


class Layout(NamedTuple):
    """An entry of a multipart reply: where its size and duration are, and what it is known by."""

    size_at: int
    duration_at: int
    key: Callable[[bytes], str]


def _flow(entry: bytes) -> str:
    end = FLOW_MATCH + int.from_bytes(entry[FLOW_MATCH + 2 : FLOW_MATCH + 4], "big")
    priority = int.from_bytes(entry[12:14], "big")
    return f"{entry[2]}/{priority}/{entry[FLOW_MATCH + 4 : end].hex()}"


#: struct ofp_flow_stats, ofp_group_stats, ofp_meter_stats of OpenFlow 1.3.
LAYOUTS = {
    "flow": Layout(0, 4, _flow),
    "group": Layout(0, 32, lambda entry: str(int.from_bytes(entry[4:8], "big"))),
    "meter": Layout(4, 32, lambda entry: str(int.from_bytes(entry[:4], "big"))),
}


class Bodies(msgspec.Struct):
    """What the dataplane says of one bridge, and when, in ms of the monotonic clock."""

    multipart: int
    now: int
    parts: list[bytes]


_bodies = msgspec.msgpack.Decoder(Bodies)


def cut(sets: Sets, clock: Callable[[int], int]) -> Sets:
    """Return sets with a row for each entry; *clock* turns monotonic ms into those of Unix time."""
    return {
        name: dict(_rows(rows, LAYOUTS[name], clock)) if name in LAYOUTS else rows
        for name, rows in sets.items()
    }


def _rows(
    bridges: dict[str, msgspec.Raw], layout: Layout, clock: Callable[[int], int]
) -> Iterator[tuple[str, msgspec.Raw]]:
    encode = msgspec.msgpack.Encoder().encode
    for bridge, told in bridges.items():
        bodies = _bodies.decode(told)
        for part in bodies.parts:
            for entry in _entries(part, layout.size_at):
                row = _row(bridge, bodies, entry, layout.duration_at, clock)
                yield f"{bridge}/{layout.key(entry)}", msgspec.Raw(encode(row))


def _entries(part: bytes, size_at: int) -> Iterator[bytes]:
    at = 0
    while at < len(part):
        size = int.from_bytes(part[at + size_at : at + size_at + 2], "big")
        yield part[at : at + size]
        at += size


def _row(
    bridge: str, bodies: Bodies, entry: bytes, at: int, clock: Callable[[int], int]
) -> dict[str, Any]:
    seconds, ns = int.from_bytes(entry[at : at + 4], "big"), int.from_bytes(entry[at + 4 : at + 8])
    return {
        "bridge": bridge,
        "multipart": bodies.multipart,
        "began": clock(bodies.now - seconds * 1000 - ns // NS),
        "entry": entry[:at] + bytes(8) + entry[at + 8 :],
    }
