"""What goes wrong with a transaction, made by a relay, and what must be true before and after."""

from collections.abc import Callable
from typing import Any

import msgspec

from raicho.control.message import CallError, Code, Failure

from .house import Open
from .relay import Fate, Passing, Rule

OLD, NEW = "00000000000000a1", "00000000000000a2"
LEAF = "datapath-id"  # every participant sees it
REFUSAL = Failure(Code.REFUSED, "a test says no")
SYNC = "sync-"

# What goes wrong with the first transaction, and whether it fails by that; after a
# crash that depends on how soon the participant is back.
FAULTS = {
    ("Prepare", "refused"): True,
    ("Prepare", "lost"): True,
    ("Prepare", "answer lost"): True,
    ("Prepare", "crash before"): None,
    ("Prepare", "crash before answer"): None,
    ("Prepare", "crash after answer"): None,
    ("Commit", "refused"): True,
    ("Commit", "lost"): True,
    ("Commit", "answer lost"): True,
    ("Commit", "crash before"): None,
    ("Commit", "crash before answer"): None,
    ("Commit", "crash after answer"): False,
}


def rule(asked: str, fault: str, kill: Callable[[], None]) -> Rule:
    """Return what a relay does to the first transaction that comes by."""
    first = ""
    killed = False

    def judge(passing: Passing) -> Fate:
        nonlocal first, killed
        if passing.asked != asked or passing.txid.startswith(SYNC):
            return 1
        first = first or passing.txid
        if passing.txid != first:
            return 1
        fate: Fate = 1
        match fault, passing.is_request:
            case "refused", True:
                return REFUSAL
            case ("lost", True) | ("answer lost", False):
                return 0
            case ("crash before", True) | ("crash before answer", False) if not killed:
                fate = 0
            case "crash after answer", False if not killed:
                pass
            case _:
                return 1
        killed = True
        kill()
        return fate

    return judge


def with_leaf(held: dict[str, Any], value: str) -> Any:
    """Return what everybody would hold with another value of the leaf."""
    text = msgspec.json.encode(held)
    return msgspec.json.decode(text.replace(OLD.encode(), value.encode()))


async def at_rest(o: Open) -> dict[str, Any]:
    """Return what everybody holds with the old value."""
    await o.settled()
    await o.hearing()
    held = await o.settled()
    if OLD not in str(held["datastore"]):
        await o.set(LEAF, f"0x{OLD}")
        held = await o.settled()
    assert all(OLD in str(part) for part in held.values())
    return held


async def tried(o: Open, value: str) -> Failure | None:
    """Commit, and return how it failed."""
    try:
        await o.set(LEAF, f"0x{value}")
    except CallError as error:
        return error.failure
    return None
