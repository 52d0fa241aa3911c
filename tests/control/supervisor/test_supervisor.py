"""The supervisor with real processes: components that do nothing but answer."""

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.component import Bootstrap, holder
from raicho.control.message import Alert, ControlClient, Event, Get, Info, Subscriber
from raicho.control.supervisor.services import SERVICES, SUPERVISOR_PORT, Service

TOY = """
import sys
from raicho.control.component import Component, run

class Toy(Component):
    name = "toy"
    registers = False

sys.exit(run(Toy))
"""

NURSE = """
import sys
from raicho.control.component import run
from raicho.control.supervisor import Supervisor
from raicho.control.supervisor.services import Service
from raicho.control.supervisor.watch import Policy

SERVICES = [Service("bus", "raicho.control.bus"), Service("a", "toy"), Service("b", "toy")]

class Nurse(Supervisor):
    registers = False

    def __init__(self, bootstrap):
        super().__init__(bootstrap, SERVICES, Policy(heartbeat=0.4))

sys.exit(run(Nurse))
"""


class Ward:
    """A supervisor with a bus and two toys, and what it tells."""

    def __init__(self, context: zmq.SyncContext, processes: Any, folder: Path) -> None:
        (folder / "toy.py").write_text(TOY)
        (folder / "nurse.py").write_text(NURSE)
        self.run_dir: Path = processes.run_dir
        self._processes, self._folder = processes, folder
        self.alerts: list[Alert] = []
        self._client = ControlClient(context, f"ipc://{self.run_dir}/supervisor.control")
        self._subscriber = Subscriber(
            context, f"ipc://{self.run_dir}/bus.sub", ["alert."], self._hear
        )
        self.start()

    def start(self) -> None:
        self.pid = self._processes.start("nurse", path=str(self._folder))

    def close(self) -> None:
        self._client.close()
        self._subscriber.close()

    async def rows(self) -> dict[str, dict[str, Any]]:
        rows = (await self._client.call(Get("/components"), 20)).data
        return {row["component"]: row for row in rows}

    async def all_ready(self) -> dict[str, dict[str, Any]]:
        async with asyncio.timeout(20):
            while True:
                rows = await self.rows()
                if all(row["version"] for row in rows.values()):
                    return rows
                await asyncio.sleep(0.02)

    def pids(self) -> dict[str, int | None]:
        return {name: holder(self.run_dir, name) for name in ("bus", "a", "b")}

    def _hear(self, event: Event) -> None:
        assert isinstance(event.body, Alert)
        self.alerts.append(event.body)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_components_are_started_watched_and_started_again(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """G7, C12, C13: a crash, a hang and a crash of the bus, with alerts; others stay."""
    ward = Ward(context, processes, tmp_path)
    first = await ward.all_ready()
    assert list(first) == ["bus", "a", "b"]
    before = ward.pids()
    await asyncio.sleep(0.6)  # until the subscription has reached the supervisor

    os.kill(before["a"] or 0, signal.SIGKILL)
    await until(lambda: bool(ward.alerts))
    assert ward.alerts[0] == Alert("a", "was killed by SIGKILL", before["a"] or 0, 0)
    await until(lambda: ward.pids()["a"] not in (None, before["a"]))
    assert {**ward.pids(), "a": 0} == {**before, "a": 0}

    os.kill(before["b"] or 0, signal.SIGSTOP)
    await until(lambda: len(ward.alerts) == 2)
    assert ward.alerts[1].component == "b"
    assert "hangs: no answer" in ward.alerts[1].cause
    await until(lambda: ward.pids()["b"] not in (None, before["b"]))

    os.kill(before["bus"] or 0, signal.SIGKILL)
    await until(lambda: len(ward.alerts) >= 3)
    assert ward.alerts[2].component == "bus"

    rows = await ward.all_ready()
    assert [row["restarts"] for row in rows.values()] == [1, 1, 1]
    assert rows["a"]["last_alert"] == "was killed by SIGKILL"
    ward.close()


async def test_a_supervisor_that_was_killed_adopts_what_runs(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """C11, C13: no second copies; then it stops all, and restarts what it adopted."""
    ward = Ward(context, processes, tmp_path)
    await ward.all_ready()
    before = ward.pids()
    processes.kill(ward.pid)
    await asyncio.sleep(0.1)
    assert ward.pids() == before

    ward.start()
    rows = await ward.all_ready()
    assert ward.pids() == before
    assert all(row["adopted"] for row in rows.values())

    os.kill(before["a"] or 0, signal.SIGKILL)
    await until(lambda: ward.pids()["a"] not in (None, before["a"]))

    os.kill(ward.pid, signal.SIGTERM)
    assert processes.wait(ward.pid) == 0
    assert ward.pids() == {"bus": None, "a": None, "b": None}
    ward.close()


async def test_a_supervisor_that_was_stopped_takes_nobody_for_hanging(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """C12: it was not asked in that time, so nobody failed to answer."""
    ward = Ward(context, processes, tmp_path)
    await ward.all_ready()
    before = ward.pids()
    os.kill(ward.pid, signal.SIGSTOP)
    await asyncio.sleep(3)  # seven heartbeats
    os.kill(ward.pid, signal.SIGCONT)
    await asyncio.sleep(2)
    await ward.all_ready()
    assert ward.pids() == before
    assert ward.alerts == []
    ward.close()


async def test_a_second_supervisor_refuses_to_start(
    context: zmq.SyncContext, processes: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """M17: it says so, and does no harm."""
    ward = Ward(context, processes, tmp_path)
    await ward.all_ready()
    before, first = ward.pids(), ward.pid
    ward.start()
    assert processes.wait(ward.pid) == 1
    assert f"supervisor runs already in {ward.run_dir}, as {first}" in capfd.readouterr().err
    await ward.all_ready()
    assert ward.pids() == before
    ward.close()


async def test_a_killed_supervisor_takes_nobody_along(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """G2: components answer without it."""
    ward = Ward(context, processes, tmp_path)
    await ward.all_ready()
    processes.kill(ward.pid)
    client = ControlClient(context, f"ipc://{ward.run_dir}/a.control")
    information = await client.call(Info())
    assert (information.component, information.state) == ("a", "ready")
    client.close()
    ward.close()


def test_each_service_gets_its_bootstrap_arguments_and_no_more(tmp_path: Path) -> None:
    """G5."""
    bootstrap = Bootstrap(tmp_path, "ipc:///d", "supervisor", "info", {"data": "/var/x.db"})
    commands = {service.identity: service.command(bootstrap) for service in SERVICES}
    assert list(commands) == ["bus", "datastore", "dataplane", "openflow", "statesync", "routing"]
    common = ["--run-dir", str(tmp_path), "--datastore", "ipc:///d"]
    for identity, command in commands.items():
        assert command[4:10] == [*common, "--identity", identity]
    assert commands["datastore"][12:] == ["--data", "/var/x.db"]
    assert Service("x", "m").command(bootstrap)[3] == "m"


def test_where_a_network_hears_each_service(tmp_path: Path) -> None:
    """T8: the datastore first, the others so far behind that no two sockets have one port."""
    options, listen = {"data": "/var/x.db"}, "tcp://192.0.2.1:7000"
    bootstrap = Bootstrap(tmp_path, "ipc:///d", "supervisor", options=options, listen=listen)
    commands = {service.identity: service.command(bootstrap) for service in SERVICES}
    places = {name: command[command.index("--listen") + 1] for name, command in commands.items()}
    assert places["datastore"] == listen
    ports = sorted(int(place.rpartition(":")[2]) for place in places.values())
    gaps = [after - before for before, after in pairwise([*ports, 7000 + SUPERVISOR_PORT])]
    assert min(gaps) >= 4
