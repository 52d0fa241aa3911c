"""The two-phase commit against participants and coordinators that fail at every step."""

from collections import deque
from itertools import permutations

import pytest

from raicho.control.datastore.coordinator import (
    Action,
    Asked,
    Finish,
    Log,
    Logged,
    Part,
    Phase,
    Send,
    Side,
    Timeouts,
    Transaction,
    recovered,
)
from raicho.control.message.failure import Code, Failure
from raicho.control.message.types import Commit, Prepare, Restart

OLD, NEW = {"side": "old"}, {"side": "new"}
NAMES = ("dataplane", "openflow", "bus")
SILENT = "silent"
REFUSAL = Failure(Code.INVALID, "no such device", "/raicho/port[name='p']/device")

# What may go wrong at one participant: at which request, what it does, what it says.
# "ack lost" does the work and says nothing; a dead one has forgotten everything.
FAULTS = [
    None,
    ("Prepare", "refuse"),
    ("Prepare", "silent"),
    ("Prepare", "ack lost"),
    ("Prepare", "die before"),
    ("Prepare", "die after"),
    ("Commit", "refuse"),
    ("Commit", "silent"),
    ("Commit", "ack lost"),
    ("Commit", "die before"),
    ("Commit", "die after"),
]
UNDO_FAULTS = [
    None,
    ("Prepare", "refuse"),
    ("Prepare", "silent"),
    ("Commit", "refuse"),
    ("Restart", "refuse"),
    ("Restart", "silent"),
]
KINDS = [(), ("faulty",), ("faulty", "others")]  # which of them declare "reinit"


class Participant:
    """The simplest two-sided participant there is, with one fault for each transaction."""

    def __init__(
        self, fault: tuple[str, str] | None = None, undo_fault: tuple[str, str] | None = None
    ) -> None:
        self.held: object = OLD
        self.pending: tuple[str, object] | None = None
        self.alive = True
        self.seen: list[str] = []
        self._faults = {"tx": fault, "tx-undo": undo_fault, "1": undo_fault}

    def handle(self, request: Asked) -> Failure | str | None:
        if not self.alive:
            return SILENT
        kind = type(request).__name__
        about = request.instance if isinstance(request, Restart) else request.txid
        self.seen.append(f"{kind} {about}")
        fault = self._faults.get(about)
        how = fault[1] if fault and fault[0] == kind else ""
        if how in ("refuse", "silent", "die before"):
            self.alive = how != "die before"
            return REFUSAL if how == "refuse" else SILENT
        failure = self.carry_out(request)
        if how == "die after":
            self.alive = False
        return failure if how in ("", "die after") else SILENT

    def carry_out(self, request: Asked) -> Failure | None:
        if isinstance(request, Restart):
            self.held = self.pending = None
        elif isinstance(request, Prepare):
            self.pending = request.txid, request.config
        elif self.pending and self.pending[0] == request.txid:
            if isinstance(request, Commit):
                self.held = self.pending[1]
            self.pending = None
        elif isinstance(request, Commit):
            return Failure(Code.NOT_FOUND, "not prepared")
        return None

    def restart(self) -> None:
        if not self.alive:
            self.alive, self.held, self.pending = True, None, None
        self._faults = {}


class World:
    """Participants, a log on disk, and a coordinator that may crash before any action."""

    def __init__(self, participants: dict[str, Participant]) -> None:
        self.participants = participants
        self.log: list[Logged] = []

    def run(self, transaction: Transaction, crash_at: int | None = None) -> Finish | None:
        """Return how it ended; None is a crash of the coordinator."""
        now, step = 0.0, 0
        answers: deque[tuple[str, Asked, Failure | None]] = deque()
        actions = deque(transaction.start(now))
        while True:
            while actions:
                if step == crash_at:
                    return None
                step += 1
                action = actions.popleft()
                if isinstance(action, Finish):
                    assert transaction.deadline is None
                    return action
                self._carry_out(action, answers)
            if answers:
                actions.extend(transaction.answered(*answers.popleft(), now))
            else:
                assert transaction.deadline is not None
                now = max(now, transaction.deadline)
                actions.extend(transaction.tick(now))
            assert now <= 5, "a client must hear within five seconds"

    def _carry_out(
        self,
        action: Action,
        answers: deque[tuple[str, Asked, Failure | None]],
    ) -> None:
        if isinstance(action, Log):
            self.log.append(action.state)
        elif isinstance(action, Send):
            answer = self.participants[action.participant].handle(action.request)
            if not isinstance(answer, str):
                answers.append((action.participant, action.request, answer))

    def restart(self) -> object:
        """Start everybody again; return the side that the log says, as the service does."""
        side = NEW if self.log and recovered(self.log[-1]) else OLD
        for participant in self.participants.values():
            participant.restart()
            self.synchronise(participant, side)
        return side

    def synchronise(self, participant: Participant, side: object) -> None:
        assert isinstance(side, dict)
        assert participant.handle(Prepare("sync-1", 1, [], side)) is None
        assert participant.handle(Commit("sync-1")) is None


def transaction(
    dry_run: bool = False, names: tuple[str, ...] = NAMES, reinit: tuple[str, ...] = ()
) -> Transaction:
    soft = Part(Side(2, [], NEW), Side(1, [], OLD), "1")
    parts = {name: Part(soft.forth, None, "1") if name in reinit else soft for name in names}
    return Transaction("tx", parts, Timeouts(), dry_run)


def world(**faulty: Participant) -> World:
    return World({name: faulty.get(name) or Participant() for name in NAMES})


def sides(world: World) -> list[object]:
    return [participant.held for participant in world.participants.values()]


@pytest.mark.parametrize("kinds", KINDS, ids=str)
@pytest.mark.parametrize("undo_fault", UNDO_FAULTS, ids=str)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_every_fault_at_every_participant_ends_with_all_sides_equal(
    name: str,
    fault: tuple[str, str] | None,
    undo_fault: tuple[str, str] | None,
    kinds: tuple[str, ...],
) -> None:
    """T4, F14, F15, F16, C5: and the client hears which side it is."""
    faulty = Participant(fault, undo_fault)
    w = world(**{name: faulty})
    reinit = tuple(n for n in NAMES if ("faulty" if n == name else "others") in kinds)
    finish = w.run(transaction(reinit=reinit))

    assert finish is not None
    ended = OLD if finish.failure else NEW
    assert bool(finish.failure) == (fault not in (None, ("Commit", "die after")))
    if finish.failure:
        assert finish.failure.participant == name
        assert set(finish.diverged) <= {name}
        assert set(finish.restarted) <= {*reinit, name}
        assert not set(finish.returned) & set(reinit)
    for other, participant in w.participants.items():
        if other in finish.restarted:
            assert participant.held is None
        elif participant.alive and other not in finish.diverged:
            assert participant.held == ended
            assert participant.pending is None or participant is faulty
        participant.restart()
        w.synchronise(participant, ended)
    assert sides(w) == [ended] * len(NAMES)


@pytest.mark.parametrize("crash_at", range(24))
@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_coordinator_that_crashes_at_any_step_leaves_a_log_that_decides(
    name: str, fault: tuple[str, str] | None, crash_at: int
) -> None:
    """T4: coordinator crash at each step, together with a fault of each participant."""
    w = world(**{name: Participant(fault)})
    finish = w.run(transaction(), crash_at)
    said_no = finish is not None and finish.failure is not None
    log = list(w.log)
    if finish is not None:  # what the service writes when it is over
        w.log = [Logged.UNDO if said_no else Logged.COMMIT]
    ended = w.restart()

    assert sides(w) == [ended] * len(NAMES)
    assert all(participant.pending is None for participant in w.participants.values())
    if Logged.COMMIT not in log:
        assert ended == OLD, "nobody may be on the new side before the log says so"


@pytest.mark.parametrize("order", list(permutations(NAMES)))
def test_all_prepare_before_any_commits(order: tuple[str, ...]) -> None:
    """Q11, Q12: seen from the trace of messages."""
    w, trace = world(), list[str]()
    t = transaction()
    actions = deque(t.start(0))
    prepared = list[tuple[str, Asked]]()
    while actions and isinstance(action := actions.popleft(), Log | Send):
        if isinstance(action, Send):
            trace.append(f"{type(action.request).__name__} {action.participant}")
            prepared.append((action.participant, action.request))
    for name in order:
        assert not any(entry.startswith("Commit") for entry in trace)
        request = next(request for who, request in prepared if who == name)
        for action in t.answered(name, request, None, 0):
            if isinstance(action, Send):
                trace.append(f"{type(action.request).__name__} {action.participant}")
    assert trace[-1] == f"Commit {NAMES[0]}"
    assert w.log == []


def test_the_decision_is_written_before_the_first_commit_is_sent() -> None:
    """T4: the log comes first."""
    w = world()
    order = list[str]()
    t = transaction()
    actions = deque(t.start(0))
    while actions:
        action = actions.popleft()
        if isinstance(action, Log):
            order.append(action.state)
        elif isinstance(action, Send):
            order.append(type(action.request).__name__)
            w.participants[action.participant].handle(action.request)
            actions.extend(t.answered(action.participant, action.request, None, 0))
    assert order == ["prepare", *["Prepare"] * 3, "commit", *["Commit"] * 3]


def test_a_dry_run_ends_with_an_abort_and_writes_nothing() -> None:
    """T5: dry-run is prepare and abort."""
    w = world()
    finish = w.run(transaction(dry_run=True))
    assert finish == Finish()
    assert w.log == []
    for participant in w.participants.values():
        assert participant.seen == ["Prepare tx", "Abort tx"]
        assert (participant.held, participant.pending) == (OLD, None)


def test_a_dry_run_tells_who_would_refuse() -> None:
    w = world(openflow=Participant(("Prepare", "refuse")))
    finish = w.run(transaction(dry_run=True))
    assert finish is not None
    assert finish.failure == Failure(REFUSAL.code, REFUSAL.reason, REFUSAL.path, "openflow")


def test_without_participants_there_is_nothing_to_wait_for() -> None:
    assert World({}).run(transaction(names=())) == Finish()


def test_a_refusal_carries_participant_path_and_reason() -> None:
    """F15: the error goes to the caller."""
    w = world(dataplane=Participant(("Prepare", "refuse")))
    finish = w.run(transaction())
    assert finish is not None
    assert finish.failure == Failure(REFUSAL.code, REFUSAL.reason, REFUSAL.path, "dataplane")
    assert all("Abort tx" in p.seen for p in w.participants.values())
    assert Logged.COMMIT not in w.log


def test_those_that_had_committed_go_back_by_a_new_transaction() -> None:
    """F16: softly, and those after the failure are only aborted."""
    w = world(openflow=Participant(("Commit", "refuse")))
    finish = w.run(transaction())
    assert finish is not None
    assert finish.diverged == {}
    undo = ["Prepare tx", "Commit tx", "Prepare tx-undo", "Commit tx-undo"]
    assert w.participants["dataplane"].seen == undo
    assert w.participants["openflow"].seen == undo
    assert w.participants["bus"].seen == ["Prepare tx", "Abort tx"]


def test_who_fails_to_go_back_softly_is_started_again() -> None:
    """F16: with the previous parameters, when it registers."""
    w = world(
        dataplane=Participant(None, ("Prepare", "refuse")),
        openflow=Participant(("Commit", "refuse")),
    )
    finish = w.run(transaction())
    assert finish is not None
    assert (finish.diverged, finish.returned) == ({}, ["openflow"])
    assert finish.restarted == {"dataplane": REFUSAL.reason}
    assert w.participants["openflow"].held == OLD
    assert w.participants["dataplane"].seen[-1] == "Restart 1"


def test_who_declares_that_it_cannot_go_back_is_started_again_at_once() -> None:
    """F16, C5: the others go back softly."""
    w = world(openflow=Participant(("Commit", "refuse")))
    finish = w.run(transaction(reinit=("dataplane",)))
    assert finish is not None
    assert (list(finish.restarted), finish.returned) == (["dataplane"], ["openflow"])
    assert w.participants["dataplane"].seen == ["Prepare tx", "Commit tx", "Restart 1"]


def test_who_registers_anew_while_it_is_told_to_has_started_again() -> None:
    t = transaction(names=("dataplane",), reinit=("dataplane",))
    requests = [a.request for a in t.start(0) if isinstance(a, Send)]
    (_, commit) = t.answered("dataplane", requests[0], None, 0)
    assert isinstance(commit, Send)
    t.answered("dataplane", commit.request, REFUSAL, 0)
    (finish,) = t.lost("dataplane", "it was started again", 0.1)
    assert isinstance(finish, Finish)
    assert (list(finish.restarted), finish.diverged) == (["dataplane"], {})


def test_who_starts_again_in_the_middle_is_not_waited_for() -> None:
    t = transaction()
    t.start(0)
    t.lost("openflow", "it was started again", 0.1)
    assert t.phase is Phase.FINISHED


def test_a_late_answer_is_nothing() -> None:
    """An answer to a request that was given up must not count for a later one."""
    t = transaction(names=("dataplane", "openflow"))
    requests = {a.participant: a.request for a in t.start(0) if isinstance(a, Send)}
    t.answered("dataplane", requests["dataplane"], REFUSAL, 0)
    assert t.answered("openflow", requests["openflow"], None, 0) == []
    assert t.answered("nobody", requests["openflow"], None, 0) == []
