"""The datastore and participants over real sockets, in one process."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import zmq

from raicho.control.component import Bootstrap, Component
from raicho.control.datastore import Datastore
from raicho.control.datastore.archive import Archive, Record, Stamp
from raicho.control.datastore.coordinator import Timeouts
from raicho.control.datastore.engines.sqlite import SqliteEngine
from raicho.control.datastore.library import shipped_modules
from raicho.control.message import (
    Api,
    CallError,
    Change,
    Code,
    ConfigError,
    ControlClient,
    Failure,
    Ping,
    Restart,
)
from raicho.control.message.datastore import (
    CommitResult,
    CommitSession,
    Config,
    Delete,
    Describe,
    Diff,
    Discard,
    Edit,
    Entry,
    GetConfig,
    GetHistory,
    Heartbeat,
    ListRegistry,
    Lookup,
    Op,
    Register,
    Restore,
    Set,
    Settle,
    Unregister,
    Validate,
)

P1, BR0 = "/raicho/port[name='p1']", "/raicho/bridge[name='br0']"
PORT = [Set(P1, {"kind": "null"})]
PATIENT = Timeouts(prepare=20, abort=20, commit=20, undo=20)  # for a busy machine
QUICK = Timeouts(prepare=0.3, abort=0.2)  # where somebody does not answer
R = TypeVar("R")


class Participant(Component):
    """Takes what it is given, tells what it saw, and fails where a test wants it to."""

    def __init__(self, bootstrap: Bootstrap, subscriptions: list[str], yang: list[str]) -> None:
        super().__init__(bootstrap)
        self.subscriptions, self.yang = subscriptions, yang
        self.seen: list[tuple[Any, ...]] = []
        self.next: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.failing: dict[str, Callable[[], Awaitable[None]]] = {}

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        self.seen.append(("prepare", txid[:5], [change.path for change in changes]))
        await self._fail("prepare")
        self.next = config

    async def commit(self, txid: str) -> None:
        self.seen.append(("commit", txid[:5]))
        await self._fail("commit")
        self.config = self.next

    async def abort(self, txid: str) -> None:
        self.seen.append(("abort", txid[:5]))

    async def _fail(self, where: str) -> None:
        if where in self.failing:
            await self.failing.pop(where)()


async def refuse() -> None:
    raise ConfigError(f"{P1}/device", "no such device")


async def hang() -> None:
    await asyncio.sleep(60)


class House:
    """A run directory with a datastore and whoever joins it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = itertools.count()
        self.endpoint = f"ipc://{folder}/datastore.control"
        self.components: list[Component] = []
        self.client = ControlClient(zmq.Context.instance(), self.endpoint)

    def bootstrap(self, name: str) -> Bootstrap:
        options = {"data": str(self.folder / "config.db")}
        return Bootstrap(self.folder, self.endpoint, name, options=options)

    async def datastore(self, timeouts: Timeouts = PATIENT) -> Datastore:
        store = Datastore(self.bootstrap("datastore"))
        store.timeouts = timeouts
        await self.add(store)
        return store

    async def join(
        self, name: str, subscriptions: list[str], module: str | None = None
    ) -> Participant:
        yang = [text for text in shipped_modules() if text.startswith(f"module {module} ")]
        participant = Participant(self.bootstrap(name), subscriptions, yang)
        await self.add(participant)
        await self.until(lambda: participant.state_of_health == "ready")
        return participant

    async def dataplane(self) -> Participant:
        paths = ["/raicho/port", "/raicho/bridge", "/raicho/worker"]
        return await self.join("dataplane", paths, "raicho-dataplane")

    async def openflow(self) -> Participant:
        return await self.join("openflow", ["/raicho/bridge"], "raicho-openflow")

    async def add(self, component: Component) -> None:
        await component.start()
        self.components.append(component)

    async def kill(self, component: Component) -> None:
        """Stop without a goodbye, as far as that can be had inside a process."""
        component._registration = None
        self.components.remove(component)
        await component.stop()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.01)

    async def until_revision(self, number: int) -> None:
        async with asyncio.timeout(10):
            while (await self.client.call(GetConfig())).revision < number:
                await asyncio.sleep(0.02)

    async def edit(self, *ops: Op, session: str = "s") -> list[Change]:
        return (await self.client.call(Edit(session, list(ops)))).changes

    async def commit(self, *ops: Op, dry_run: bool = False) -> CommitResult:
        session = f"session {next(self.names)}"
        await self.edit(*ops, session=session)
        return await self.client.call(CommitSession(session, dry_run, "a test"), 60)

    async def refused(self, *ops: Op) -> Failure:
        with pytest.raises(CallError) as error:
            await self.commit(*ops)
        return error.value.failure

    async def config(self, path: str = "/", **how: Any) -> Any:
        reply: Config = await self.client.call(GetConfig(path, **how))
        return reply.data

    async def entry(self, name: str) -> Entry:
        components = (await self.client.call(ListRegistry())).components
        return next(entry for entry in components if entry.component == name)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    it = House(folder)
    try:
        yield it
    finally:
        it.client.close()
        for component in reversed(it.components):
            await component.stop()


async def test_a_commit_goes_to_those_that_subscribed_and_to_nobody_else(tmp_path: Path) -> None:
    """Q4, Q7, Q10 to Q15: and current changes when all have committed."""
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane, openflow = await h.dataplane(), await h.openflow()
        result = await h.commit(*PORT, Set(f"{P1}/worker", 3))
        assert (result.revision, result.participants) == (1, ["dataplane"])
        assert await h.config("/raicho/port") == [{"name": "p1", "kind": "null", "worker": 3}]
        txid = result.txid[:5]
        paths = [P1, f"{P1}/kind", f"{P1}/enabled", f"{P1}/worker"]
        assert dataplane.seen[-2:] == [("prepare", txid, paths), ("commit", txid)]
        assert all(seen[1] == "sync-" for seen in openflow.seen)

        port = {"name": "p1", "kind": "null", "enabled": True, "worker": 3}
        assert dataplane.config == {"raicho": {"port": [port]}}


async def test_a_controller_is_the_business_of_the_agent(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        openflow, dataplane = await h.openflow(), await h.dataplane()
        both = await h.commit(Set(BR0))
        assert both.participants == ["dataplane", "openflow"], "in the order of their modules"
        before = list(dataplane.seen)
        one = await h.commit(Set(f"{BR0}/controller[name='c']/address", "192.0.2.1"))
        assert one.participants == ["openflow"]
        assert dataplane.seen == before
        assert openflow.config["raicho"]["bridge"][0]["controller"][0]["port"] == 6653


async def test_a_configuration_can_be_written_before_any_participant_came(tmp_path: Path) -> None:
    """C13: and whoever comes gets it."""
    async with house(tmp_path) as h:
        await h.datastore()
        result = await h.commit(*PORT)
        assert result.participants == []
        dataplane = await h.dataplane()
        assert dataplane.config["raicho"]["port"][0]["name"] == "p1"
        assert [seen[:2] for seen in dataplane.seen] == [("prepare", "sync-"), ("commit", "sync-")]


async def test_a_refusal_in_prepare_changes_nothing_anywhere(tmp_path: Path) -> None:
    """M1, F15: and names participant, path and reason."""
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane, openflow = await h.dataplane(), await h.openflow()
        dataplane.failing["prepare"] = refuse
        failure = await h.refused(*PORT, Set(BR0))
        assert (failure.code, failure.path) == (Code.INVALID, f"{P1}/device")
        assert failure.participant == "dataplane"
        assert "no such device" in failure.reason
        assert await h.config() == {}
        assert openflow.seen[-1][0] == "abort"
        assert (await h.commit(*PORT)).revision == 1


async def test_silence_in_prepare_is_a_refusal(tmp_path: Path) -> None:
    """T4: prepare timeout."""
    async with house(tmp_path) as h:
        await h.datastore(QUICK)
        dataplane = await h.dataplane()
        dataplane.failing["prepare"] = hang
        failure = await h.refused(*PORT)
        assert (failure.code, failure.participant) == (Code.TIMEOUT, "dataplane")
        assert await h.config() == {}


async def test_a_failure_in_commit_brings_the_others_back(tmp_path: Path) -> None:
    """F16, M3: exactly the previous state."""
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane, openflow = await h.dataplane(), await h.openflow()
        await h.commit(Set(f"{BR0}/datapath-id", "0x1"))
        before = await h.config(), dataplane.config, openflow.config
        openflow.failing["commit"] = refuse
        failure = await h.refused(Set(f"{BR0}/datapath-id", "0x2"))
        assert failure.participant == "openflow"
        assert "all are at revision 1" in failure.reason
        assert (await h.config(), dataplane.config, openflow.config) == before
        assert [seen[0] for seen in dataplane.seen[-4:]] == ["prepare", "commit"] * 2
        assert len((await h.client.call(GetHistory())).revisions) == 1


async def test_who_fails_to_go_back_softly_is_started_again(tmp_path: Path) -> None:
    """F16: and gets the previous configuration when it registers."""
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane, openflow = await h.dataplane(), await h.openflow()
        await h.commit(*PORT)
        before = dataplane.config
        openflow.failing["commit"] = refuse

        async def then_no_way_back() -> None:
            dataplane.failing["prepare"] = refuse

        dataplane.failing["commit"] = then_no_way_back
        failure = await h.refused(Set(BR0))
        assert "dataplane is started again with revision 1 (no such device)" in failure.reason
        entry = await h.entry("dataplane")
        assert not entry.synchronised and not entry.alive
        await dataplane.stopping.wait()
        await h.kill(dataplane)
        dataplane = await h.dataplane()
        assert dataplane.config == before
        assert (await h.entry("dataplane")).synchronised
        assert (await h.commit(Set(BR0))).participants == ["dataplane", "openflow"]


async def test_who_does_not_go_back_at_all_is_brought_back_later(tmp_path: Path) -> None:
    """F16: what was diverged is seen, and mended."""
    async with house(tmp_path) as h:
        await h.datastore(QUICK)
        dataplane, openflow = await h.dataplane(), await h.openflow()
        del dataplane.answers[Restart]
        openflow.failing["commit"] = refuse

        async def then_no_way_back() -> None:
            dataplane.failing["prepare"] = refuse

        dataplane.failing["commit"] = then_no_way_back
        failure = await h.refused(Set(BR0))
        assert "dataplane did not go back (dataplane does not answer Restart)" in failure.reason
        entry = await h.entry("dataplane")
        assert not entry.synchronised and "does not answer" in entry.trouble
        await h.until(lambda: dataplane.config == {})
        assert dataplane.seen[-1][1] == "sync-"


async def test_a_dry_run_has_no_effect(tmp_path: Path) -> None:
    """T5, M4: prepare and abort, and the session is still there."""
    async with house(tmp_path) as h:
        store = await h.datastore()
        dataplane = await h.dataplane()
        await h.edit(*PORT)
        result = await h.client.call(CommitSession("s", dry_run=True))
        assert (result.revision, result.participants) == (0, ["dataplane"])
        assert await h.config() == {}
        assert [seen[0] for seen in dataplane.seen[-2:]] == ["prepare", "abort"]
        assert store.store.archive.cells == {}
        assert (await h.client.call(CommitSession("s"))).revision == 1


async def test_a_dead_participant_keeps_its_paths_as_they_are(tmp_path: Path) -> None:
    """Section 2: while a component is dead its configuration cannot change."""
    async with house(tmp_path) as h:
        await h.datastore(QUICK)
        dataplane = await h.dataplane()
        await h.commit(Set(BR0))
        await h.kill(dataplane)
        failure = await h.refused(*PORT)
        assert failure.participant == "dataplane"
        assert failure.code is Code.TIMEOUT  # its time to live has not passed
        assert (await h.commit(Set(f"{BR0}/controller[name='c']/address", "::1"))).revision == 2

    async with house(tmp_path) as h:
        await h.datastore()
        failure = await h.refused(*PORT)
        assert (failure.code, failure.participant) == (Code.UNAVAILABLE, "dataplane")
        assert "away" in failure.reason
        dataplane = await h.dataplane()
        assert (await h.commit(*PORT)).participants == ["dataplane"]


async def test_who_left_in_good_order_is_not_missed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane = await h.dataplane()
        h.components.remove(dataplane)
        await dataplane.stop()
        assert (await h.commit(*PORT)).participants == []


async def test_one_that_never_comes_back_can_be_forgotten(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.kill(await h.dataplane())
    async with house(tmp_path) as h:
        await h.datastore()
        await h.client.call(Unregister("dataplane", ""))
        assert (await h.commit(*PORT)).participants == []


async def test_a_participant_that_refuses_what_is_current_is_named_and_can_be_helped(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.commit(*PORT, Set(f"{P1}/mtu", 1500))
        dataplane = Participant(h.bootstrap("dataplane"), ["/raicho/port"], [])
        dataplane.failing["prepare"] = refuse
        await h.add(dataplane)
        await h.until(lambda: dataplane.state_of_health == "ready")
        entry = await h.entry("dataplane")
        assert not entry.synchronised and "no such device" in entry.trouble

        await h.commit(Set(f"{P1}/mtu", 1400))
        kinds = [seen for seen in dataplane.seen if not seen[1].startswith("sync")]
        assert f"{P1}/kind" in kinds[0][2], "one that holds nothing is told everything"
        assert (await h.entry("dataplane")).synchronised


async def test_two_sessions_that_edit_the_same_leaf_conflict(tmp_path: Path) -> None:
    """D9: and current never shows what is not committed."""
    async with house(tmp_path) as h:
        await h.datastore()
        await h.commit(*PORT)
        await h.edit(Set(f"{P1}/mtu", 1000), session="a")
        await h.edit(Set(f"{P1}/mtu", 2000), session="b")
        await h.edit(Set(f"{BR0}"), session="c")
        assert await h.config(f"{P1}/mtu") is None
        assert await h.config(f"{P1}/mtu", side="next", session="b") == 2000
        assert await h.config(f"{P1}/worker", defaults=True) == 0
        assert (await h.client.call(Diff("a"))).changes == [Change(f"{P1}/mtu", None, 1000)]

        await h.client.call(CommitSession("b"))
        with pytest.raises(CallError) as error:
            await h.client.call(CommitSession("a"))
        assert (error.value.failure.code, error.value.failure.path) == (
            Code.CONFLICT,
            f"{P1}/mtu",
        )
        await h.client.call(Discard("a"))
        await h.client.call(CommitSession("c"))
        assert await h.config(f"{P1}/mtu") == 2000
        assert await h.config(BR0) == {"name": "br0"}


WRONG = [
    ([Set("/raicho/brige[name='x']")], Code.NOT_FOUND, "did you mean bridge?"),
    ([Set(f"{P1}/mtu", 1)], Code.INVALID, "68..65535"),
    ([Delete(P1)], Code.NOT_FOUND, "nothing to delete"),
    ([Set(f"{BR0}/port[name='p9']/number", 1)], Code.INVALID, "'p9' does not exist"),
    ([Set(P1)], Code.INVALID, "kind must be set"),
]


@pytest.mark.parametrize(("ops", "code", "reason"), WRONG)
async def test_the_schema_refuses_before_anybody_is_asked(
    tmp_path: Path, ops: list[Any], code: Code, reason: str
) -> None:
    """D4, M22: each error has its own code."""
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane = await h.dataplane()
        before = list(dataplane.seen)
        failure = await h.refused(*ops)
        assert failure.code is code
        assert reason in str(failure)
        assert failure.path is not None
        assert dataplane.seen == before


async def test_validate_tells_all_faults(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.edit(Set(P1), Set(f"{BR0}/port[name='p2']/number", 1))
        faults = (await h.client.call(Validate("s"))).faults
        assert [fault.rule for fault in faults] == ["mandatory", "leafref"]
        with pytest.raises(CallError) as error:
            await h.client.call(CommitSession("s"))
        assert all(fault.reason in error.value.failure.reason for fault in faults)


async def test_apis_are_found_while_their_owner_lives(tmp_path: Path) -> None:
    """Q3, Q5, Q9, T8: lookup by name, gone when the time to live has passed."""
    async with house(tmp_path) as h:
        await h.datastore()
        apis = [Api("toy.bulk", "ipc:///toy", "2")]
        lease = (await h.client.call(Register("toy", "1", [], apis, ttl=2.0))).lease
        found = await h.client.call(Lookup("toy.bulk"))
        assert (found.endpoint, found.version, found.component) == ("ipc:///toy", "2", "toy")
        assert (await h.client.call(Lookup("datastore.control"))).endpoint == h.endpoint
        with pytest.raises(CallError, match="in version 2, not 1"):
            await h.client.call(Lookup("toy.bulk", "1"))
        with pytest.raises(CallError, match=r"no API 'toy\.bulk'"):
            async with asyncio.timeout(10):
                while True:
                    await h.client.call(Lookup("toy.bulk"))
                    await asyncio.sleep(0.1)
        with pytest.raises(CallError) as error:
            await h.client.call(Heartbeat("toy", lease))
        assert error.value.failure.code is Code.NOT_FOUND


TOY = """module toy { yang-version 1.1; namespace "urn:toy"; prefix t;
  import raicho { prefix r; } revision 2026-01-01;
  augment "/r:raicho" { container toy { leaf speed { type uint8; } } } }"""


async def test_a_client_registers_a_schema_of_its_own(tmp_path: Path) -> None:
    """Q2, Q6, K5: its subscription is listed, its configuration outlives the datastore."""
    async with house(tmp_path) as h:
        await h.datastore()
        registered = await h.client.call(Register("toy", "1", [TOY], [], ["/raicho/toy"]))
        assert registered.modules == {"toy": "accepted"}
        assert (await h.entry("toy")).subscriptions == ["/raicho/toy"]
        await h.commit(Set("/raicho/toy/speed", 7))
        other = TOY.replace("uint8", "string").replace("module toy", "module toy2")
        for text in (TOY.replace("uint8", "uint16"), other.replace("urn:toy", "urn:toy2")):
            with pytest.raises(CallError) as error:
                await h.client.call(Register("other", "1", [text]))
            assert error.value.failure.code is Code.CONFLICT
            assert error.value.failure.path in ("/raicho/toy", "/raicho/toy/speed")
    async with house(tmp_path) as h:
        await h.datastore()
        assert await h.config("/raicho/toy/speed") == 7
        described = (await h.client.call(Describe("/raicho/toy/speed"))).node
        assert described["type"]["base"] == "uint8"


async def test_a_subscription_to_nowhere_is_refused_and_nobody_registered(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        with pytest.raises(CallError, match="did you mean port"):
            await h.client.call(Register("toy", "1", [TOY], [], ["/raicho/prot"]))
        names = {e.component for e in (await h.client.call(ListRegistry())).components}
        assert names == {"datastore"}
        with pytest.raises(CallError):
            await h.client.call(Describe("/raicho/toy"))


@pytest.mark.parametrize(("state", "kept"), [("prepare", False), ("commit", True), ("undo", False)])
async def test_what_a_crash_left_is_finished_at_the_next_start(
    tmp_path: Path, state: str, kept: bool
) -> None:
    """T4: the log decides, and participants hear the outcome when they come."""
    engine = SqliteEngine(tmp_path / "config.db")
    changes = [Change(P1, None, {"name": "p1"}), Change(f"{P1}/kind", None, "null")]
    Archive(engine).log(state, Record(Stamp("tx", "me", 0.0), changes, ["dataplane"]))
    engine.close()
    async with house(tmp_path) as h:
        store = await h.datastore()
        assert (await h.config(P1) is not None) == kept
        assert store.store.archive.unresolved() == []
        dataplane = await h.dataplane()
        assert bool(dataplane.config) == kept


async def test_history_tells_who_and_why(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.commit(*PORT)
        await h.commit(Delete(P1))
        newest, oldest = (await h.client.call(GetHistory())).revisions
        assert (newest.number, oldest.number) == (2, 1)
        assert newest.comment == "a test"
        assert Change(f"{P1}/kind", "null", None) in newest.changes


async def test_a_session_that_changes_nothing_makes_no_revision(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.commit(*PORT)
        assert (await h.commit(*PORT)).revision == 1
        with pytest.raises(CallError, match="no session"):
            await h.client.call(CommitSession("unknown"))


async def test_the_datastore_answers_what_every_component_does(tmp_path: Path) -> None:
    """C1."""
    async with house(tmp_path) as h:
        store = await h.datastore()
        assert (await h.client.call(Ping())).instance == store.instance
        assert any("raicho-openflow" in text for text in store.yang)


async def test_a_commit_that_nobody_confirms_is_undone_everywhere(tmp_path: Path) -> None:
    """D2: and history tells what happened."""
    async with house(tmp_path) as h:
        await h.datastore()
        dataplane = await h.dataplane()
        await h.commit(*PORT)
        before = await h.config()
        await h.edit(Set(f"{P1}/mtu", 1400))
        result = await h.client.call(CommitSession("s", who="ann", confirm=1.5))
        assert result.confirm_by is not None
        assert await h.config(f"{P1}/mtu") == 1400
        await h.until(lambda: dataplane.seen.count(("commit", result.txid[:5])) == 1)
        await h.until_revision(3)
        assert await h.config() == before
        assert "mtu" not in dataplane.config["raicho"]["port"][0]
        undone, done, _ = (await h.client.call(GetHistory())).revisions
        assert (done.who, done.confirm_by) == ("ann", result.confirm_by)
        assert (undone.who, undone.confirm_by) == ("datastore", None)
        assert "revision 2 was not confirmed in time" in undone.comment
        assert undone.changes == [Change(f"{P1}/mtu", 1400, None)]


async def test_a_commit_that_is_confirmed_stays(tmp_path: Path) -> None:
    """D2: until it is, nobody else commits."""
    async with house(tmp_path) as h:
        await h.datastore()
        await h.edit(*PORT)
        await h.client.call(CommitSession("s", confirm=60))
        failure = await h.refused(Set(f"{P1}/mtu", 1400))
        assert failure.code is Code.CONFLICT
        assert "revision 1 waits to be confirmed" in failure.reason
        kept = await h.client.call(Settle(who="ann"))
        assert (kept.revision, kept.changes, kept.confirm_by) == (2, [], None)
        assert (await h.commit(Set(f"{P1}/mtu", 1400))).revision == 3
        with pytest.raises(CallError, match="no commit waits"):
            await h.client.call(Settle())


async def test_a_commit_that_waits_can_be_taken_back_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.edit(*PORT)
        await h.client.call(CommitSession("s", confirm=60))
        await h.client.call(Settle(keep=False, who="ann"))
        assert await h.config() == {}
        assert (await h.commit(*PORT)).revision == 3


async def test_the_wait_for_a_confirmation_outlives_the_datastore(tmp_path: Path) -> None:
    """D2: the deadline is on disk; who is away then is not waited for."""
    async with house(tmp_path) as h:
        store = await h.datastore()
        dataplane = await h.dataplane()
        await h.edit(*PORT)
        await h.client.call(CommitSession("s", confirm=0.2))
        await h.kill(dataplane)
        await h.kill(store)
        await asyncio.sleep(0.2)
        store = await h.datastore()
        await h.until(lambda: store.store.revision == 2)
        assert await h.config() == {}
        assert (await h.dataplane()).config == {}


async def test_a_wait_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.edit(*PORT)
        for seconds in (-1.0, float("inf"), float("nan")):
            with pytest.raises(CallError, match="to confirm"):
                await h.client.call(CommitSession("s", confirm=seconds))
        assert await h.config() == {}


async def test_every_revision_can_be_restored(tmp_path: Path) -> None:
    """D2: as a session, so that it can be looked at before it is committed."""
    async with house(tmp_path) as h:
        await h.datastore()
        states = [await h.config()]
        for ops in (
            [Set(BR0), *PORT],
            [Set(f"{BR0}/port[name='p1']/number", 7), Set(f"{P1}/queue[id='1']/min-rate", 9)],
            [Delete(f"{BR0}/port[name='p1']"), Delete(P1)],
            [Delete("/"), Set(f"{BR0}/openflow-version", ["1.3"])],
        ):
            await h.commit(*ops)
            states.append(await h.config())
        for number, state in enumerate(states):
            await h.client.call(Restore("r", number))
            assert await h.config(side="next", session="r") == state
        await h.client.call(Restore("r", 2))
        await h.client.call(CommitSession("r"))
        assert await h.config() == states[2]
        for number in (-1, 99):
            with pytest.raises(CallError, match="there are 0 to 5"):
                await h.client.call(Restore("r", number))


async def test_a_commit_that_is_sent_again_after_a_restart_is_answered_once_more(
    tmp_path: Path,
) -> None:
    """T2: applied once, though the client did not hear of it."""
    commit = CommitSession("s", comment="once", txid="f00d")
    async with house(tmp_path) as h:
        await h.datastore()
        await h.edit(*PORT)
        first = await h.client.call(commit)
        assert first.txid == "f00d"
    async with house(tmp_path) as h:
        await h.datastore()
        again = await h.client.call(commit)
        assert (again.revision, again.changes) == (first.revision, first.changes)
        assert len((await h.client.call(GetHistory())).revisions) == 1
        with pytest.raises(CallError, match="no session"):
            await h.client.call(CommitSession("s", txid="beef"))


@pytest.mark.parametrize("txid", ["", "sync-1", "x-undo", "x" * 65])
async def test_a_txid_that_means_something_to_participants_is_refused(
    tmp_path: Path, txid: str
) -> None:
    async with house(tmp_path) as h:
        await h.datastore()
        await h.edit(*PORT)
        with pytest.raises(CallError, match="1 to 64 letters and digits"):
            await h.client.call(CommitSession("s", txid=txid))
