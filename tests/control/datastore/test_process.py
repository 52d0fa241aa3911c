"""The datastore as a process that is killed at any moment."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import zmq

from raicho.control.component import Bootstrap, Component
from raicho.control.message import CallError, Change, ControlClient, Ping
from raicho.control.message.datastore import (
    CommitSession,
    Discard,
    Edit,
    GetConfig,
    ListRegistry,
    Set,
)

KILLS = 5
MTU = "/raicho/port[name='p1']/mtu"


class Holder(Component):
    """A participant that holds what it was told, and nothing else."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.subscriptions = ["/raicho/port"]
        self.next = self.held = 0

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        ports = config.get("raicho", {}).get("port", [{}])
        self.next = ports[0].get("mtu", 0)
        await asyncio.sleep(0.002)  # wide enough for a kill to fall into

    async def commit(self, txid: str) -> None:
        await asyncio.sleep(0.002)
        self.held = self.next


@asynccontextmanager
async def datastore(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a datastore of its own; it is killed at the end."""
    arguments = ["--run-dir", str(folder), "--data", str(folder / "config.db")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "raicho.control.datastore", *arguments, env=environment
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def commit_until_killed(client: ControlClient, first: int) -> tuple[int, int]:
    """Set ever new values; return the last that was acknowledged and the last that was tried."""
    acknowledged = tried = first
    while True:
        try:
            await client.call(Edit("s", [Set(MTU[:-4], {"kind": "null", "mtu": tried + 1})]), 0.5)
            tried += 1
            await client.call(CommitSession("s"), 1)
            acknowledged = tried
        except CallError:
            return acknowledged, tried


async def settled(client: ControlClient, holder: Holder) -> int:
    """Wait until the participant is synchronised; return what is current."""
    async with asyncio.timeout(20):
        while True:
            with suppress(CallError):
                entries = (await client.call(ListRegistry(), 1)).components
                if any(e.component == "holder" and e.synchronised and e.alive for e in entries):
                    return (await client.call(GetConfig(MTU))).data or 0
            await asyncio.sleep(0.05)


async def test_kill_9_at_any_moment_leaves_all_sides_equal(
    tmp_path: Path, context: zmq.SyncContext
) -> None:
    """T4, K2: the last acknowledged commit is there, and the participant holds what is current."""
    endpoint = f"ipc://{tmp_path}/datastore.control"
    holder = Holder(Bootstrap(tmp_path, endpoint, "holder"))
    await holder.start()
    client = ControlClient(context, endpoint)
    try:
        await kill_again_and_again(tmp_path, client, holder)
    finally:
        client.close()
        await holder.stop()


async def kill_again_and_again(tmp_path: Path, client: ControlClient, holder: Holder) -> None:
    rng = random.Random(1)
    acknowledged, tried = 0, 100
    commits = 0
    for _ in range(KILLS):
        async with datastore(tmp_path) as process:
            await client.call(Ping(), 20)
            current = await settled(client, holder)
            assert current == holder.held
            assert acknowledged <= current <= tried
            await client.call(Discard("s"))
            before = max(current, 100)
            work = asyncio.create_task(commit_until_killed(client, before))
            await asyncio.sleep(rng.uniform(0.02, 0.2))
            process.send_signal(signal.SIGKILL)
            acknowledged, tried = await work
            commits += acknowledged - before
    async with datastore(tmp_path):
        current = await settled(client, holder)
        assert acknowledged <= current <= tried
        assert holder.held == current
    assert commits > 0


async def test_sigterm_ends_it_in_good_order(tmp_path: Path, context: zmq.SyncContext) -> None:
    async with datastore(tmp_path) as process:
        client = ControlClient(context, f"ipc://{tmp_path}/datastore.control")
        await client.call(Ping(), 20)
        process.terminate()
        assert await process.wait() == 0
        client.close()
