"""Start the components, watch them, start them again, and tell everybody.

Each component has one task here, which follows its Watch.  Components that run
already, found by the lock of their identity, are adopted: so the supervisor
itself can be killed and started again, and nothing else notices.
"""

import asyncio
import contextlib
import logging
import signal
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..component import Bootstrap, Component, holder
from ..component.listening import nth
from ..message import (
    Alert,
    CallError,
    Change,
    Code,
    ControlClient,
    Failure,
    Info,
    Information,
    Restart,
)
from ..message.path import find, parse_path
from .cgroup import Group
from .child import Child
from .services import SERVICES, SUPERVISOR_PORT, Service
from .users import Users
from .watch import Policy, State, Watch

STOP_PATIENCE = 5.0  # seconds from SIGTERM to SIGKILL
FIRST_LOOK = 0.05  # seconds between questions to a component that starts
TURN = 3.0  # seconds that a slow start holds up the start of others
RESUBSCRIBE = 0.5  # seconds until subscribers are back at a new bus
AGENTS = "/raicho/agent"

log = logging.getLogger(__name__)


class Ward:
    """One component under supervision."""

    def __init__(self, service: Service, watch: Watch, client: ControlClient) -> None:
        self.service = service
        self.watch = watch
        self.client = client
        self.child: Child | None = None
        self.information: Information | None = None
        self.alert: Alert | None = None  # the last
        self.enabled = asyncio.Event()  # it is to run
        self.enabled.set()
        self.is_stopping = False  # its end is wanted


class Supervisor(Component):
    """Keep the services of a table running."""

    name = "supervisor"

    def __init__(
        self,
        bootstrap: Bootstrap,
        services: Sequence[Service] = SERVICES,
        policy: Policy | None = None,
    ) -> None:
        own = nth(bootstrap.listen, SUPERVISOR_PORT) if bootstrap.listen else ""
        super().__init__(msgspec.structs.replace(bootstrap, listen=own))
        self._starting = bootstrap  # what the others are told
        self.wards: list[Ward] = []
        self.alerts: deque[Alert] = deque(maxlen=100)
        self._services = services
        self._policy = policy or Policy()
        self._one_at_a_time = asyncio.Lock()
        self._prepared: frozenset[str] = frozenset()  # agents that are to be disabled
        self._told = asyncio.Event()  # which are
        self.subscriptions = [AGENTS]
        del self.answers[Restart]  # it would stop all others

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Add where the data is, and how components are kept apart."""
        parser.add_argument("--data", default="/var/lib/raicho/config.db")
        parser.add_argument("--user", default="", help="[COMPONENT=]USER,... to run them as")
        parser.add_argument("--group", default="", help="what those share; the first one's")
        parser.add_argument("--cgroup", default="", help="a folder, for a group of each")

    async def open(self) -> None:
        """Begin to bring the components up."""
        options = self.bootstrap.options
        try:
            self._users = Users(options.get("user", ""), options.get("group", ""), self._services)
        except ValueError as error:
            raise OSError(f"--user: {error}") from None
        self._users.prepare(self.bootstrap, self._services)
        parent = options.get("cgroup")
        self._groups = {
            service.identity: Group(Path(parent), service.identity)
            for service in self._services
            if parent
        }
        for service in self._services:
            client = ControlClient(
                self.context, self.bootstrap.endpoint(f"{service.identity}.control")
            )
            self.wards.append(Ward(service, Watch(self._policy, time.monotonic()), client))
        self.spawn(self._bring_up())

    async def close(self) -> None:
        """Stop the components, the last started first."""
        for ward in reversed(self.wards):
            if ward.child:
                log.info("stopping %s", ward.service.identity)
                await ward.child.stop(STOP_PATIENCE)
            ward.client.close()

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Note which agents are to run."""
        rows = config.get("raicho", {}).get("agent", [])
        self._prepared = frozenset(row["name"] for row in rows if not row.get("enabled", True))

    async def commit(self, txid: str) -> None:
        """Begin to stop those that are disabled, and to start the others."""
        for ward in self._agents():
            if ward.service.identity not in self._prepared:
                ward.enabled.set()
            elif ward.enabled.is_set():
                ward.enabled.clear()
                self.spawn(self._stop(ward))
        self._told.set()

    def _agents(self) -> list[Ward]:
        return [ward for ward in self.wards if ward.service.is_agent]

    def state(self, path: str) -> Any:
        """Return the rows of /components, of /alerts or of /agent."""
        match path.strip("/"):
            case "components":
                return [_row(ward, time.monotonic()) for ward in self.wards]
            case "alerts":
                return [[alert.component, alert.cause, alert.pid] for alert in self.alerts]
        agents = [
            {"name": ward.service.identity, "enabled": ward.enabled.is_set()}
            for ward in self._agents()
        ]
        found = find({"agent": agents, "raicho": {"agent": agents}}, parse_path(path))
        if found is not None:
            return found
        reason = "no such state; the supervisor has /components, /alerts and /agent"
        raise CallError(Failure(Code.NOT_FOUND, reason, path))

    async def _bring_up(self) -> None:
        """Start the components in order, each when the one before answers."""
        for ward in self.wards:
            if ward.service.is_agent and self.registers:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), TURN)
            if ward.enabled.is_set():
                await self._begin(ward)
            self.spawn(self._mind(ward))

    async def _mind(self, ward: Ward) -> None:
        """Follow one component for ever."""
        while True:
            while ward.child and not ward.child.ended.done():
                await self._beat(ward, self._policy.heartbeat)
            await asyncio.sleep(max(0.0, ward.watch.due - time.monotonic()))
            await ward.enabled.wait()
            await self._begin(ward)

    async def _stop(self, ward: Ward) -> None:
        """Stop a component, also one that another supervisor has started."""
        async with self._one_at_a_time:  # none begins meanwhile
            if ward.enabled.is_set() or (ward.child is None and not self._adopt(ward)):
                return
            assert ward.child is not None
            if not ward.child.ended.done():
                log.info("stopping %s, which is disabled", ward.service.identity)
                ward.is_stopping = True
                await ward.child.stop(STOP_PATIENCE)
                ward.watch.stopped(time.monotonic())
                ward.information = None

    async def _begin(self, ward: Ward) -> None:
        """Start or adopt a component; let no other start until it answers."""
        async with self._one_at_a_time:
            if not ward.enabled.is_set():
                return
            ward.is_stopping = False
            self._start_or_adopt(ward)
            deadline = time.monotonic() + TURN
            while ward.watch.state is State.STARTING and time.monotonic() < deadline:
                await self._beat(ward, FIRST_LOOK)
        if ward.service.identity == "bus" and ward.alert:
            await asyncio.sleep(RESUBSCRIBE)  # nobody heard of it while it was away
            self._publish(ward.alert)

    def _start_or_adopt(self, ward: Ward) -> None:
        if self._adopt(ward):
            return
        ward.watch.started(time.monotonic())
        try:
            ward.child = self._start(ward.service)
        except OSError as error:  # no memory or no process to be had: later, perhaps
            self._lost(ward, f"could not be started: {error.strerror}")
            return
        log.info("started %s as %d", ward.service.identity, ward.child.pid)

    def _start(self, service: Service) -> Child:
        command = [*self._users.prefix(service), *service.command(self._starting)]
        return Child.start(command, self._groups.get(service.identity), service.oom_score)

    def _adopt(self, ward: Ward) -> bool:
        """Take over the process of a component, if there is one."""
        pid = holder(self.bootstrap.run_dir, ward.service.identity)
        ward.child = None
        if pid is None:
            return False
        try:
            ward.child = Child(pid)
        except ProcessLookupError:
            return False
        ward.watch.adopted(time.monotonic())
        log.info("adopted %s, which runs as %d", ward.service.identity, pid)
        return True

    async def _beat(self, ward: Ward, interval: float) -> None:
        """Ask the component once and wait out *interval*; act on what is seen."""
        child = ward.child
        assert child is not None
        began = time.monotonic()
        question = asyncio.create_task(self._ask(ward))
        either: set[asyncio.Future[Any]] = {question, child.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        question.cancel()
        left = began + interval - time.monotonic()
        if not child.ended.done() and left > 0:
            await asyncio.wait([child.ended], timeout=left)
        longest = max(interval, self._policy.heartbeat)
        ward.watch.excuse(max(0.0, time.monotonic() - began - longest))
        if child.ended.done():
            self._lost(ward, child.ended.result())
        elif complaint := ward.watch.complaint(time.monotonic(), child.works()):
            child.send(signal.SIGKILL)
            await child.ended
            self._lost(ward, complaint)

    async def _ask(self, ward: Ward) -> None:
        try:
            ward.information = await ward.client.call(Info(), self._policy.heartbeat)
        except CallError:
            return  # the Watch counts the time
        ward.watch.heard(time.monotonic())

    def _lost(self, ward: Ward, cause: str) -> None:
        """Tell everybody that a component is gone."""
        if ward.is_stopping:
            return
        pid = ward.child.pid if ward.child else 0
        alert = Alert(ward.service.identity, cause, pid, ward.watch.restarts)
        ward.watch.ended(time.monotonic())
        ward.information = None
        ward.alert = alert
        self.alerts.append(alert)
        log.error("%s (pid %d) %s", alert.component, alert.pid, cause)
        self._publish(alert)

    def _publish(self, alert: Alert) -> None:
        self.publisher.publish(f"alert.{alert.component}", alert)


def _row(ward: Ward, now: float) -> dict[str, Any]:
    """Return what `raicho status` shows of a component."""
    info = ward.information
    health = info.state if info else ""
    running = ward.watch.state is not State.WAIT
    idle = str(ward.watch.state) if ward.enabled.is_set() or running else "disabled"
    return {
        "component": ward.service.identity,
        "pid": ward.child.pid if ward.child and running else None,
        "state": health if ward.watch.state is State.UP and health else idle,
        "uptime": round(info.uptime, 1) if info else None,
        "restarts": ward.watch.restarts,
        "version": info.version if info else None,
        "last_alert": ward.alert.cause if ward.alert else None,
        "adopted": bool(ward.child and ward.child.adopted),
    }
