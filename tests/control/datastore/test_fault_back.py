"""Every fault on the way back from a commit that failed."""

import time

import pytest
import zmq
from faults.house import House, opened
from faults.matrix import FAULTS, NEW, at_rest, rule, tried
from faults.relay import Fate, Passing, Rule

from raicho.control.message import Failure

UNDO = "-undo"

# What goes wrong on the way back, of a participant that had committed.
UNDO_FAULTS = [("soft", *fault) for fault in FAULTS] + [
    ("reinit", "Restart", fault) for asked, fault in FAULTS if asked == "Commit"
]


@pytest.mark.parametrize("victim", ["dataplane", pytest.param("holder", marks=pytest.mark.soak)])
@pytest.mark.parametrize(("house", "asked", "fault"), UNDO_FAULTS, indirect=["house"])
async def test_all_sides_are_equal_after_every_fault_on_the_way_back(
    house: House, context: zmq.SyncContext, victim: str, asked: str, fault: str
) -> None:
    """T4, F16: the agent refuses to commit, and then something else goes wrong."""
    async with opened(house, context) as o:
        before = await at_rest(o)
        refusing = Refusing(rule("Commit", "refused", lambda: None))
        o.relays["openflow"].rule = refusing
        o.relays[victim].rule = going_back(rule(asked, fault, lambda: house.kill(victim)), refusing)
        began = time.monotonic()
        failure = await tried(o, NEW)
        after = await o.settled()
        print(f"{asked} {fault}: equal after {time.monotonic() - began:.1f} s: {failure}")
        assert failure and failure.participant == "openflow"
        assert after == before


class Refusing:
    """A rule, and whether it has refused something."""

    def __init__(self, judge: Rule) -> None:
        self._judge = judge
        self.has_refused = False

    def __call__(self, passing: Passing) -> Fate:
        fate = self._judge(passing)
        self.has_refused |= isinstance(fate, Failure)
        return fate


def going_back(judge: Rule, refusing: Refusing) -> Rule:
    """Let a rule judge only what is said on the way back, and nothing late of another one."""

    def only(passing: Passing) -> Fate:
        is_back = passing.txid.endswith(UNDO) or passing.asked == "Restart"
        return judge(passing) if is_back and refusing.has_refused else 1

    return only
