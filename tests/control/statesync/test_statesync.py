"""State sync between a datastore and a dataplane that are processes, as an operator has them."""

import asyncio
import os
import signal
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import zmq

from raicho.control.message import (
    CallError,
    Code,
    CommitSession,
    ControlClient,
    Edit,
    Get,
    GetHistory,
    GetSample,
    Lookup,
    PutSample,
    Sampled,
    Set,
    Stats,
)
from raicho.control.statesync.settings import USUAL

PATIENCE = 30.0  # seconds, in which a datastore that was killed is there again
PERIOD = "/raicho/statistics/period"
SETS = "/raicho/statistics/set"
PORT = Set("/raicho/port[name='p1']", {"kind": "null"})
BRIDGE = Set("/raicho/bridge[name='br0']/port[name='p1']/number", 1)


class House:
    """The three, and a client of the datastore, which is all that a reader needs."""

    def __init__(self, processes: Any, context: zmq.SyncContext) -> None:
        self._processes = processes
        self._context = context
        self.store = self.client("datastore")
        self.dataplane = 0

    def client(self, component: str) -> ControlClient:
        where = f"ipc://{self._processes.run_dir}/{component}.control"
        return ControlClient(self._context, where)

    async def start(self) -> None:
        data = self._processes.run_dir / "config.db"
        self._processes.start("raicho.control.datastore", "--data", data)
        await self.store.call(GetHistory(), 20)
        self._processes.start("raicho.control.statesync")
        self.start_dataplane()

    def start_dataplane(self) -> None:
        self.dataplane = self._processes.start("raicho.dataplane")

    def kill_dataplane(self) -> None:
        self._processes.kill(self.dataplane)

    async def commit(self, *ops: Set) -> None:
        await self.store.call(Edit("test", list(ops)))
        await self.store.call(CommitSession("test"), 20)

    async def sample(self, *sets: str) -> Sampled:
        return await self.store.call(GetSample(sets=list(sets)), PATIENCE)

    async def until(self, condition: Callable[[Sampled], Any]) -> Sampled:
        """Return the first sample that is as is wanted."""
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                try:
                    sampled = await self.sample()
                except CallError as error:
                    assert error.failure.code is Code.NOT_FOUND
                else:
                    if condition(sampled):
                        return sampled
                await asyncio.sleep(0.01)


@asynccontextmanager
async def house(processes: Any, context: zmq.SyncContext) -> AsyncIterator[House]:
    house = House(processes, context)
    await house.start()
    yield house
    house.store.close()


def rows(sampled: Sampled, name: str) -> dict[str, Any]:
    return {key: msgspec.msgpack.decode(row) for key, row in sampled.sets[name].items()}


async def test_the_counters_come_to_the_datastore_by_themselves(
    processes: Any, context: zmq.SyncContext
) -> None:
    """Q20, Q21, Q23 to Q25: found by the registry, pulled in bulk, written past transactions."""
    async with house(processes, context) as h:
        api = await h.store.call(Lookup("datastore.statistics"))
        assert api.endpoint == h.store.endpoint
        await h.commit(PORT, BRIDGE)
        before = (await h.store.call(GetHistory())).revisions
        sampled = await h.until(lambda s: "p1" in s.sets["port"] and "br0" in s.sets["bridge"])
        assert set(sampled.sets) == set(USUAL)
        assert rows(sampled, "port")["p1"]["rx_packets"] == 0
        later = await h.until(lambda s: s.number > sampled.number + 1)
        assert later.instance == sampled.instance
        assert (await h.store.call(GetHistory())).revisions == before


async def test_a_stopped_dataplane_leaves_the_sample_readable_with_its_age(
    processes: Any, context: zmq.SyncContext
) -> None:
    """Q22."""
    async with house(processes, context) as h:
        await h.until(lambda s: s.number > 1)
        os.kill(h.dataplane, signal.SIGSTOP)
        try:
            old = await h.until(lambda s: s.age > 1.5)
            assert rows(old, "worker") and not old.stale
        finally:
            os.kill(h.dataplane, signal.SIGCONT)
        new = await h.until(lambda s: s.number > old.number)
        assert (new.instance, new.stale) == (old.instance, False)
        assert new.age < old.age


async def test_the_sample_of_a_dead_dataplane_is_stale_until_the_next_one_counts(
    processes: Any, context: zmq.SyncContext
) -> None:
    """P8, Q23: and the new one is found."""
    async with house(processes, context) as h:
        first = await h.until(lambda s: s.number > 1)
        h.kill_dataplane()
        stale = await h.until(lambda s: s.stale)
        assert stale.instance == first.instance
        assert rows(stale, "worker")
        h.start_dataplane()
        fresh = await h.until(lambda s: not s.stale)
        assert fresh.instance != first.instance


async def test_period_and_sets_are_configuration(processes: Any, context: zmq.SyncContext) -> None:
    """Q24, G3: what is written is read back from the component, and holds."""
    async with house(processes, context) as h:
        sync = h.client("statesync")
        await h.commit(BRIDGE, PORT, Set(PERIOD, 100), Set(SETS, ["flow", "port"]))
        sampled = await h.until(
            lambda s: set(s.sets) == {"flow", "port"} and "p1" in s.sets["port"]
        )
        assert sampled.sets["flow"] == {}
        state = (await sync.call(Get("/statistics"))).data
        assert state == {"period": 100, "set": ["flow", "port"]}
        assert (await sync.call(Stats(["statesync"]))).data["statesync"]["samples"]
        sync.close()


async def test_a_reader_never_sees_a_mix_of_two_samples(
    processes: Any, context: zmq.SyncContext
) -> None:
    """Q26: rows carry the sum over all others of their sample, and every reading adds up."""
    data = processes.run_dir / "config.db"
    processes.start("raicho.control.datastore", "--data", data)
    where = f"ipc://{processes.run_dir}/datastore.control"
    writer, reader = ControlClient(context, where), ControlClient(context, where)

    async def write() -> None:
        for number in range(400):
            await writer.call(PutSample("test", "one", 0.0, checked(number)), 20)

    writing = asyncio.create_task(write())
    seen: set[int] = set()
    while not writing.done():
        try:
            sampled = await reader.call(GetSample("test"))
        except CallError as error:
            assert error.failure.code in (Code.NOT_FOUND, Code.TIMEOUT)
            continue
        assert is_whole(sampled)
        seen.add(sampled.number)
    await writing
    assert len(seen) > 10, "readings came between writings"
    writer.close()
    reader.close()


def checked(number: int) -> dict[str, dict[str, msgspec.Raw]]:
    """Make a sample that shows whether it is whole: its sizes differ, its sum is over all rows."""
    sets = {
        name: {f"{name}{i}": encoded([number, i]) for i in range(50 + number % 7)}
        for name in ("port", "table", "drops")
    }
    return {**sets, "sum": {"all": encoded(checksum(sets))}}


def is_whole(sampled: Sampled) -> bool:
    sets = dict(sampled.sets)
    wanted = msgspec.msgpack.decode(sets.pop("sum")["all"], type=int)
    return checksum(sets) == wanted


def checksum(sets: dict[str, dict[str, msgspec.Raw]]) -> int:
    return zlib.crc32(
        b"".join(key.encode() + bytes(row) for s in sets.values() for key, row in s.items())
    )


def encoded(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


@pytest.mark.parametrize("component", ["datastore", "statesync"])
async def test_it_lives_through_the_restart_of_others_and_of_itself(
    processes: Any, context: zmq.SyncContext, component: str
) -> None:
    """G7, C13: the datastore has forgotten the sample, and gets the next."""
    async with house(processes, context) as h:
        first = await h.until(lambda s: s.number > 1)
        pid = int((processes.run_dir / f"{component}.pid").read_text())
        processes.kill(pid)
        arguments = ["--data", processes.run_dir / "config.db"] if component == "datastore" else []
        processes.start(f"raicho.control.{component}", *arguments)
        await h.until(
            lambda s: s.age < 0.9 and (s.number > first.number or component == "datastore")
        )
