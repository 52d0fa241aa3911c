"""The coordinator dies instead of each message of a transaction, forth and back."""

import time

import pytest
import zmq
from faults.house import PARTICIPANTS, House, opened
from faults.matrix import NEW, REFUSAL, SYNC, at_rest, tried, with_leaf
from faults.relay import Fate, Passing


class Crash:
    """A rule for all relays: kill -9 the datastore instead of the message *number*.

    With *refused*, a participant refuses to commit, and messages are counted from there.
    """

    def __init__(self, house: House, number: int, refused: str = "") -> None:
        self.happened = False
        self.passed = 0
        self._house, self._number, self._refused = house, number, refused
        self._refusing = bool(refused)

    def __call__(self, passing: Passing) -> Fate:
        if self.happened or passing.txid.startswith(SYNC):
            return 1
        if self._refusing:
            if (passing.asked, passing.whose) != ("Commit", self._refused):
                return 1
            self._refusing = False
            return REFUSAL
        self.passed += 1
        if self.passed < self._number:
            return 1
        self.happened = True
        self._house.kill("datastore")
        return 0


# Each participant has a prepare and a commit, each with an answer, going back as well.
STEPS = 2 * 2 * len(PARTICIPANTS)


@pytest.mark.parametrize("refused", ["", "openflow"], ids=["forth", "back"])
@pytest.mark.parametrize("number", range(1, STEPS + 1))
async def test_all_sides_are_equal_after_a_crash_of_the_coordinator_at_each_step(
    house: House, context: zmq.SyncContext, number: int, refused: str
) -> None:
    """T4: and the same commit, sent again, tells on which side they are."""
    async with opened(house, context) as o:
        before = await at_rest(o)
        crash = Crash(house, number, refused)
        for relay in o.relays.values():
            relay.rule = crash
        began = time.monotonic()
        failure = await tried(o, NEW)
        after = await o.settled()
        print(
            f"{crash.passed} messages, all equal after {time.monotonic() - began:.1f} s: {failure}"
        )

        assert after == (before if failure else with_leaf(before, NEW))
        assert crash.happened or crash.passed < STEPS
        if refused:
            assert failure
