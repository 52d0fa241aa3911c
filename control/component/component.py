"""The frame of a component: sockets, the common requests, registration, health."""

import asyncio
import inspect
import logging
import os
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import zmq

from .. import __version__
from ..message import (
    Abort,
    Api,
    BulkServer,
    CallError,
    Change,
    Code,
    Commit,
    ControlClient,
    ControlServer,
    Done,
    Failure,
    Get,
    Info,
    Information,
    Message,
    Modules,
    Ping,
    Pong,
    Prepare,
    Prepared,
    Publisher,
    Register,
    Request,
    Restart,
    Sample,
    Schema,
    Stats,
    Value,
)
from ..message.datastore import Rollback
from ..message.exhaustion import end_if_exhausted
from ..message.gate import Gate
from ..message.keys import Keys, context_with, load
from ..message.trace import traced, traced_bulk
from . import logs, memory
from .listening import nth
from .lock import Lock
from .phases import Phases, StartAgain
from .registration import TTL, Registration

log = logging.getLogger(__name__)

FAREWELL = 0.05  # seconds in which the last replies leave
TRACE = "trace.{}"  # topic
LOG_PATH = "/raicho/log/component[name='{}']"  # a component takes its log level from here
PROCESS_PATH = "/raicho/process[name='{}']"  # and the limits of its process

Answer = Callable[[bytes, Any], Awaitable[Message]]


class Bootstrap(msgspec.Struct, frozen=True):
    """All that a component is told when it starts; the rest is configuration."""

    run_dir: Path
    datastore: str
    identity: str
    log_level: str = logs.DEFAULT_LEVEL
    options: Mapping[str, str] = {}
    keys: Path | None = None  # a folder; without, sockets are open to whoever may enter the run_dir
    listen: str = ""  # tcp://ADDRESS:PORT, where its first socket is heard too

    def endpoint(self, name: str) -> str:
        """Return the ipc endpoint *name* in the run directory."""
        return f"ipc://{self.run_dir}/{name}"

    def endpoints(self, name: str, number: int) -> list[str]:
        """Return where the socket *name* is to be bound, which is the one of this number."""
        heard = [nth(self.listen, number)] if self.listen else []
        return [self.endpoint(name), *heard]


class Component:
    """One process of raicho.  Subclasses fill in the attributes and hooks.

    Hooks run in the event loop.  `open` comes before the control endpoint
    answers, `close` after it stopped.  `prepare`, `commit` and `abort` never
    overlap.  A subclass with requests of its own adds to `self.answers`.
    """

    name: ClassVar[str] = ""  # the usual identity
    registers: ClassVar[bool] = True  # False for the datastore itself
    rollback: ClassVar[Rollback] = "soft"  # or "reinit": commit() only ever goes forth
    ttl: ClassVar[float] = TTL
    needs_memory: ClassVar[bool] = True  # it ends when it gets no more

    def __init__(self, bootstrap: Bootstrap) -> None:
        self.bootstrap = bootstrap
        self.identity = bootstrap.identity
        self.instance = uuid.uuid4().hex
        self.state_of_health = "starting"
        self.yang: list[str] = []  # texts of the modules it brings
        self.apis: dict[str, list[str]] = {}  # by name, the endpoints that serve it
        self.subscriptions: list[str] = []  # top-level paths
        self.bulk: BulkServer | None = None  # if it has one, which `open` opens
        self.stopping = asyncio.Event()
        self.exit_code = 0
        self.again = False  # whether another one shall follow in this process
        self.answers: dict[type[Request[Any]], Answer] = {
            Ping: self._ping,
            Info: self._info,
            Schema: self._schema,
            Prepare: self._prepare,
            Commit: self._commit,
            Abort: self._abort,
            Restart: self._restart,
            Get: self._get,
            Stats: self._stats,
        }
        self._common = frozenset(self.answers)
        self._started = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._phases = Phases(self, only_forth=self.rollback == "reinit")
        self._registration: Registration | None = None
        self._traces = False

    # What subclasses fill in.

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Add bootstrap arguments beyond the common ones; they arrive as options."""

    async def open(self) -> None:
        """Open what the component serves."""

    async def close(self) -> None:
        """Close what `open` opened; also called when that failed half-way."""

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Check a configuration and get ready for it; raise ConfigError to refuse."""

    async def commit(self, txid: str) -> None:
        """Let what was prepared take effect."""

    async def abort(self, txid: str) -> None:
        """Forget what was prepared."""

    def state(self, path: str) -> Any:
        """Return the state at *path*, also as an awaitable; raise CallError if unknown.

        The paths /log, /log/level, /process, /config and /api are answered for every component.
        """
        raise CallError(Failure(Code.NOT_FOUND, "no such state", path))

    def operations(self) -> list[dict[str, Any]]:
        """Return what it answers beside the requests in `answers`, as rows of /api.

        Each has api, verbs, by (what the operation goes through), operation and text.
        """
        return []

    def stats(self, names: list[str]) -> Any:
        """Return counters as a dict, also as an awaitable; no names means all."""
        return {}

    # Life.

    async def start(self) -> None:
        """Take the identity, open everything and answer."""
        self._check_room()
        self.bootstrap.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = load(self.bootstrap.keys)
        self._check_listen(keys)
        self._lock = Lock(self.bootstrap.run_dir, self.identity)
        self.context = context_with(keys)
        folder = self.bootstrap.keys
        self._gate = Gate(self.context, keys, folder) if keys and folder else None
        self.endpoint, *also = self.offer(f"{self.identity}.control", 0)
        self.publisher = Publisher(self.context, self.bootstrap.endpoint("bus.pub"), self.identity)
        self.datastore = ControlClient(self.context, self.bootstrap.datastore)
        self._server: ControlServer | None = None
        try:
            await self.open()
            self._server = ControlServer(self.context, self.endpoint, self.handle, also=also)
            self._set_taps()
        except BaseException:
            await self.stop()
            raise
        self.state_of_health = "degraded" if self.registers else "ready"
        if self.registers:
            self._registration = Registration(
                self.datastore, self._register(), self._registration_changed
            )
            self.spawn(self._registration.keep())

    def _check_listen(self, keys: Keys | None) -> None:
        """Refuse to be heard by a network without asking who is there."""
        if self.bootstrap.listen and keys is None:
            raise OSError(f"to listen at {self.bootstrap.listen} takes keys (--keys)")

    def offer(self, api: str, number: int) -> list[str]:
        """Return where to bind the socket of an *api*; the registry will say so.

        The first is in the run directory.  Where a network is listened to, another one is as many
        ports behind that of the control socket, the *number* of which is 0.
        """
        self.apis[api] = self.bootstrap.endpoints(api, number)
        return self.apis[api]

    def _check_room(self) -> None:
        """Refuse a run directory whose sockets would have paths that are too long."""
        longest = os.fsencode(self.bootstrap.run_dir / f"{self.identity}.control")
        if (excess := len(longest) - zmq.IPC_PATH_MAX_LEN) > 0:
            where = self.bootstrap.run_dir
            raise OSError(f"the path of {where} is {excess} bytes too long for sockets in it")

    async def stop(self) -> None:
        """Close everything; a second time does nothing."""
        if self.context.closed:
            return
        self.state_of_health = "stopping"
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._registration and not self.again:
            await self._registration.leave()
        if self._server:
            self._server.close()
        try:
            await self.close()
        finally:
            self.publisher.close()
            self.datastore.close()
            if self._gate:
                self._gate.close()
            self.context.destroy(linger=0)
            self._lock.release()

    def take_common_settings(self, config: dict[str, Any]) -> None:
        """Log, trace messages and limit the memory as a configuration says."""
        memory.take(memory.limit_in(config, self.identity))
        settings = logs.settings_in(config, self.identity)
        logs.set_level(settings.level or self.bootstrap.log_level, settings.topics)
        self._traces = settings.traces_messages
        self._set_taps()

    def _set_taps(self) -> None:
        if self._server:
            self._server.tap = self._trace if self._traces else None
        if self.bulk:
            self.bulk.tap = self._trace_bulk if self._traces else None

    def _trace(self, sent: bool, peer: bytes, frame: bytes) -> None:
        self.publisher.publish(TRACE.format(self.identity), traced(sent, peer, frame))

    def _trace_bulk(
        self, sent: bool, peer: bytes, header: Message, payload: Sequence[bytes]
    ) -> None:
        event = traced_bulk(sent, peer, header, payload)
        self.publisher.publish(TRACE.format(self.identity), event)

    def start_again(self, why: str) -> None:
        """Stop, and let a new component of this kind take over by run()."""
        if not self.again:
            log.warning("starting again: %s", why)
            self.again = True
            asyncio.get_running_loop().call_later(FAREWELL, self.stopping.set)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* beside the rest; if it fails, the component stops with an error."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)
        return task

    def _spawned_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            end_if_exhausted(error)
            log.error("a task failed, the component stops", exc_info=error)
            self.exit_code = 1
            self.stopping.set()

    def _register(self) -> Register:
        apis = [Api(name, where) for name, places in self.apis.items() for where in places]
        return Register(
            component=self.identity,
            version=__version__,
            modules=self.yang,
            apis=apis,
            subscriptions=[
                *self.subscriptions,
                *(path.format(self.identity) for path in (LOG_PATH, PROCESS_PATH)),
            ],
            endpoint=self.endpoint,
            ttl=self.ttl,
            rollback=self.rollback,
            instance=self.instance,
        )

    def _registration_changed(self, registered: bool) -> None:
        if self.state_of_health in ("ready", "degraded"):
            self.state_of_health = "ready" if registered else "degraded"

    # Requests.

    async def handle(self, peer: bytes, request: Request[Any]) -> Message:
        """Answer a request by the method that `answers` names."""
        answer = self.answers.get(type(request))
        if answer is None:
            name = type(request).__name__
            raise CallError(Failure(Code.UNSUPPORTED, f"{self.identity} does not answer {name}"))
        return await answer(peer, request)

    async def _ping(self, peer: bytes, request: Ping) -> Pong:
        return Pong(self.instance)

    async def _info(self, peer: bytes, request: Info) -> Information:
        uptime = time.monotonic() - self._started
        return Information(
            self.identity, __version__, os.getpid(), uptime, self.state_of_health, self.instance
        )

    async def _schema(self, peer: bytes, request: Schema) -> Modules:
        return Modules(self.yang)

    async def _get(self, peer: bytes, request: Get) -> Value:
        match request.path.strip("/"):
            case "log":
                return Value(self._log_state())
            case "log/level":
                return Value(logs.level())
            case "process":
                return Value({"memory-limit": memory.limit()})
            case "config":
                held = self._phases.held
                return Value(held and {"revision": held.revision, "config": held.config})
            case "api":
                return Value([*self._requests(), *self.operations()])
        return Value(await _result(self.state(request.path)))

    def _requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests that it answers, as rows of `Get` of /api."""
        for request in self.answers:
            yield {
                "api": "control" if request in self._common else f"control/{self.identity}",
                "verbs": [],
                "by": "control",
                "operation": request.__name__,
                "text": (request.__doc__ or "").partition("\n")[0],
            }

    def _log_state(self) -> dict[str, Any]:
        """Return what is logged, with the names of the schema."""
        topics = [{"name": name, "level": level} for name, level in logs.topics().items()]
        return {"level": logs.level(), "topic": topics, "trace-messages": self._traces}

    async def _stats(self, peer: bytes, request: Stats) -> Sample:
        own = {
            "control": dict(self._server.counters) if self._server else {},
            "gate": {"refused": self._gate.refused} if self._gate else {},
            "events": dict(self.publisher.counters),
            "process": {"memory": memory.in_use()},
        }
        data = own | await _result(self.stats(request.names))
        if request.names:
            data = {name: data[name] for name in request.names if name in data}
        return Sample(time.time(), data)

    async def _prepare(self, peer: bytes, request: Prepare) -> Prepared:
        try:
            if self.again:
                raise StartAgain
            self._check_process(request)
            await self._phases.prepare(request)
        except StartAgain:
            self.start_again("it can only take this when it holds nothing")
            failure = Failure(Code.UNAVAILABLE, "it starts again", participant=self.identity)
            raise CallError(failure) from None
        return Prepared()

    def _check_process(self, request: Prepare) -> None:
        """Refuse a change that would end this process."""
        wanted = memory.limit_in(request.config, self.identity)
        if not request.whole and (reason := memory.objection(wanted)):
            path = f"{PROCESS_PATH.format(self.identity)}/memory-limit"
            raise CallError(Failure(Code.INVALID, reason, path, self.identity))

    async def _commit(self, peer: bytes, request: Commit) -> Done:
        if prepared := await self._phases.commit(request.txid):
            self.take_common_settings(prepared.config)
        return Done()

    async def _abort(self, peer: bytes, request: Abort) -> Done:
        await self._phases.abort(request.txid)
        return Done()

    async def _restart(self, peer: bytes, request: Restart) -> Done:
        if request.instance == self.instance:
            self.start_again("the datastore asks for it, after a transaction that failed")
        return Done()


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
