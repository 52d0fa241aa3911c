"""Components that are other users, in control groups of their own: real processes, as root."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from system.needs import needs

from raicho.control.component import Bootstrap
from raicho.control.message import Alert, ControlClient, Event, Get, Subscriber
from raicho.control.supervisor.services import Service
from raicho.control.supervisor.users import Users

TOY = """
import signal, sys
from raicho.control.component import Component, run

def take_all(*ignored):
    held = []
    while True:
        held.append(b"x" * (1 << 20))

class Toy(Component):
    name = "toy"
    registers = False

    async def open(self):
        signal.signal(signal.SIGUSR1, take_all)

sys.exit(run(Toy))
"""

#: The Python of these tests may lie where only root may go.
NURSE = """
import sys
from raicho.control.component import run
from raicho.control.supervisor import Supervisor
from raicho.control.supervisor.services import Service

SERVICES = [
    Service("bus", "raicho.control.bus", capabilities=("dac_read_search",)),
    Service("a", "toy", capabilities=("dac_read_search",), oom_score=500),
    Service("b", "toy", needs_root=True),
]

class Nurse(Supervisor):
    registers = False

    def __init__(self, bootstrap):
        super().__init__(bootstrap, SERVICES)

sys.exit(run(Nurse))
"""
CALLER = """
import asyncio, sys, zmq
from raicho.control.message import CallError, ControlClient, Ping

async def main():
    client = ControlClient(zmq.Context(), sys.argv[1])
    try:
        await client.call(Ping(), float(sys.argv[2]))
        print("answered")
    except CallError as error:
        print(error.failure.code.name)

asyncio.run(main())
"""

pytestmark = needs("setpriv")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that others may pass through, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="rch", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


class Ward:
    """A supervisor with a bus and two toys, started with options."""

    def __init__(
        self, context: zmq.SyncContext, processes: Any, folder: Path, *options: str
    ) -> None:
        (folder / "toy.py").write_text(TOY)
        (folder / "nurse.py").write_text(NURSE)
        self.run_dir: Path = processes.run_dir
        self.alerts: list[Alert] = []
        self._client = ControlClient(context, f"ipc://{self.run_dir}/supervisor.control")
        self._subscriber = Subscriber(
            context, f"ipc://{self.run_dir}/bus.sub", ["alert."], self._hear
        )
        self.pid = processes.start("nurse", *options, path=str(folder))

    def close(self) -> None:
        self._client.close()
        self._subscriber.close()

    async def pids(self) -> dict[str, int]:
        """Return the PIDs once all answer."""
        async with asyncio.timeout(60):
            while True:
                rows = (await self._client.call(Get("/components"), 60)).data
                if all(row["version"] for row in rows):
                    return {row["component"]: row["pid"] for row in rows}
                await asyncio.sleep(0.05)

    async def alert(self) -> Alert:
        async with asyncio.timeout(60):
            while not self.alerts:
                await asyncio.sleep(0.02)
        return self.alerts[0]

    def _hear(self, event: Event) -> None:
        assert isinstance(event.body, Alert)
        self.alerts.append(event.body)


def status(pid: int, name: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))


async def ping(processes: Any, user: str, gid: int, endpoint: str, patience: float) -> str:
    """Ask as another user; that it may read our Python says nothing of sockets."""
    capability = "+dac_read_search"
    process = await asyncio.create_subprocess_exec(
        *("setpriv", f"--reuid={user}", f"--regid={gid}", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}", "--"),
        *(sys.executable, "-c", CALLER, endpoint, str(patience)),
        stdout=asyncio.subprocess.PIPE,
        env=processes.environment(),
    )
    said, _ = await process.communicate()
    return said.decode().strip()


async def test_components_are_the_users_that_they_are_to_be_and_reach_each_other(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """C14: a user for each, one group for all; nobody else gets in."""
    ward = Ward(context, processes, tmp_path, "--user", "nobody,a=daemon")
    pids = await ward.pids()
    gid = Users("nobody", "", [Service("bus", "")]).gid
    uids = {name: int(status(pid, "Uid")[1]) for name, pid in pids.items()}
    assert uids == {"bus": 65534, "a": 1, "b": 0}
    assert {int(status(pids[name], "Gid")[1]) for name in ("bus", "a")} == {gid}
    assert status(pids["a"], "NoNewPrivs") == ["1"]
    assert (ward.run_dir.stat().st_mode & 0o7777, ward.run_dir.stat().st_gid) == (0o2770, gid)
    for name in ("bus", "a", "b", "supervisor"):
        endpoint = f"ipc://{ward.run_dir}/{name}.control"
        assert await ping(processes, "daemon", gid, endpoint, 60) == "answered"
    endpoint = f"ipc://{ward.run_dir}/b.control"
    assert await ping(processes, "games", 60, endpoint, 1) == "TIMEOUT"

    os.kill(pids["a"], signal.SIGKILL)
    assert (await ward.alert()).cause == "was killed by SIGKILL"
    now = await ward.pids()
    assert {**now, "a": 0} == {**pids, "a": 0}
    assert int(status(now["a"], "Uid")[1]) == 1
    ward.close()


async def test_who_was_root_before_can_be_another_user(
    context: zmq.SyncContext, processes: Any, tmp_path: Path
) -> None:
    """C14: what the last run has left behind is in nobody's way."""
    for options in ((), ("--user", "nobody")):
        ward = Ward(context, processes, tmp_path, *options)
        pids = await ward.pids()
        os.kill(ward.pid, signal.SIGTERM)
        assert processes.wait(ward.pid) == 0
        ward.close()
    assert all(not Path(f"/proc/{pid}").exists() for pid in pids.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--user", "no-such-user"], "there is no user no-such-user"),
        (["--user", "b=nobody"], "b cannot have a user of its own; a, bus can"),
        (["--user", "nobody", "--group", "no-such-group"], "there is no group no-such-group"),
        (["--cgroup", "/usr"], "/usr is no control group"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    processes: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    (tmp_path / "nurse.py").write_text(NURSE)
    pid = processes.start("nurse", *options, path=str(tmp_path))
    assert processes.wait(pid) == 1
    assert said in capfd.readouterr().err


@pytest.mark.parametrize("is_there", [False, True])
def test_data_that_a_user_cannot_write_is_refused(tmp_path: Path, is_there: bool) -> None:
    """C14: the error names the user and the path; a folder that is made belongs to the user."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    folder = tmp_path / "data"
    if is_there:
        folder.mkdir(mode=0o700)
    service = Service("db", "", ("--data", "{data}"), capabilities=("dac_read_search",))
    users = Users("daemon", "", [service])
    bootstrap = Bootstrap(run_dir, "", "supervisor", options={"data": str(folder / "x.db")})
    mask = os.umask(0o022)
    try:
        if is_there:
            with pytest.raises(
                OSError, match=f"db cannot run as daemon, who cannot write {folder}"
            ):
                users.prepare(bootstrap, [service])
        else:
            users.prepare(bootstrap, [service])
            assert folder.stat().st_uid == 1
    finally:
        os.umask(mask)


def memory_group() -> Path | None:
    """Return our own control group, where it can limit memory."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return Path("/sys/fs/cgroup/memory" + path)
    own = Path("/sys/fs/cgroup" + path)
    return own if (own / "memory.max").exists() else None


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group in which there may be others."""
    parent = memory_group()
    if parent is None:
        pytest.skip("needs a control group that limits memory")
    path = parent / f"rch{os.getpid()}"
    path.mkdir()
    yield path
    for folder in (*path.iterdir(), path):
        if folder.is_dir():
            folder.rmdir()


async def test_a_component_that_exhausts_its_group_is_killed_alone(
    context: zmq.SyncContext, processes: Any, tmp_path: Path, group: Path
) -> None:
    """C14, G7: the kernel kills it, the alert says so, and it is started again in the group."""
    ward = Ward(context, processes, tmp_path, "--cgroup", str(group))
    pids = await ward.pids()
    for name, pid in pids.items():
        assert str(pid) in (group / name / "cgroup.procs").read_text().split()
    assert Path(f"/proc/{pids['a']}/oom_score_adj").read_text().strip() == "500"
    await asyncio.sleep(0.6)  # until the subscription has reached the supervisor
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (limit := group / "a" / name).exists():
            limit.write_text(str(256 << 20))
    os.kill(pids["a"], signal.SIGUSR1)
    alert = await ward.alert()
    assert (alert.component, alert.pid) == ("a", pids["a"])
    assert alert.cause == "was killed by the kernel: its group ran out of memory"
    now = await ward.pids()
    assert {**now, "a": 0} == {**pids, "a": 0}
    assert str(now["a"]) in (group / "a" / "cgroup.procs").read_text().split()
    os.kill(ward.pid, signal.SIGTERM)
    assert processes.wait(ward.pid) == 0
    ward.close()
