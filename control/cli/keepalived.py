"""What keepalived writes into its notify FIFO, line by line.  No I/O.

    INSTANCE "NAME" STATE PRIORITY
    GROUP "NAME" STATE PRIORITY

Reference: keepalived.conf(5), vrrp_notify_fifo
"""

import re
from typing import Any

import msgspec

from ..message.vrrp import VrrpMoved

LINE = re.compile(r'(INSTANCE|GROUP) "([^"]+)" (\S+) (\d+)')
INIT, DELETED = "INIT", "DELETED"
#: What the words mean; the last three say that something else than the state is news.
STATES = {name: name for name in ("MASTER", "BACKUP", "FAULT", "STOP", DELETED)} | {
    "MASTER_RX_LOWER_PRI": "MASTER",
    "MASTER_PRIORITY": "MASTER",
    "BACKUP_PRIORITY": "BACKUP",
}
KINDS = ("instance", "group")


class NotUnderstood(ValueError):
    """A line that is none of these."""


class States:
    """The state and priority of each instance and group, since keepalived was started."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, int]] = {}
        self._heard: set[tuple[str, str]] = set()

    def hear(self, line: str) -> VrrpMoved | None:
        """Return what a line changes, None for nothing; raise NotUnderstood."""
        found = LINE.fullmatch(line.strip())
        state = STATES.get(found[3]) if found else None
        if found is None or state is None:
            raise NotUnderstood(f"{line.strip()!r} is no line of keepalived's about VRRP")
        key, priority = (found[1].lower(), found[2]), int(found[4])
        self._heard.add(key)
        old = self._known.get(key, (INIT, 0))
        if old == (state, priority):
            return None
        if state == DELETED:
            self._known.pop(key, None)
        else:
            self._known[key] = state, priority
        kind: Any = key[0]
        return VrrpMoved(kind, key[1], old[0], state, priority)

    def recall(self, sets: dict[str, dict[str, msgspec.Raw]]) -> None:
        """Know what `sets` of an earlier one said, unless a line has told anything newer."""
        for kind, rows in sets.items():
            for name in rows.keys() - {heard for of, heard in self._heard if of == kind}:
                known = msgspec.msgpack.decode(rows[name])
                self._known[kind, name] = known["state"], known["priority"]

    def sets(self) -> dict[str, dict[str, msgspec.Raw]]:
        """Return all of it as a sample: rows by kind and name."""
        sets: dict[str, dict[str, msgspec.Raw]] = {kind: {} for kind in KINDS}
        for (kind, name), (state, priority) in self._known.items():
            row = {"name": name, "state": state, "priority": priority}
            sets[kind][name] = msgspec.Raw(msgspec.msgpack.encode(row))
        return sets
