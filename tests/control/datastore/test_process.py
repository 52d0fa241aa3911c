"""The datastore as a process that is killed at any moment."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
import zmq
from stores.nursery import Nursery

from raicho.control.component import Bootstrap, Component, registration, run
from raicho.control.datastore import Datastore
from raicho.control.message import CallError, Change, Code, ControlClient, GetHistory, Ping
from raicho.control.message.datastore import (
    CommitSession,
    Discard,
    Edit,
    GetConfig,
    ListRegistry,
    Set,
)

KILLS, MANY_KILLS = 25, 1000
COMMITS = 4  # that a datastore makes at most before it is killed
PORTS = [f"p{n}" for n in range(8)]  # what one commit changes, all to the same
PATIENCE = 30.0  # seconds for whatever must come
HOLDERS = ("one", "two")
BETWEEN = 0.001  # seconds that a participant takes, so that a kill falls in between


class Holder(Component):
    """A participant that holds what it was told, and nothing else."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.subscriptions = ["/raicho/port"]
        self.next: set[int] = set()
        self.held: set[int] = set()

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        self.next = mtus(config.get("raicho", {}).get("port", []))
        await asyncio.sleep(BETWEEN)

    async def commit(self, txid: str) -> None:
        await asyncio.sleep(BETWEEN)
        self.held = self.next


def mtus(ports: list[dict[str, Any]]) -> set[int]:
    """Return which MTUs there are: one, if all ports are of one commit."""
    assert len(ports) in (0, len(PORTS))
    return {port["mtu"] for port in ports}


class Writer:
    """Commits ever new values until it is told to stop, and knows what became of each.

    What is in the air when the datastore dies is asked of the next one, as every client does.
    """

    def __init__(self, client: ControlClient) -> None:
        self.committed = 100  # the value that is current
        self.n_commits = self.n_undone = 0
        self.took = 0.02  # seconds for the last commit
        self.stopping = False
        self._client = client

    async def work(self) -> None:
        self.stopping = False
        while not self.stopping:
            value, begin = self.committed + 1, time.monotonic()
            rows = [{"name": name, "kind": "null", "mtu": value} for name in PORTS]
            await self._client.call(Edit("s", [Set("/raicho/port", rows)]), PATIENCE)
            if not self.stopping:
                await self._commit(value)
            if not self.stopping:
                self.took = time.monotonic() - begin

    async def _commit(self, value: int) -> None:
        self.n_commits += 1
        try:
            await self._client.call(CommitSession("s", txid=txid(value, self.n_commits)), PATIENCE)
        except CallError as error:
            assert self.stopping, error
            assert error.failure.code is Code.NOT_FOUND, error  # the session, and so the change
            self.n_undone += 1
        else:
            self.committed = value


def txid(value: int, attempt: int) -> str:
    """Name a transaction after what it sets."""
    return f"{value}a{attempt}"


def serve(words: list[str], out: TextIO) -> None:
    """Run a datastore."""
    run(Datastore, words)


class Site:
    """Participants, a client, and a place for a datastore that comes and goes."""

    def __init__(self, context: zmq.SyncContext, folder: Path, nursery: Nursery) -> None:
        self.nursery = nursery
        self.arguments = ["--run-dir", str(folder), "--data", str(folder / "config.db")]
        endpoint = f"ipc://{folder}/datastore.control"
        self.holders = [Holder(Bootstrap(folder, endpoint, name)) for name in HOLDERS]
        self.client = ControlClient(context, endpoint, retry=0.02)

    async def settled(self) -> None:
        """Wait until all participants are synchronised."""
        async with asyncio.timeout(PATIENCE):
            while True:
                entries = (await self.client.call(ListRegistry(), PATIENCE)).components
                if len([e for e in entries if e.synchronised and e.alive]) == 1 + len(HOLDERS):
                    return
                await asyncio.sleep(0.02)

    async def check(self, writer: Writer) -> None:
        """Compare what is current, its history, and what participants hold, with what was told."""
        config = await self.client.call(GetConfig("/raicho/port"))
        current = mtus(config.data or [])
        assert current == ({writer.committed} if config.revision else set())
        (newest,) = (await self.client.call(GetHistory(1))).revisions or [None]
        assert (newest is None) == (not config.revision)
        if newest:
            assert newest.number == config.revision
            assert newest.txid.startswith(f"{writer.committed}a")
        assert [holder.held for holder in self.holders] == [current] * len(HOLDERS)


@asynccontextmanager
async def site(context: zmq.SyncContext, folder: Path) -> AsyncIterator[Site]:
    with Nursery(f"{__name__}:serve") as nursery:
        site = Site(context, folder, nursery)
        for holder in site.holders:
            await holder.start()
        try:
            yield site
        finally:
            site.client.close()
            for holder in site.holders:
                await holder.stop()


async def kill_again_and_again(context: zmq.SyncContext, folder: Path, times: int) -> Writer:
    rng = random.Random(1)
    async with site(context, folder) as s:
        writer = Writer(s.client)
        s.nursery.start(*s.arguments)
        for _ in range(times):
            await s.settled()
            await s.check(writer)
            work = asyncio.create_task(writer.work())
            await asyncio.sleep(rng.uniform(0, COMMITS) * writer.took)
            writer.stopping = True
            s.nursery.kill()
            s.nursery.start(*s.arguments)
            await work
            with suppress(CallError):  # an edit that came to the next one
                await s.client.call(Discard("s"))
        await s.settled()
        await s.check(writer)
        s.nursery.kill()
    return writer


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let participants notice soon that the datastore has died."""
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)


async def test_kill_9_at_any_moment_leaves_all_sides_equal(
    tmp_path: Path, context: zmq.SyncContext, attentive: None
) -> None:
    """T4, K2: what was acknowledged is there, whole; participants hold it; clients know it."""
    writer = await kill_again_and_again(context, tmp_path, KILLS)
    assert writer.n_commits > writer.n_undone


@pytest.mark.soak
async def test_kill_9_a_thousand_times(
    tmp_path: Path, context: zmq.SyncContext, attentive: None
) -> None:
    """T4, K2."""
    writer = await kill_again_and_again(context, tmp_path, MANY_KILLS)
    print(f"\n{writer.n_commits} commits, {writer.n_undone} of which a kill has undone")
    assert writer.n_commits > writer.n_undone > 0


async def test_sigterm_ends_it_in_good_order(tmp_path: Path, context: zmq.SyncContext) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    arguments = ["--run-dir", tmp_path, "--data", tmp_path / "config.db"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "raicho.control.datastore", *arguments, env=environment
    )
    client = ControlClient(context, f"ipc://{tmp_path}/datastore.control")
    try:
        await client.call(Ping(), 20)
        process.terminate()
        assert await process.wait() == 0
    finally:
        client.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
