"""Every fault at every participant, of both kinds, in real processes, made by a relay."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import zmq
from faults.house import BRIDGE, PARTICIPANTS, House, Open, opened
from faults.relay import Fate, Passing, Rule

from raicho.control.message import Alert, CallError, Code, CommitSession, Edit, Failure, Set

OLD, NEW = "00000000000000a1", "00000000000000a2"
LEAF = "datapath-id"  # every participant sees it
REFUSAL = Failure(Code.REFUSED, "a test says no")
SYNC, UNDO = "sync-", "-undo"

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


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, House]]:
    kinds = ("soft", "reinit")
    houses = {kind: House(tmp_path_factory.mktemp("house"), kind) for kind in kinds}
    yield houses
    for house in houses.values():
        house.end()


@pytest.fixture(params=["soft", "reinit"])
def house(request: pytest.FixtureRequest, houses: dict[str, House]) -> House:
    """Give the house whose participants come back in this way; it lasts for the module."""
    return houses[request.param]


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
            alerts = [event.body for event in o.events if event.topic == f"alert.{victim}"]
            way = {"soft": "went back to", "reinit": "is started again with"}[house.rollback]
            assert any(isinstance(a, Alert) and way in a.cause for a in alerts)


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
        o.relays["openflow"].rule = rule("Commit", "refused", lambda: None)
        o.relays[victim].rule = going_back(rule(asked, fault, lambda: house.kill(victim)))
        began = time.monotonic()
        failure = await tried(o, NEW)
        after = await o.settled()
        print(f"{asked} {fault}: equal after {time.monotonic() - began:.1f} s: {failure}")
        assert failure and failure.participant == "openflow"
        assert after == before


def going_back(judge: Rule) -> Rule:
    """Let a rule judge only what is said on the way back."""

    def only(passing: Passing) -> Fate:
        is_back = passing.txid.endswith(UNDO) or passing.asked == "Restart"
        return judge(passing) if is_back else 1

    return only


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
