"""A hundred thousand flows read by pages, while others come and go."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from raicho.control.message import (
    DONE,
    BulkClient,
    BulkRequest,
    CallError,
    Code,
    GetSample,
    Sampled,
    Set,
)
from raicho.control.openflow.spec import pack
from raicho.control.openflow.spec.flows import FlowCommand
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod

from .test_statesync import BRIDGE, PATIENCE, PERIOD, PORT, SETS, House, house

FLOWS, PAGE, TURN = 100_000, 5_000, 200  # there, in an answer, that come or go at once
STABLE = FLOWS - 20 * TURN


def flow(i: int, command: int = FlowCommand.ADD) -> bytes:
    return pack(FlowMod(command=command, match=match(eth_type=0x800, ipv4_dst=i)))


def address(key: str) -> int:
    """Return which flow a row is of, from the end of its match."""
    return int(key[-8:], 16)


class Tables:
    """The flows of a bridge, and who changes them."""

    def __init__(self, context: zmq.SyncContext, run_dir: Any) -> None:
        self.bulk = BulkClient(context, f"ipc://{run_dir}/dataplane.bulk")
        self.there: set[int] = set()
        self.turns = 0
        self.ends = False

    async def apply(self, *messages: bytes) -> None:
        reply, [results] = await self.bulk.request(
            BulkRequest("apply", "br0"), b"".join(messages), timeout=PATIENCE
        )
        assert reply.code == DONE
        assert set(memoryview(results).cast("I")) == {DONE}

    async def fill(self) -> None:
        for first in range(0, FLOWS, PAGE):
            await self.apply(*(flow(i) for i in range(first, first + PAGE)))
        self.there = set(range(FLOWS))

    async def churn(self) -> None:
        """Let flows above STABLE go and others come, until it is to end."""
        for turn in itertools.count():
            if self.ends:
                return
            old = range(STABLE + turn * TURN, STABLE + (turn + 1) * TURN)
            new = range(FLOWS + turn * TURN, FLOWS + (turn + 1) * TURN)
            await self.apply(*(flow(i, FlowCommand.DELETE) for i in old), *map(flow, new))
            self.there = self.there.difference(old).union(new)
            self.turns += 1
            await asyncio.sleep(0.1)


class Reader:
    """Reads all pages of a sample, and keeps what it has read."""

    def __init__(self, h: House) -> None:
        self._store = h.store
        self.copy: dict[str, Any] = {}
        self.mark = ""
        self.read = 0  # rows, the last time

    async def follow(self) -> Sampled:
        """Read on until all pages of one sample are read; return the last."""
        while True:
            try:
                return await self._take()
            except CallError as error:
                assert error.failure.code is Code.CONFLICT  # slower than the sample is kept

    async def _take(self) -> Sampled:
        found: list[tuple[str, Any]] = []
        sampled, numbers = await self._page(""), set()
        is_whole, gone = sampled.whole, sampled.gone.get("flow", ())
        while True:
            rows = sampled.sets["flow"]
            assert len(rows) <= PAGE
            found += rows.items()
            numbers.add(sampled.number)
            if not sampled.page:
                break
            sampled = await self._page(sampled.page)
        assert len(numbers) == 1, "all pages are of one sample"
        assert len(found) == len(dict(found)), "no row comes twice"
        kept = {} if is_whole else {k: v for k, v in self.copy.items() if k not in set(gone)}
        self.copy = kept | dict(found)
        self.mark, self.read = sampled.mark, len(found)
        return sampled

    async def _page(self, page: str) -> Sampled:
        request = GetSample(sets=["flow"], since=self.mark, limit=PAGE, page=page)
        return await self._store.call(request, PATIENCE)


async def sampled(h: House, condition: Callable[[Sampled], bool]) -> None:
    """Wait for a sample, by the small set in it."""
    async with asyncio.timeout(2 * PATIENCE):
        while not condition(await h.sample("bridge")):
            await asyncio.sleep(0.1)


def flows(sampled: Sampled) -> int:
    """Return how many flows the bridges of a sample have."""
    rows = map(msgspec.msgpack.decode, sampled.sets.get("bridge", {}).values())
    return sum(row["flows"] for row in rows)


async def test_no_flow_is_lost_or_doubled_while_others_come_and_go(
    processes: Any, context: zmq.SyncContext
) -> None:
    """K21: by pages, and by what has changed since; and what stays as it was is not told again."""
    async with house(processes, context) as h:
        await h.commit(PORT, BRIDGE, Set(PERIOD, 500), Set(SETS, ["bridge", "flow"]))
        tables = Tables(context, processes.run_dir)
        await h.until(lambda s: "br0" in s.sets.get("bridge", {}))
        await tables.fill()
        await sampled(h, lambda s: flows(s) == FLOWS)

        churning = asyncio.create_task(tables.churn())
        reader, fresh = Reader(h), Reader(h)
        numbers = set()
        while len(numbers) < 3 or tables.turns < 5:
            numbers.add((await reader.follow()).number)
            assert len(numbers) == 1 or reader.read < STABLE, "the others are told once"
            seen = {address(key) for key in reader.copy}
            assert len(seen) == len(reader.copy)
            assert seen.issuperset(range(STABLE)), "none that stays is lost"
            assert len(seen) % TURN == 0, "a change that was made at once is there or is not"
        tables.ends = True
        await churning
        now = (await h.sample("bridge")).number
        await sampled(h, lambda s: s.number > now + 1)
        for each in (reader, fresh):
            await each.follow()
            assert {address(key) for key in each.copy} == tables.there
        assert reader.copy == fresh.copy
        rows = [msgspec.msgpack.decode(row) for row in itertools.islice(fresh.copy.values(), 9)]
        assert all(row["bridge"] == "br0" and len(row["entry"]) >= 56 for row in rows)
        tables.bulk.close()
