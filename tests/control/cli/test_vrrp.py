"""What is carried of keepalived's notify FIFO to the bus: G6, C7; by whom: G4."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.cli.keepalived import NotUnderstood, States
from raicho.control.message import CallError, ControlClient, Event, GetSample, Ping, Subscriber
from raicho.control.message.keys import READER, allow, context_with, create, load
from raicho.control.message.vrrp import VrrpMoved

PATIENCE = 30.0


def test_each_line_says_what_changed() -> None:
    states = States()
    told = [
        states.hear(line)
        for line in (
            'INSTANCE "VI_1" BACKUP 100\n',
            'GROUP "both" BACKUP 0\n',
            'INSTANCE "VI_1" MASTER 100\n',
            'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100\n',
            'INSTANCE "VI_1" MASTER_PRIORITY 120\n',
            'INSTANCE "VI_1" DELETED 0\n',
        )
    ]
    assert told == [
        VrrpMoved("instance", "VI_1", "INIT", "BACKUP", 100),
        VrrpMoved("group", "both", "INIT", "BACKUP", 0),
        VrrpMoved("instance", "VI_1", "BACKUP", "MASTER", 100),
        None,
        VrrpMoved("instance", "VI_1", "MASTER", "MASTER", 120),
        VrrpMoved("instance", "VI_1", "MASTER", "DELETED", 0),
    ]
    assert {kind: list(rows) for kind, rows in states.sets().items()} == {
        "instance": [],
        "group": ["both"],
    }


def test_who_takes_over_knows_what_was_so() -> None:
    before, after = States(), States()
    before.hear('INSTANCE "VI_1" BACKUP 100')
    after.recall(before.sets())
    assert after.hear('INSTANCE "VI_1" BACKUP 100') is None
    moved = after.hear('INSTANCE "VI_1" MASTER 100')
    assert moved == VrrpMoved("instance", "VI_1", "BACKUP", "MASTER", 100)


def test_who_takes_over_late_believes_what_it_has_heard_itself() -> None:
    before, after = States(), States()
    for line in ('INSTANCE "a" BACKUP 1', 'INSTANCE "b" BACKUP 2', 'GROUP "a" BACKUP 0'):
        before.hear(line)
    after.hear('INSTANCE "a" MASTER 1')
    after.hear('INSTANCE "b" DELETED 0')
    after.recall(before.sets())
    assert after.hear('INSTANCE "a" MASTER 1') is None
    assert {kind: list(rows) for kind, rows in after.sets().items()} == {
        "instance": ["a"],
        "group": ["a"],
    }


@pytest.mark.parametrize(
    "line",
    ["", "VS [192.0.2.1]:tcp:80 UP", 'INSTANCE "VI" MASTER', 'INSTANCE "VI" QUEEN 1', "\0" * 99],
)
def test_a_line_that_is_none_changes_nothing(line: str) -> None:
    states = States()
    states.hear('INSTANCE "VI_1" BACKUP 100')
    before = states.sets()
    with pytest.raises(NotUnderstood):
        states.hear(line)
    assert states.sets() == before


class Beside:
    """A bus and a datastore, a FIFO, and `raicho vrrp follow` that reads it."""

    def __init__(self, context: zmq.SyncContext, processes: Any, folder: Path) -> None:
        self.processes, self.run_dir = processes, processes.run_dir
        self.fifo = folder / "fifo"
        os.mkfifo(self.fifo, 0o600)
        self.heard: list[Event] = []
        self.datastore = ControlClient(context, f"ipc://{self.run_dir}/datastore.control")
        self.subscriber = Subscriber(
            context, f"ipc://{self.run_dir}/bus.sub", ["vrrp."], self.heard.append
        )
        self.keepalived = -1

    def start_datastore(self) -> None:
        config = self.run_dir / "config.db"
        self.holder = self.processes.start("raicho.control.datastore", "--data", config)

    def command(self, *more: str | Path) -> list[str | Path]:
        command = [sys.executable, "-m", "raicho.control.cli", "vrrp", "follow"]
        return [*command, "--run-dir", self.run_dir, *more, self.fifo]

    def follow(self) -> subprocess.Popen[bytes]:
        self.follower = subprocess.Popen(self.command(), env=self.processes.environment())
        return self.follower

    def open(self) -> None:
        """Open the FIFO as keepalived does: for both, and so without waiting."""
        self.keepalived = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)

    def say(self, line: str) -> None:
        os.write(self.keepalived, f"{line}\n".encode())

    async def until(self, count: int) -> VrrpMoved:
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < count:
                await asyncio.sleep(0.05)
        body = self.heard[count - 1].body
        assert isinstance(body, VrrpMoved)
        return body

    async def until_held(self, state: str, stale: bool = False) -> None:
        """Wait for what those read who come later."""

        async def is_held() -> bool:
            with suppress(CallError):  # there is none yet
                sampled = await self.datastore.call(GetSample("vrrp"))
                return f'"state": "{state}"' in self.shown() and sampled.stale is stale
            return False

        async with asyncio.timeout(PATIENCE):
            while not await is_held():
                await asyncio.sleep(0.1)

    def shown(self) -> str:
        command = [sys.executable, "-m", "raicho.control.cli", "show", "vrrp", "--json"]
        environment = self.processes.environment(RAICHO_RUN_DIR=str(self.run_dir))
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    def close(self) -> None:
        self.subscriber.close()
        self.datastore.close()
        if self.keepalived >= 0:
            os.close(self.keepalived)
        if self.follower.poll() is None:
            self.follower.kill()
        self.follower.wait()


@asynccontextmanager
async def beside(context: zmq.SyncContext, processes: Any, folder: Path) -> AsyncIterator[Beside]:
    processes.start("raicho.control.bus")
    found = Beside(context, processes, folder)
    found.start_datastore()
    await found.datastore.call(Ping(), PATIENCE)
    found.follow()
    found.open()
    try:
        yield found
    finally:
        found.close()


async def test_events_reach_the_bus_and_the_state_stays(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """G6: what is not understood is passed over; whoever reads is told when keepalived ends."""
    async with beside(context, processes, tmp_path) as found:
        found.say('INSTANCE "VI" BACKUP 100')
        assert await found.until(1) == VrrpMoved("instance", "VI", "INIT", "BACKUP", 100)
        found.say("nonsense")
        found.say('INSTANCE "VI" MASTER 100')
        assert await found.until(2) == VrrpMoved("instance", "VI", "BACKUP", "MASTER", 100)
        assert [(event.topic, event.sequence) for event in found.heard] == [
            ("vrrp.instance", 1),
            ("vrrp.instance", 2),
        ]
        await found.until_held("MASTER")
        found.follower.send_signal(signal.SIGTERM)  # as keepalived does before its last words
        found.say('INSTANCE "VI" STOP 100')
        assert (await found.until(3)).new == "STOP"
        os.close(found.keepalived)
        found.keepalived = -1
        assert await asyncio.to_thread(found.follower.wait, PATIENCE) == 0
        await found.until_held("STOP", stale=True)


async def test_a_killed_reader_loses_no_line(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """They wait in the FIFO, and the next reader knows what was so before."""
    async with beside(context, processes, tmp_path) as found:
        found.say('INSTANCE "VI" BACKUP 100')
        await found.until(1)
        await found.until_held("BACKUP")
        found.follower.kill()
        found.follower.wait()
        found.say('INSTANCE "VI" MASTER 100')
        found.follow()
        moved = VrrpMoved("instance", "VI", "BACKUP", "MASTER", 100)
        assert await found.until(2) == moved


async def test_a_datastore_that_is_started_again_is_told(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """G2, G6: it has kept no sample, and keepalived has nothing new to say."""
    async with beside(context, processes, tmp_path) as found:
        found.say('INSTANCE "VI" BACKUP 100')
        await found.until_held("BACKUP")
        processes.kill(found.holder)
        found.start_datastore()
        await found.until_held("BACKUP")
        assert len(found.heard) == 1


async def test_what_was_so_is_learned_when_the_datastore_answers_at_last(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """G6: a reader that begins beside one that hangs replaces nothing that it does not know."""
    async with beside(context, processes, tmp_path) as found:
        found.say('INSTANCE "VI" BACKUP 100')
        await found.until(1)
        await found.until_held("BACKUP")
        found.follower.kill()
        found.follower.wait()
        os.kill(found.holder, signal.SIGSTOP)
        found.follow()
        found.say('GROUP "all" FAULT 0')
        await found.until(2)  # it goes on without
        os.kill(found.holder, signal.SIGCONT)
        await found.until_held("FAULT")
        found.say('INSTANCE "VI" MASTER 100')
        assert await found.until(3) == VrrpMoved("instance", "VI", "BACKUP", "MASTER", 100)


async def test_who_may_only_read_publishes_nothing(processes: Any, tmp_path: Path) -> None:
    """G4."""
    create(tmp_path / "switch")
    allow(tmp_path / "switch", tmp_path / "reader", "rita", READER)
    keys = ("--keys", tmp_path / "switch")
    processes.start("raicho.control.bus", *keys)
    data = ("--data", processes.run_dir / "config.db")
    processes.start("raicho.control.datastore", *keys, *data)
    context = context_with(load(tmp_path / "switch"))
    found = Beside(context, processes, tmp_path)
    found.open()
    try:
        await found.datastore.call(Ping(), PATIENCE)
        command = found.command("--keys", tmp_path / "reader", "--json")
        found.follower = subprocess.Popen(
            command, env=processes.environment(), stderr=subprocess.PIPE
        )
        _, told = await asyncio.to_thread(found.follower.communicate, timeout=PATIENCE)
        assert found.follower.returncode == 1
        assert json.loads(told)["error"]["code"] == "REFUSED"
    finally:
        found.close()
        context.destroy(linger=0)
