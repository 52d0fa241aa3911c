"""What every component does: answer, take part in transactions, stay registered."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.component import AlreadyRunning, Bootstrap, Component, Lock, holder
from raicho.control.component import registration as registration_module
from raicho.control.message import (
    Abort,
    CallError,
    Change,
    Code,
    Commit,
    ConfigError,
    ControlClient,
    ControlServer,
    Diff,
    Done,
    Failure,
    Get,
    Heartbeat,
    Info,
    Message,
    Modules,
    Ping,
    Prepare,
    Prepared,
    Register,
    Registered,
    Request,
    Restart,
    Schema,
    Stats,
    Unregister,
    Value,
)


class Lamp(Component):
    """A component that notes what is done to it."""

    name = "lamp"
    registers = False

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.yang = ["module lamp {}"]
        self.subscriptions = ["/raicho/lamp"]
        self.calls: list[str] = []

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        self.calls.append(f"prepare {txid}")
        if config.get("bad"):
            raise ConfigError("/raicho/lamp/bad", "too bright")

    async def commit(self, txid: str) -> None:
        self.calls.append(f"commit {txid}")
        if txid == "broken":
            raise RuntimeError("fuse")

    async def abort(self, txid: str) -> None:
        self.calls.append(f"abort {txid}")

    def state(self, path: str) -> Any:
        return {"path": path} if path == "/lamp" else super().state(path)

    def stats(self, names: list[str]) -> dict[str, Any]:
        return {"light": 3}


class Registering(Lamp):
    registers = True


class Forth(Lamp):
    """A lamp that can only be told what to do while it is dark."""

    rollback = "reinit"


class Datastore:
    """As much of a datastore as a component needs."""

    def __init__(self) -> None:
        self.lease = "one"
        self.seen: list[str] = []
        self.registers: list[Register] = []

    async def __call__(self, peer: bytes, request: Request[Any]) -> Message:
        self.seen.append(type(request).__name__)
        match request:
            case Register():
                self.registers.append(request)
                return Registered(self.lease, {}, 1)
            case Heartbeat(lease=lease) if lease != self.lease:
                raise CallError(Failure(Code.NOT_FOUND, "no such lease"))
            case Heartbeat() | Unregister():
                return Done()
        raise CallError(Failure(Code.UNSUPPORTED, "no"))


def bootstrap(tmp_path: Path) -> Bootstrap:
    return Bootstrap(tmp_path / "run", f"ipc://{tmp_path}/datastore", "lamp")


@asynccontextmanager
async def running(
    tmp_path: Path, kind: type[Lamp] = Lamp
) -> AsyncIterator[tuple[Lamp, ControlClient]]:
    lamp = kind(bootstrap(tmp_path))
    await lamp.start()
    client = ControlClient(lamp.context, lamp.endpoint)
    try:
        yield lamp, client
    finally:
        client.close()
        await lamp.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def prepare(txid: str, **config: Any) -> Prepare:
    whole = not txid.startswith("tx")
    return Prepare(txid, 1, [Change("/raicho/lamp", None, 1)], config, whole)


async def test_it_answers_the_common_requests(tmp_path: Path) -> None:
    """C1."""
    async with running(tmp_path) as (lamp, client):
        assert (await client.call(Ping())).instance == lamp.instance
        information = await client.call(Info())
        assert (information.component, information.state) == ("lamp", "ready")
        assert await client.call(Schema()) == Modules(["module lamp {}"])
        assert await client.call(Get("/lamp")) == Value({"path": "/lamp"})
        sample = await client.call(Stats())
        assert sample.data["light"] == 3
        assert sample.data["control"]["requests"] == 5
        assert set((await client.call(Stats(["light", "none"]))).data) == {"light"}
        assert await client.call(Get("/config")) == Value(None)
        assert await client.call(prepare("t")) == Prepared()
        assert await client.call(Commit("t")) == Done()
        assert await client.call(Abort("t")) == Done()


async def test_what_it_does_not_know_it_refuses_by_name(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        with pytest.raises(CallError, match="lamp does not answer Diff"):
            await client.call(Diff("s"))
        with pytest.raises(CallError, match="/x: no such state"):
            await client.call(Get("/x"))


async def test_phases_that_are_repeated_are_done_once(tmp_path: Path) -> None:
    """T2, T4."""
    async with running(tmp_path) as (lamp, client):
        for request in (prepare("t"), prepare("t"), Commit("t"), Commit("t"), Abort("t")):
            await client.call(request)
        assert lamp.calls == ["prepare t", "commit t"]
        held = Value({"revision": 1, "config": {}})
        assert await client.call(Get("/config")) == held


async def test_a_refusal_names_path_reason_and_participant(tmp_path: Path) -> None:
    """F15."""
    async with running(tmp_path) as (lamp, client):
        with pytest.raises(CallError) as caught:
            await client.call(prepare("t", bad=True))
        wanted = Failure(Code.INVALID, "too bright", "/raicho/lamp/bad", "lamp")
        assert caught.value.failure == wanted
        with pytest.raises(CallError, match="transaction t is not prepared"):
            await client.call(Commit("t"))
        assert lamp.calls == ["prepare t"]


async def test_a_new_prepare_takes_the_place_of_one_that_nobody_finished(tmp_path: Path) -> None:
    """T4: the coordinator died in between."""
    async with running(tmp_path) as (lamp, client):
        await client.call(prepare("old"))
        await client.call(prepare("new"))
        with pytest.raises(CallError, match="transaction old is not prepared"):
            await client.call(Commit("old"))
        await client.call(Commit("new"))
        assert lamp.calls == ["prepare old", "abort old", "prepare new", "commit new"]


async def test_an_abort_undoes_what_was_prepared_also_when_commit_failed(tmp_path: Path) -> None:
    async with running(tmp_path) as (lamp, client):
        await client.call(prepare("broken"))
        with pytest.raises(CallError, match="fuse"):
            await client.call(Commit("broken"))
        await client.call(Abort("broken"))
        await client.call(Abort("never heard of"))
        assert lamp.calls == ["prepare broken", "commit broken", "abort broken"]


async def test_one_that_only_goes_forth_is_synchronised_once(tmp_path: Path) -> None:
    """F16, C5: what it holds already is no work."""
    async with running(tmp_path, Forth) as (lamp, client):
        for txid in ("sync-1", "sync-2", "tx"):
            await client.call(prepare(txid, raicho={"lamp": {"volt": 5}}))
            await client.call(Commit(txid))
        await client.call(prepare("sync-3", raicho={"lamp": {"volt": 5}}))
        await client.call(Abort("sync-3"))
        assert lamp.calls == ["prepare sync-1", "commit sync-1", "prepare tx", "commit tx"]
        assert not lamp.again


@pytest.mark.parametrize("kind", [Lamp, Forth])
async def test_changes_of_what_it_does_not_hold_are_refused(
    tmp_path: Path, kind: type[Lamp]
) -> None:
    """T4: it was started again in the middle of a transaction."""
    async with running(tmp_path, kind) as (lamp, client):
        with pytest.raises(CallError, match="does not hold yet what this changes"):
            await client.call(prepare("tx-1"))
        await client.call(prepare("sync-1"))
        await client.call(Commit("sync-1"))
        await client.call(prepare("tx-1"))
        assert lamp.calls == ["prepare sync-1", "commit sync-1", "prepare tx-1"]


@pytest.mark.parametrize("txid", ["first", "broken"])
async def test_one_that_only_goes_forth_starts_again_to_take_something_else(
    tmp_path: Path, txid: str
) -> None:
    """F16, C5: also when a commit failed half-way, even for the same configuration."""
    async with running(tmp_path, Forth) as (lamp, client):
        await client.call(prepare(txid, raicho={"lamp": {"volt": 5}}))
        with suppress(CallError):
            await client.call(Commit(txid))
        for _ in range(2):
            with pytest.raises(CallError, match=r"starts again \(lamp\)"):
                config = {"lamp": {"volt": 5 if txid == "broken" else 6}}
                await client.call(prepare("sync-1", raicho=config))
        await asyncio.wait_for(lamp.stopping.wait(), 10)
        assert lamp.again


async def test_a_restart_is_for_one_instance(tmp_path: Path) -> None:
    """F16: repeated, it does not hit the one that came after."""
    async with running(tmp_path) as (lamp, client):
        await client.call(Restart("another"))
        assert not lamp.again
        await client.call(Restart(lamp.instance))
        await asyncio.wait_for(lamp.stopping.wait(), 10)
        assert lamp.again


async def test_the_log_level_follows_the_configuration(tmp_path: Path) -> None:
    """F11."""
    logger = logging.getLogger("raicho")
    before = logger.level
    log = {"log": {"component": [{"name": "lamp", "level": "debug"}, {"name": "x"}]}}
    try:
        async with running(tmp_path) as (_, client):
            await client.call(prepare("t1", raicho=log))
            await client.call(Commit("t1"))
            assert logger.level == logging.DEBUG
            assert await client.call(Get("/log/level")) == Value("debug")
            await client.call(prepare("t2", raicho={}))
            await client.call(Commit("t2"))
            assert logger.level == logging.INFO
    finally:
        logger.setLevel(before)


async def test_a_topic_has_a_level_of_its_own_for_as_long_as_it_is_configured(
    tmp_path: Path,
) -> None:
    """F11: and so have the topics below it."""
    names = ("raicho", "raicho.shop", "raicho.shop.till", "raicho.shopping")
    loggers = [logging.getLogger(name) for name in names]
    before = loggers[0].level
    entry = {"name": "lamp", "level": "error", "topic": [{"name": "shop", "level": "debug"}]}
    try:
        async with running(tmp_path) as (_, client):
            await client.call(prepare("t1", raicho={"log": {"component": [entry]}}))
            await client.call(Commit("t1"))
            levels = [logger.getEffectiveLevel() for logger in loggers]
            assert levels == [logging.ERROR, logging.DEBUG, logging.DEBUG, logging.ERROR]
            await client.call(prepare("t2", raicho={}))
            await client.call(Commit("t2"))
            assert {logger.getEffectiveLevel() for logger in loggers} == {logging.INFO}
    finally:
        loggers[0].setLevel(before)


async def test_it_starts_without_a_datastore_and_registers_when_there_is_one(
    context: zmq.SyncContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C4, C13, T8: and again when the datastore was started anew; it says goodbye."""
    monkeypatch.setattr(registration_module, "HEARTBEAT", 0.02)
    async with running(tmp_path, Registering) as (lamp, client):
        assert (await client.call(Info())).state == "degraded"
        datastore = Datastore()
        server = ControlServer(context, f"ipc://{tmp_path}/datastore", datastore)
        await until(lambda: datastore.seen.count("Heartbeat") >= 2)
        register = datastore.registers[0]
        own = [f"/raicho/{row}[name='lamp']" for row in ("log/component", "process")]
        assert register.subscriptions == ["/raicho/lamp", *own]
        assert [api.name for api in register.apis] == ["lamp.control"]
        assert register.endpoint == lamp.endpoint
        assert (await client.call(Info())).state == "ready"

        server.close()
        datastore.lease = "two"  # it has forgotten everybody
        await asyncio.sleep(0.05)
        server = ControlServer(context, f"ipc://{tmp_path}/datastore", datastore)
        await until(lambda: len(datastore.registers) == 2)
    await until(lambda: datastore.seen[-1] == "Unregister")
    server.close()


async def test_an_identity_is_held_by_one_component_at_a_time(tmp_path: Path) -> None:
    """M17: the second fails loudly, the first goes on."""
    async with running(tmp_path) as (_, client):
        with pytest.raises(AlreadyRunning, match="lamp runs already"):
            await Lamp(bootstrap(tmp_path)).start()
        await client.call(Ping())
    async with running(tmp_path):
        pass


async def test_a_run_directory_with_too_long_a_path_is_refused_in_words(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    with pytest.raises(OSError, match="bytes too long for sockets"):
        await Lamp(Bootstrap(deep, "ipc:///d", "lamp")).start()
    assert not deep.exists()


async def test_an_open_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(Lamp):
        async def open(self) -> None:
            raise OSError("no such lamp")

    broken = Broken(bootstrap(tmp_path))
    with pytest.raises(OSError, match="no such lamp"):
        await broken.start()
    assert broken.context.closed
    assert holder(tmp_path / "run", "lamp") is None


async def test_a_task_that_fails_stops_the_component_with_an_error(tmp_path: Path) -> None:
    async def fail() -> None:
        raise RuntimeError("boom")

    async with running(tmp_path) as (lamp, _):
        lamp.spawn(fail())
        await asyncio.wait_for(lamp.stopping.wait(), 10)
        assert lamp.exit_code == 1


def test_a_lock_tells_who_holds_it_and_is_gone_with_its_holder(tmp_path: Path) -> None:
    assert holder(tmp_path, "x") is None
    lock = Lock(tmp_path, "x")
    assert holder(tmp_path, "x") == os.getpid()
    lock.release()
    assert holder(tmp_path, "x") is None
    Lock(tmp_path, "x").release()
