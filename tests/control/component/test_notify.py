"""What systemd is told: by a datagram socket as it has one, from a process as it starts one."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raicho.control.component.notify import Notifier

PATIENCE = 20.0


class Manager:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(PATIENCE)

    def hear(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def test_a_component_says_that_it_is_ready_alive_and_stopping(
    processes: Any, manager: Manager, tmp_path: Path
) -> None:
    """G6: readiness and watchdog."""
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    pid = processes.start("raicho.control.bus", **told)
    assert manager.hear()[0] == "READY=1"
    assert [manager.hear() for _ in range(3)] == [["WATCHDOG=1"]] * 3
    os.kill(pid, 15)
    while (heard := manager.hear()) == ["WATCHDOG=1"]:
        continue
    assert heard == ["STOPPING=1"]
    assert processes.wait(pid) == 0


def test_what_a_supervisor_starts_does_not_speak_in_its_name(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier(environment)
    assert environment == {"HOME": "/"}


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).period == 0
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}).period == 1.5


def test_sockets_without_a_file_are_spoken_to() -> None:
    name = f"raicho-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Notifier({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1", "STATUS=well")
    assert manager.hear() == ["READY=1", "STATUS=well"]
    manager.close()


async def test_without_systemd_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.tell("READY=1")
    await asyncio.wait_for(notifier.keep_alive(), PATIENCE)
