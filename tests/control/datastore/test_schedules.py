"""Two-phase commit under schedules that hypothesis makes up.

The coordinator and the participants' phases are the real ones.  The network here
keeps what the message layer promises: a request is applied once by an instance,
and not after its deadline.  All else may happen: any order, loss of requests and
answers, crashes of anybody at any point, refusals in prepare and in commit.
"""

from collections.abc import Coroutine
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from raicho.control.component.phases import Phases, StartAgain
from raicho.control.datastore.coordinator import (
    Action,
    Asked,
    Finish,
    Log,
    Logged,
    Part,
    Send,
    Side,
    Transaction,
    recovered,
)
from raicho.control.message import (
    CallError,
    Change,
    Code,
    Commit,
    ConfigError,
    Failure,
    Prepare,
    Restart,
)

LONGEST = 5.0  # seconds until a client hears


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a phase waits for something")


class Member:
    """A participant with what the datastore knows of it, and its server's memory."""

    def __init__(self, identity: str, reinit: bool) -> None:
        self.identity, self.reinit = identity, reinit
        self.number = 0
        self.refusals: list[bool] = []  # of the next phases
        self.registered = ""  # the instance that the datastore knows
        self.synchronised = False
        self.start()

    def start(self) -> None:
        """Be a new instance, which holds nothing and has not registered."""
        self.number += 1
        self.held: dict[str, Any] = {}
        self.phases = Phases(self, only_forth=self.reinit)
        self.replies: dict[int, Failure | None] = {}

    @property
    def instance(self) -> str:
        return str(self.number)

    # As a participant that lives on changes.

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        if self.refuses():
            raise ConfigError("/", "a test says no")
        self._changes, self._is_whole = changes, txid.startswith("sync")

    async def commit(self, txid: str) -> None:
        if self.reinit:
            assert not (self._is_whole and self.held), "told everything while it holds something"
        elif self._is_whole:
            self.held = {}
        refuses = self.refuses()
        for change in self._changes:
            self.held[change.path] = change.new
            if refuses:
                raise ConfigError("/", "a test says no, half-way")

    async def abort(self, txid: str) -> None:
        self._changes = []

    def refuses(self) -> bool:
        return bool(self.refusals and self.refusals.pop(0))

    # As a server.

    def answer(self, ident: int, request: Asked) -> Failure | None:
        """Apply a request once; a repetition gets the same answer."""
        if ident not in self.replies:
            self.replies[ident] = self._apply(request)
        return self.replies.get(ident)

    def _apply(self, request: Asked) -> Failure | None:
        try:
            match request:
                case Prepare():
                    run(self.phases.prepare(request))
                case Commit():
                    run(self.phases.commit(request.txid))
                case Restart():
                    if request.instance == self.instance:
                        self.start()
                case _:
                    run(self.phases.abort(request.txid))
        except CallError as error:
            return error.failure
        except StartAgain:
            self.start()
            return Failure(Code.UNAVAILABLE, "it starts again")
        return None


class Sent(msgspec.Struct):
    """A request on its way, or repeated."""

    ident: int
    to: Send
    deadline: float


class Schedules(RuleBasedStateMachine):
    """One datastore and its participants; what is current is a number."""

    @initialize(reinit=st.lists(st.booleans(), min_size=1, max_size=4))
    def begin(self, reinit: list[bool]) -> None:
        self.members = {f"m{n}": Member(f"m{n}", kind) for n, kind in enumerate(reinit)}
        self.current = self.revision = self.count = 0
        self.now = 0.0
        self.log: Logged | None = None
        self.transaction: Transaction | None = None
        self.sent: list[Sent] = []
        self.answers: list[tuple[str, Asked, Failure | None]] = []
        for member in self.members.values():
            self.register(member)

    def idle(self) -> bool:
        return self.transaction is None

    def busy(self) -> bool:
        return self.transaction is not None

    # The datastore.

    @precondition(idle)
    @rule()
    def commit_something(self) -> None:
        """Plan as the store does, and start."""
        if not all(member.registered for member in self.members.values()):
            return  # refused: somebody is away
        self.count += 1
        self.next = self.count
        self.log = None
        self.began = self.now
        self.parts = {name: self.part(member) for name, member in self.members.items()}
        self.transaction = Transaction(f"tx{self.count}", self.parts)
        self.carry_out(self.transaction.start(self.now))

    def part(self, member: Member) -> Part:
        whole = not member.synchronised
        forth = Side(self.revision + 1, changes(self.next, whole), config(self.next), whole)
        back = Side(self.revision, changes(self.current), config(self.current))
        return Part(forth, None if member.reinit else back, member.registered)

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Log(state=state):
                    self.log = state
                case Send(timeout=timeout):
                    self.sent.append(Sent(self.new_ident(), action, self.now + timeout))
                case Finish():
                    self.finish(action)

    def new_ident(self) -> int:
        self.count += 1
        return self.count

    def finish(self, finish: Finish) -> None:
        assert self.now - self.began <= LONGEST
        assert self.transaction is not None
        if finish.failure is None:
            self.current, self.revision = self.next, self.revision + 1
        parts = self.parts
        self.transaction, self.answers = None, []
        for name, member in self.members.items():
            if name in finish.diverged:
                member.synchronised = False
            elif parts[name].instance != member.registered:
                pass  # it came meanwhile
            elif name in finish.restarted:
                member.registered, member.synchronised = "", False
            elif finish.failure is None:
                member.synchronised = True
        self.look()

    def look(self) -> None:
        """What registered meanwhile is synchronised when the transaction is over."""
        for member in self.members.values():
            if member.registered and not member.synchronised:
                self.synchronise(member)

    def synchronise(self, member: Member) -> None:
        request = Prepare("sync", self.revision, changes(self.current, True), config(self.current))
        request = msgspec.structs.replace(request, txid=f"sync{self.new_ident()}")
        member.refusals = []
        before = member.number
        if member.answer(self.new_ident(), request) is None:
            assert member.answer(self.new_ident(), Commit(request.txid)) is None
            member.synchronised = True
        elif member.number != before:
            self.register(member)

    def register(self, member: Member) -> None:
        member.registered, member.synchronised = member.instance, False
        if self.transaction:
            self.carry_out(self.transaction.lost(member.identity, "it was started again", self.now))
        else:
            self.synchronise(member)

    @rule()
    def the_datastore_crashes(self) -> None:
        """Its log decides; everybody registers again with the next one."""
        if self.transaction and self.log and recovered(self.log):
            self.current, self.revision = self.next, self.revision + 1
        self.transaction, self.answers = None, []
        for member in self.members.values():
            member.registered = ""

    # The network.

    @precondition(busy)
    @rule(data=st.data(), arrives=st.sampled_from(["at once", "later", "never"]))
    def a_request_arrives(self, data: st.DataObject, arrives: str) -> None:
        """Perhaps not for the first time; its answer arrives or does not."""
        self.deliver(data, arrives)

    @precondition(idle)
    @rule(data=st.data())
    def a_request_arrives_too_late(self, data: st.DataObject) -> None:
        """The client may be gone; the request was under way."""
        self.deliver(data, "never")

    def deliver(self, data: st.DataObject, arrives: str) -> None:
        waiting = [sent for sent in self.sent if sent.deadline > self.now]
        if not waiting:
            return
        sent = data.draw(st.sampled_from(waiting[-8:]))
        name, request = sent.to.participant, sent.to.request
        answer = name, request, self.members[name].answer(sent.ident, request)
        if arrives == "at once" and self.transaction:
            self.carry_out(self.transaction.answered(*answer, self.now))
        elif arrives == "later":
            self.answers.append(answer)

    @precondition(busy)
    @rule()
    def the_usual_happens(self) -> None:
        """All requests arrive in their order, and all answers."""
        for sent in list(self.sent):
            if self.transaction and sent.deadline > self.now:
                name, request = sent.to.participant, sent.to.request
                answer = self.members[name].answer(sent.ident, request)
                self.carry_out(self.transaction.answered(name, request, answer, self.now))

    @precondition(lambda self: self.transaction is not None and self.answers)
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        answer = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        assert self.transaction
        self.carry_out(self.transaction.answered(*answer, self.now))

    @rule(seconds=st.sampled_from([0.01, 0.3, 0.6, 1.0]))
    def time_passes(self, seconds: float) -> None:
        """The datastore looks at the clock when somebody's time is over."""
        until = self.now + seconds
        while self.transaction and (deadline := self.transaction.deadline) is not None:
            if deadline > until:
                break
            self.now = max(self.now, deadline)
            self.carry_out(self.transaction.tick(self.now))
        self.now = until

    # The participants.

    @rule(data=st.data(), refusals=st.lists(st.booleans(), min_size=1, max_size=4))
    def a_participant_is_going_to_refuse(self, data: st.DataObject, refusals: list[bool]) -> None:
        self.any_member(data).refusals = refusals

    @rule(data=st.data())
    def a_participant_crashes(self, data: st.DataObject) -> None:
        """The datastore does not know until it registers."""
        self.any_member(data).start()

    @rule(data=st.data())
    def a_participant_registers(self, data: st.DataObject) -> None:
        self.register(self.any_member(data))

    def any_member(self, data: st.DataObject) -> Member:
        return self.members[data.draw(st.sampled_from(sorted(self.members)))]

    # What must be true.

    @invariant()
    def all_that_are_synchronised_hold_what_is_current(self) -> None:
        if self.busy():
            return
        for member in self.members.values():
            if member.synchronised and member.registered == member.instance:
                assert member.held == config(self.current), member.identity

    def teardown(self) -> None:
        """Whatever happened, all sides are equal five seconds later."""
        if not hasattr(self, "members"):
            return
        self.settle()
        for member in self.members.values():
            self.register(member)
            assert member.held == config(self.current), member.identity

    def settle(self) -> None:
        while self.transaction:
            deadline = self.transaction.deadline
            assert deadline is not None
            self.now = max(self.now, deadline)
            self.carry_out(self.transaction.tick(self.now))


def config(value: int) -> dict[str, Any]:
    """Return a configuration of which one place is always the same."""
    return {"/same": 1, "/a": value, "/b": value}


def changes(value: int, whole: bool = False) -> list[Change]:
    """Return what leads to it, from nothing or from another value."""
    return [Change(p, None, v) for p, v in config(value).items() if whole or p != "/same"]


Schedules.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestSchedules = Schedules.TestCase
