"""Datastores of several hosts that share one configuration."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from stores.servers import SERVERS, Server

from raicho.control.component import Bootstrap, Component
from raicho.control.datastore import Datastore
from raicho.control.datastore.archive import Archive, Busy, Record, Stamp
from raicho.control.datastore.engines.opening import open_engine
from raicho.control.message import CallError, Change, Code, ConfigError, ControlClient
from raicho.control.message.datastore import (
    CommitResult,
    CommitSession,
    Edit,
    GetConfig,
    GetHistory,
    ListRegistry,
    Register,
    Set,
)

P1 = "/raicho/port[name='p1']"
TOY = """module toy { namespace "urn:toy"; prefix t; import raicho { prefix r; }
revision 2026-01-01; augment "/r:raicho" { leaf toy { type int32; } } }"""


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.kill()


class Holder(Component):
    """Holds the port it was told of, and refuses where a test wants it to."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.subscriptions = ["/raicho/port"]
        self.next: Any = None
        self.held: Any = None
        self.refuses = False

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        if self.refuses:
            raise ConfigError(P1, "there is none here")
        self.next = config.get("raicho", {}).get("port", [{}])[0].get("mtu")

    async def commit(self, txid: str) -> None:
        self.held = self.next


class Host:
    """One host: a datastore with a participant."""

    def __init__(self, folder: Path, address: str) -> None:
        endpoint = f"ipc://{folder}/datastore.control"
        options = {"data": address, "host": folder.name}
        self.datastore = Datastore(Bootstrap(folder, endpoint, "datastore", options=options))
        self.holder = Holder(Bootstrap(folder, endpoint, "holder"))
        self.client = ControlClient(zmq.Context.instance(), endpoint)

    async def mtu(self, value: int) -> CommitResult:
        await self.edit(value)
        return await self.client.call(CommitSession("s"), 20)

    async def edit(self, value: int) -> None:
        await self.client.call(Edit("s", [Set(P1, {"kind": "null", "mtu": value})]), 20)

    async def current(self) -> Any:
        return (await self.client.call(GetConfig(f"{P1}/mtu"))).data


@asynccontextmanager
async def host(folder: Path, address: str) -> AsyncIterator[Host]:
    it = Host(folder, address)
    await it.datastore.start()
    try:
        await it.holder.start()
        await until(lambda: it.holder.state_of_health == "ready")
        yield it
    finally:
        it.client.close()
        await it.holder.stop()
        await it.datastore.stop()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def two(server: Server, folder: Path) -> AsyncIterator[tuple[Host, Host]]:
    address = server.address(folder.name)
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(host(folder / "a", address))
        b = await stack.enter_async_context(host(folder / "b", address))
        yield a, b


async def test_a_commit_reaches_the_participants_of_all_hosts(
    server: Server, tmp_path: Path
) -> None:
    async with two(server, tmp_path) as (a, b):
        assert (await a.mtu(1000)).revision == 1
        assert a.holder.held == 1000
        await until(lambda: b.holder.held == 1000)
        assert await b.current() == 1000
        assert (await b.mtu(2000)).revision == 2
        await until(lambda: a.holder.held == 2000)
        assert a.datastore.store.tree == b.datastore.store.tree
        histories = [(await each.client.call(GetHistory())).revisions for each in (a, b)]
        assert histories[0] == histories[1]
        assert [revision.number for revision in histories[0]] == [2, 1]


async def test_of_two_commits_to_the_same_leaf_one_is_a_conflict(
    server: Server, tmp_path: Path
) -> None:
    """K4: from two hosts at once; nothing is merged by luck, and both end with the same."""
    async with two(server, tmp_path) as (a, b):
        for round_ in range(5):
            await a.edit(1000 + round_)
            await b.edit(2000 + round_)
            calls = [each.client.call(CommitSession("s"), 20) for each in (a, b)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            won = [end for end in ends if isinstance(end, CommitResult)]
            lost = [end for end in ends if isinstance(end, CallError)]
            assert (len(won), [error.failure.code for error in lost]) == (1, [Code.CONFLICT])
            value = (1000, 2000)[ends.index(won[0])] + round_
            await until(lambda value=value: a.holder.held == b.holder.held == value)
            for each in (a, b):
                each.datastore.store.discard("s")


async def test_a_participant_that_refuses_what_is_current_elsewhere_is_shown(
    server: Server, tmp_path: Path
) -> None:
    """And brought to it as soon as it can."""
    async with two(server, tmp_path) as (a, b):
        b.holder.refuses = True
        await a.mtu(1000)

        async def trouble() -> str:
            components = (await b.client.call(ListRegistry())).components
            return next(entry.trouble for entry in components if entry.component == "holder")

        async with asyncio.timeout(20):
            while "there is none here" not in await trouble():
                await asyncio.sleep(0.05)
        b.holder.refuses = False
        await until(lambda: b.holder.held == 1000)
        assert await b.current() == 1000


async def test_a_module_that_one_host_brought_is_known_to_all(
    server: Server, tmp_path: Path
) -> None:
    async with two(server, tmp_path) as (a, b):
        await a.client.call(Register("toy", "1", [TOY], [], []), 20)
        await a.client.call(Edit("s", [Set("/raicho/toy", 7)]), 20)
        await a.client.call(CommitSession("s"), 20)
        await until(lambda: b.datastore.store.revision == 1)
        assert (await b.client.call(GetConfig("/raicho/toy"))).data == 7


async def test_a_store_that_is_gone_is_told_to_who_reads_and_who_writes(
    server: Server, tmp_path: Path
) -> None:
    """M21: and when it is back all goes on, with nothing lost."""
    async with two(server, tmp_path) as (a, b):
        await a.mtu(1000)
        await a.edit(2000)
        server.kill()
        try:
            await until(lambda: bool(a.datastore.commits.trouble))
            for request in (GetConfig(), CommitSession("s"), GetHistory()):
                with pytest.raises(CallError, match="does not answer") as error:
                    await a.client.call(request, 30)
                assert error.value.failure.code is Code.UNAVAILABLE
        finally:
            await asyncio.to_thread(server.start)
        await until(lambda: not a.datastore.commits.trouble)
        assert await a.current() == 1000
        assert (await a.client.call(CommitSession("s"), 30)).revision == 2
        await until(lambda: b.holder.held == 2000)


def test_a_transaction_of_a_host_that_died_ends_as_its_log_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T4: and until it is known to be dead it is in the way of all others."""
    now = 0.0
    monkeypatch.setattr("raicho.control.datastore.archive.time.monotonic", lambda: now)
    dead, other = (Archive(open_engine(server.address(tmp_path.name)), h) for h in ("d", "o"))
    first, second, third = (
        Record(Stamp(f"t{n}", "me", 0.0), [Change("/a", n or None, n + 1)], []) for n in range(3)
    )
    for state, ours, kept in (("prepare", first, 0), ("commit", second, 1)):
        dead.take_in(dead.wait(0.0))
        dead.log("prepare", ours)
        if state == "commit":
            dead.log(state, ours)
        for _ in range(2):
            with pytest.raises(Busy, match="host d has a transaction under way"):
                other.log("prepare", third)
        now += 31
        if state == "prepare":
            other.log("prepare", third)
            other.end()
        else:
            with pytest.raises(Busy, match="finished only now"):
                other.log("prepare", third)
        assert other.revision == kept
        with pytest.raises(Busy):  # it was not dead: it must not go on
            dead.log("commit", ours)
    assert other.cells == {"/a": 2}
    for archive in (dead, other):
        archive.engine.close()
