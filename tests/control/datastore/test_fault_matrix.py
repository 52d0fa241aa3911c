"""Every fault at every participant, of both kinds, in real processes."""

import time

import pytest
import zmq
from faults.house import BRIDGE, PARTICIPANTS, House, opened
from faults.matrix import FAULTS, LEAF, NEW, REFUSAL, at_rest, rule, tried, with_leaf

from raicho.control.message import Code, CommitSession, Edit, Set


@pytest.mark.parametrize(("asked", "fault"), FAULTS)
@pytest.mark.parametrize("victim", PARTICIPANTS)
async def test_all_sides_are_equal_after_every_fault(
    house: House, context: zmq.SyncContext, victim: str, asked: str, fault: str
) -> None:
    """T4, F14, F15, F16, C5: hash compare, the client hears the outcome, alerts name the way."""
    async with opened(house, context) as o:
        before = await at_rest(o)
        o.relays[victim].rule = rule(asked, fault, lambda: house.kill(victim))
        began = time.monotonic()
        failure = await tried(o, NEW)
        heard = time.monotonic() - began
        after = await o.settled()
        equal = time.monotonic() - began
        print(f"heard after {heard:.1f} s, all equal after {equal:.1f} s: {failure}")

        assert after == (before if failure else with_leaf(before, NEW))
        wanted = FAULTS[asked, fault]
        assert wanted is None or wanted == bool(failure)
        if wanted and failure:
            assert failure.participant == victim
            assert REFUSAL.reason in failure.reason or failure.code is Code.TIMEOUT
        if asked == "Commit" and wanted:
            way = {"soft": "went back to", "reinit": "is started again with"}[house.rollback]
            await o.alerted(victim, way)


async def test_a_dry_run_leaves_everybody_as_it_was(house: House, context: zmq.SyncContext) -> None:
    """T5: prepare and abort at every participant, and the state is equal."""
    async with opened(house, context) as o:
        before = await at_rest(o)
        for relay in o.relays.values():
            relay.passed.clear()
        await o.client.call(Edit("dry", [Set(f"{BRIDGE}/{LEAF}", f"0x{NEW}")]))
        result = await o.client.call(CommitSession("dry", dry_run=True), 20)
        assert sorted(result.participants) == sorted(PARTICIPANTS)
        assert await o.settled() == before
        for relay in o.relays.values():
            said = [passing.asked for passing in relay.passed if passing.is_request]
            assert said == ["Prepare", "Abort"]
