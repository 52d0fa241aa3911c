"""What is told of changes, through a real bus: triggers, and copies that follow."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import zmq

from raicho.control.bus import Bus
from raicho.control.component import Bootstrap, Component
from raicho.control.datastore import Datastore
from raicho.control.message import (
    CallError,
    Change,
    CommitResult,
    CommitSession,
    ControlClient,
    Delete,
    Edit,
    Event,
    Follower,
    GetConfig,
    GetSnapshot,
    Register,
    Request,
    Set,
    SetTriggers,
    Subscriber,
    Trigger,
    Triggered,
    read_snapshot,
)

R = TypeVar("R")
PORT = "/raicho/port[name='{}']"


class Place:
    """A datastore, a bus, and a client with a lease; parts can be taken away and put back."""

    def __init__(self, folder: Path, context: zmq.SyncContext) -> None:
        self.folder, self.context = folder, context
        self.client = ControlClient(context, f"ipc://{folder}/datastore.control")
        self.parts: dict[str, Component] = {}
        self.subscribers: list[Subscriber] = []

    async def start(self, kind: type[Component]) -> None:
        options = {"data": str(self.folder / "config.db")}
        endpoint = f"ipc://{self.folder}/datastore.control"
        self.parts[kind.name] = kind(Bootstrap(self.folder, endpoint, kind.name, options=options))
        await self.parts[kind.name].start()

    async def stop(self, kind: type[Component]) -> None:
        await self.parts.pop(kind.name).stop()

    async def lease(self, name: str = "me", ttl: float = 60.0) -> str:
        return (await self.client.call(Register(name, "1", ttl=ttl))).lease

    async def commit(self, *ops: Set | Delete) -> CommitResult:
        await self.client.call(Edit("s", list(ops)))
        return await self.client.call(CommitSession("s"), 20)

    async def port(self, name: str, **leaves: Any) -> CommitResult:
        return await self.commit(Set(PORT.format(name), {"kind": "null", **leaves}))

    def listen(self, *topics: str) -> list[Event]:
        got: list[Event] = []
        bus = f"ipc://{self.folder}/bus.sub"
        self.subscribers.append(Subscriber(self.context, bus, topics, got.append))
        return got

    def follow(self, path: str, heard: list[tuple[int, list[Change]]]) -> Follower:
        def hear(revision: int, changes: list[Change]) -> None:
            heard.append((revision, changes))

        client, bus = self.client, f"ipc://{self.folder}/bus.sub"
        return Follower(self.context, bus, client, path, hear, look=0.2)

    async def cells(self, path: str) -> dict[str, Any]:
        changes = (await read_snapshot(self.client, path)).changes
        assert changes is not None
        return {change.path: change.new for change in changes}


@asynccontextmanager
async def place(folder: Path, context: zmq.SyncContext) -> AsyncIterator[Place]:
    it = Place(folder, context)
    try:
        await it.start(Bus)
        await it.start(Datastore)
        yield it
    finally:
        for end in (it.client, *it.subscribers):
            end.close()
        for part in reversed(it.parts.values()):
            await part.stop()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def test_triggers_of_all_places_are_told_over_the_bus(
    tmp_path: Path, context: zmq.SyncContext
) -> None:
    """D8: one each, with old and new value and txid; a read too; others hear nothing."""
    async with place(tmp_path, context) as p:
        got = p.listen("trigger.me")
        lease, _ = await p.lease(), await p.lease("other")
        row = PORT.format("p1")
        paths = {"table": "/raicho/port", "row": row, "cell": f"{row}/mtu"}
        triggers = [Trigger(name, path, ["create", "write"]) for name, path in paths.items()]
        triggers.append(Trigger("column", "/raicho/port/mtu", ["delete", "read"]))
        await p.client.call(SetTriggers("me", lease, triggers))
        await settled(p, got)

        made = await p.port("p1", mtu=1500)
        bare = {"name": "p1", "kind": "null"}
        value = bare | {"mtu": 1500}
        wrote = await p.commit(Set(f"{row}/mtu", 1400))
        assert (await p.client.call(GetConfig(f"{row}/mtu"))).data == 1400
        await p.client.call(GetConfig(f"{row}/kind"))
        gone = await p.commit(Delete(f"{row}/mtu"))
        await until(lambda: len(got) >= 10)
        assert [event.body for event in got] == [
            Triggered("table", "create", row, None, value, made.txid, 1),
            Triggered("row", "create", row, None, value, made.txid, 1),
            Triggered("cell", "create", f"{row}/mtu", None, 1500, made.txid, 1),
            Triggered("table", "write", row, value, value | {"mtu": 1400}, wrote.txid, 2),
            Triggered("row", "write", row, value, value | {"mtu": 1400}, wrote.txid, 2),
            Triggered("cell", "write", f"{row}/mtu", 1500, 1400, wrote.txid, 2),
            Triggered("column", "read", f"{row}/mtu", revision=2),
            Triggered("table", "write", row, value | {"mtu": 1400}, bare, gone.txid, 3),
            Triggered("row", "write", row, value | {"mtu": 1400}, bare, gone.txid, 3),
            Triggered("column", "delete", f"{row}/mtu", 1400, None, gone.txid, 3),
        ]


async def settled(p: Place, got: list[Event]) -> None:
    """Wait until a subscription has made its way: read until it is told."""
    async with asyncio.timeout(20):
        while not got:
            await p.client.call(GetConfig("/raicho/port"))
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    got.clear()


async def test_triggers_go_with_the_lease(tmp_path: Path, context: zmq.SyncContext) -> None:
    async with place(tmp_path, context) as p:
        triggers = [Trigger("t", "/raicho/port", ["create"])]
        with pytest.raises(CallError, match="no such lease; register before"):
            await p.client.call(SetTriggers("me", "wrong", triggers))
        await p.client.call(SetTriggers("me", await p.lease(), triggers))
        datastore = p.parts["datastore"]
        assert isinstance(datastore, Datastore)
        assert len(datastore.store.triggers) == 1
        lease = await p.lease(ttl=0.2)
        assert len(datastore.store.triggers) == 0
        await p.client.call(SetTriggers("me", lease, triggers))
        await asyncio.sleep(0.3)
        await p.port("p1")
        assert len(datastore.store.triggers) == 0


async def test_ten_thousand_triggers_elsewhere_cost_a_commit_nothing(
    tmp_path: Path, context: zmq.SyncContext
) -> None:
    """D8: they are registered, those that are met are told, and what a write takes is shown."""
    async with place(tmp_path, context) as p:
        got = p.listen("trigger.me")
        await p.port("p0")

        async def seconds() -> float:
            times = []
            for n in range(30):
                began = time.perf_counter()
                await p.port("p0", mtu=1000 + n)
                times.append(time.perf_counter() - began)
            return sorted(times)[15]

        without = await seconds()
        lease = await p.lease()
        many = [Trigger(f"t{n}", PORT.format(f"x{n}"), ["create", "write"]) for n in range(9_999)]
        many.append(Trigger("met", PORT.format("p0") + "/mtu", ["write", "read"]))
        await p.client.call(SetTriggers("me", lease, many), 30)
        await settled(p, got)
        with_them = await seconds()
        print(f"median commit {without * 1e3:.2f} ms without, {with_them * 1e3:.2f} ms with 10 000")
        await until(lambda: len(got) >= 30)
        assert [event.body.trigger for event in got] == ["met"] * 30  # type: ignore[union-attr]


async def test_a_follower_begins_with_a_snapshot_and_hears_every_change_in_order(
    tmp_path: Path, context: zmq.SyncContext
) -> None:
    """D3: of what lies at its path; the others it does not hear of."""
    async with place(tmp_path, context) as p:
        await p.port("p1", mtu=1000)
        heard: list[tuple[int, list[Change]]] = []
        follower = p.follow("/raicho/port", heard)
        await until(lambda: follower.revision == 1)
        for n in range(20):
            await p.port("p1", mtu=1001 + n)
            await p.commit(Set(f"/raicho/bridge[name='b{n}']"))
        await until(lambda: follower.revision == 41)
        revisions = [revision for revision, _ in heard]
        assert revisions == sorted(set(revisions))
        cells: dict[str, Any] = {}
        for _, changes in heard:
            for change in changes:
                assert change.old == cells.get(change.path)
                cells[change.path] = change.new
        assert cells == dict(follower.cells) == await p.cells("/raicho/port")
        assert cells[PORT.format("p1") + "/mtu"] == 1020
        await p.commit(Delete(PORT.format("p1")))
        await until(lambda: not follower.cells)
        follower.close()


@pytest.mark.parametrize("away", [(Bus,), (Datastore,), (Bus, Datastore)])
async def test_followers_converge_after_their_sources_were_away(
    tmp_path: Path, context: zmq.SyncContext, away: tuple[type[Component], ...]
) -> None:
    """D3, K15: an early one, and one that joins late; what was lost shows in a snapshot."""
    async with place(tmp_path, context) as p:
        heard: list[tuple[int, list[Change]]] = []
        early = p.follow("/", heard)
        await p.port("p1", mtu=1000)
        await until(lambda: early.revision == 1)
        for kind in away:
            await p.stop(kind)
        if Datastore not in away:
            await p.port("p2", mtu=2000)
        for kind in away:
            await p.start(kind)
        for n in range(5):
            await p.port("p3", mtu=3000 + n)
        late = p.follow("/", [])
        revision = 6 + (Datastore not in away)
        await until(lambda: early.revision == late.revision == revision)
        assert dict(early.cells) == dict(late.cells) == await p.cells("/")
        for follower in (early, late):
            follower.close()


async def test_the_last_event_may_be_lost(tmp_path: Path, context: zmq.SyncContext) -> None:
    """D3: no gap shows then, so the datastore is asked."""
    async with place(tmp_path, context) as p:
        follower = p.follow("/", [])
        await p.port("p1")
        await until(lambda: follower.revision == 1)
        await p.stop(Bus)
        await p.port("p2")
        await until(lambda: follower.revision == 2)
        assert dict(follower.cells) == await p.cells("/")
        seen = follower.snapshots
        await asyncio.sleep(0.5)
        assert follower.snapshots == seen, "what is known is not sent again"
        follower.close()


class Late(ControlClient):
    """Gives no answer before it may."""

    def __init__(self, context: zmq.SyncContext, endpoint: str) -> None:
        super().__init__(context, endpoint)
        self.has, self.may = asyncio.Event(), asyncio.Event()

    async def call(self, request: Request[R], timeout: float = 5.0) -> R:
        reply = await super().call(request, timeout)
        self.has.set()
        await self.may.wait()
        return reply


async def test_what_is_missed_while_a_snapshot_is_read_leads_to_another(
    tmp_path: Path, context: zmq.SyncContext
) -> None:
    """D3: no revision shows it, as the datastore began anew meanwhile and counts from 1."""
    async with place(tmp_path, context) as p:
        got = p.listen("config.committed")
        late = Late(context, f"ipc://{tmp_path}/datastore.control")
        follower = Follower(context, f"ipc://{tmp_path}/bus.sub", late, look=600)
        await late.has.wait()  # it has read that there is nothing

        async def commit_until_heard(name: str) -> None:
            got.clear()
            for mtu in range(1000, 9000):
                await p.port(name, mtu=mtu)
                await asyncio.sleep(0.05)
                if got:
                    return

        await commit_until_heard("before")
        for mtu in range(500, 540):  # so that revisions of the next one are behind for long
            await p.port("before", mtu=mtu)
        await p.stop(Bus)
        await p.stop(Datastore)
        for file in tmp_path.glob("config.db*"):
            file.unlink()
        await p.start(Datastore)
        await p.port("unheard")
        await p.start(Bus)
        await commit_until_heard("after")
        late.may.set()
        expected = await p.cells("/")
        await until(lambda: dict(follower.cells) == expected)
        follower.close()
        late.close()


async def test_a_snapshot_of_nowhere_is_refused(tmp_path: Path, context: zmq.SyncContext) -> None:
    async with place(tmp_path, context) as p:
        with pytest.raises(CallError, match="did you mean port"):
            await p.client.call(GetSnapshot("/raicho/prot"))
