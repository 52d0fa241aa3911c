"""How a process ended, told from real ones."""

import asyncio
import resource
import signal
import sys
from pathlib import Path

import pytest

from raicho.control.component import Bootstrap
from raicho.control.message.exhaustion import EXIT_CODE
from raicho.control.supervisor import Supervisor
from raicho.control.supervisor.child import Child
from raicho.control.supervisor.services import Service

WITH_A_LIMIT = """
import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, resource.RLIM_INFINITY))
{}
"""


async def how(text: str) -> str:
    child = Child.start([sys.executable, "-c", text])
    return await asyncio.wait_for(child.ended, 20)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "was killed by signal 40"),
        (f"raise SystemExit({EXIT_CODE})", "ran out of memory"),
        (
            WITH_A_LIMIT.format(f"sys.exit({EXIT_CODE})"),
            "ran out of memory; its limit is 300 MiB",
        ),
        (
            WITH_A_LIMIT.format("os.abort()"),
            "was killed by SIGABRT; its limit is 300 MiB",
        ),
        (WITH_A_LIMIT.format("os.kill(os.getpid(), 15)"), "was killed by SIGTERM"),
    ],
)
async def test_the_cause_of_an_end_is_told(text: str, cause: str) -> None:
    """G7, C14."""
    assert await how(text) == cause


async def test_who_works_is_told_from_who_is_stopped_or_sleeps() -> None:
    """C12."""
    busy = Child.start([sys.executable, "-c", "while True: pass"])
    idle = Child.start([sys.executable, "-c", "import time; time.sleep(1000)"])
    async with asyncio.timeout(20):
        while idle.works() or not busy.works():
            await asyncio.sleep(0.05)
        busy.send(signal.SIGSTOP)
        while busy.works():
            await asyncio.sleep(0.05)
    for child in (busy, idle):
        await child.stop(5)
        assert not child.works()


async def test_a_child_has_none_of_our_limit() -> None:
    """C14: what the supervisor may use is nothing that its children may."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    parent = (
        "import asyncio, sys\n"
        "from raicho.control.component import memory\n"
        "from raicho.control.supervisor.child import Child\n"
        "memory.take(4096)\n"
        "async def main(): print(await Child.start(\n"
        f"    [sys.executable, '-c', {script!r}]).ended, memory.limit())\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.decode().split("\n")[:2] == [str(before[0]), "ended with exit code 0 4096"]


async def test_what_cannot_be_started_is_told_of_and_tried_again(tmp_path: Path) -> None:
    """C13, C14: no memory for a fork, say; the supervisor does not end, and takes nobody along."""
    script = tmp_path / "toy"
    missing = Service("toy", "toy")

    class Nurse(Supervisor):
        registers = False

    nurse = Nurse(Bootstrap(tmp_path, f"ipc://{tmp_path}/d", "supervisor"), [missing])
    executable, sys.executable = sys.executable, str(script)
    try:
        await nurse.start()
        async with asyncio.timeout(20):
            while len(nurse.alerts) < 3:
                await asyncio.sleep(0.01)
        assert not nurse.stopping.is_set()
        assert {(a.component, a.cause, a.pid) for a in nurse.alerts} == {
            ("toy", "could not be started: No such file or directory", 0)
        }
        script.write_text("#!/bin/sh\nexec sleep 1000\n")
        script.chmod(0o755)
        async with asyncio.timeout(20):
            while not (nurse.wards[0].child and not nurse.wards[0].child.ended.done()):
                await asyncio.sleep(0.01)
    finally:
        sys.executable = executable
        await nurse.stop()


def test_no_exit_code_of_python_means_want_of_memory() -> None:
    assert EXIT_CODE not in (0, 1, 2, *(128 + number for number in signal.Signals))
