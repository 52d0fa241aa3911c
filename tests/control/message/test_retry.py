"""Trying again what may succeed later: the order of sending, and a dataplane that is asked so."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.message import (
    BulkClient,
    BulkReply,
    BulkRequest,
    CallError,
    Code,
    CommitSession,
    ControlClient,
    Edit,
    Entry,
    Failure,
    ListRegistry,
    Set,
)
from raicho.control.message.retry import ONCE, PASSING, Result, Retry, carry_out
from raicho.control.message.routes import (
    REMOVE,
    Group,
    Hop,
    Kind,
    RouteClient,
    Source,
    pack_group,
    pack_route,
    prefix_text,
)

MANY = Retry(tries=1000, first=0.01, most=0.05)
ROUTER = "/raicho/router[name='r']"
BLACKHOLE = pack_group(Group(Source.OPERATOR, 7, (Hop(Kind.BLACKHOLE),)))

# Items, each of a key, and what becomes of each of its tries but the last: of the last, nothing.
scripts = st.lists(
    st.tuples(st.sampled_from(b"abc"), st.lists(st.sampled_from(list(Code)), max_size=4)),
    max_size=12,
)


@given(scripts, st.integers(1, 6))
def test_items_of_a_key_keep_their_order_and_only_what_passes_is_tried_again(
    script: list[tuple[int, list[Code]]], tries: int
) -> None:
    """F13: whatever fails how often."""
    items = [bytes([key, i]) for i, (key, _) in enumerate(script)]
    sent: list[int] = []

    async def send(wave: Sequence[bytes]) -> list[Result]:
        told = []
        for at, (_, i) in enumerate(wave):
            codes = script[i][1]
            before = sent.count(i)
            told.append(Result(at, codes[before] if before < len(codes) else None))
            sent.append(i)
        assert len({key for key, _ in wave}) == len(wave), "one of each key at a time"
        return told

    retry = Retry(tries, 0, 0)
    results = asyncio.run(carry_out(send, items, lambda item: item[0], retry))

    for i, (_, codes) in enumerate(script):
        fatal = next((n for n, code in enumerate(codes) if code not in PASSING), len(codes))
        needed = min(fatal + 1, tries)
        code = codes[needed - 1] if needed <= len(codes) else None
        assert results[i] == Result(i, code, "", needed)
    assert Counter(sent) == {i: result.tries for i, result in enumerate(results)}
    for key in b"abc":
        mine = [i for i in sent if script[i][0] == key]
        assert mine == sorted(mine), "settled before the next is sent"


def test_what_cannot_be_asked_at_all_is_the_result_of_each() -> None:
    async def send(wave: Sequence[bytes]) -> list[Result]:
        raise CallError(Failure(Code.UNAVAILABLE, "nobody there"))

    results = asyncio.run(carry_out(send, [b"a", b"b"], bytes, Retry(3, 0, 0)))
    assert results == [Result(i, Code.UNAVAILABLE, "nobody there", 3) for i in range(2)]


class Site:
    """A dataplane that runs, whose router is r, and a way to ask it."""

    def __init__(self, processes: Any, bulk: BulkClient) -> None:
        self.processes = processes
        self.bulk = bulk
        self.asked = 0

    async def ask(self, request: BulkRequest, payload: bytes) -> tuple[BulkReply, list[bytes]]:
        self.asked += 1
        return await self.bulk.request(request, payload, timeout=0.3)

    def signal(self, number: int) -> None:
        os.kill(int((self.processes.run_dir / "dataplane.pid").read_text()), number)


@asynccontextmanager
async def site(context: zmq.SyncContext, processes: Any) -> AsyncIterator[Site]:
    processes.start("raicho.control.datastore", "--data", processes.run_dir / "config.db")
    processes.start("raicho.dataplane")
    store = ControlClient(context, f"ipc://{processes.run_dir}/datastore.control")
    async with asyncio.timeout(60):
        while "dataplane" not in {e.component for e in await components(store)}:
            await asyncio.sleep(0.05)
    await store.call(Edit("s", [Set(ROUTER, {})]))
    assert (await store.call(CommitSession("s"), 30)).participants == ["dataplane"]
    bulk = BulkClient(context, f"ipc://{processes.run_dir}/dataplane.bulk")
    yield Site(processes, bulk)
    store.close()
    bulk.close()


async def components(store: ControlClient) -> Sequence[Entry]:
    return (await store.call(ListRegistry(), 30)).components


def route(i: int, via: int = 7, **more: int) -> bytes:
    return pack_route(f"10.{i >> 8}.{i & 255}.0/24", via, Source.OPERATOR, **more)


async def test_one_bad_route_of_a_thousand_is_told_and_the_others_are_there(
    context: zmq.SyncContext, processes: Any
) -> None:
    """F13: 999 are installed, and there is one precise error, which no other try would mend."""
    async with site(context, processes) as s:
        client = RouteClient(s.bulk.request, "r")
        assert await client.carry_out("next_hop_mod", [BLACKHOLE]) == [Result(0)]
        records = [route(i, via=8 if i == 500 else 7) for i in range(1000)]
        for retry in (ONCE, MANY):
            results = await client.carry_out("route_mod", records, retry)
            assert [r.index for r in results] == list(range(1000))
            assert [r for r in results if r.code] == [
                Result(
                    500,
                    Code.NOT_FOUND,
                    "route 10.1.244.0/24: there is no such group of next hops",
                )
            ]
            there = {prefix_text(row) for row in await client.routes(Source.OPERATOR)}
            assert len(there) == 999
            assert "10.1.244.0/24" not in there


async def test_what_is_in_use_is_tried_again_until_it_is_not(
    context: zmq.SyncContext, processes: Any
) -> None:
    """F13: the caller tries again, and nobody else does."""
    async with site(context, processes) as s:
        client = RouteClient(s.ask, "r")
        await client.carry_out("next_hop_mod", [BLACKHOLE])
        await client.carry_out("route_mod", [route(1)])
        removal = [pack_group(Group(Source.OPERATOR, 7, ()), REMOVE)]
        [once] = await client.carry_out("next_hop_mod", removal)
        assert (once.code, once.text) == (Code.UNAVAILABLE, "next hops 7: it is in use")
        trying = asyncio.create_task(client.carry_out("next_hop_mod", removal, MANY))
        asked = s.asked
        while s.asked < asked + 3:
            assert not trying.done()
            await asyncio.sleep(0.01)
        await RouteClient(s.bulk.request, "r").routes_mod(route(1, op=REMOVE))
        [result] = await trying
        assert (result.code, result.text) == (None, "")
        assert result.tries > 1


async def test_a_dataplane_that_did_not_answer_ends_with_what_was_asked_for_last(
    context: zmq.SyncContext, processes: Any
) -> None:
    """F13: what was put, removed and put again while it stood still, in that order."""
    async with site(context, processes) as s:
        client = RouteClient(s.ask, "r")
        other = pack_group(Group(Source.OPERATOR, 8, (Hop(Kind.PROHIBIT),)))
        await client.carry_out("next_hop_mod", [BLACKHOLE, other])
        records = [route(1), route(2), route(1, op=REMOVE), route(3), route(1, via=8)]
        s.signal(signal.SIGSTOP)
        try:
            results = await client.carry_out("route_mod", records[:1])
            assert [result.code for result in results] == [Code.TIMEOUT]
            trying = asyncio.create_task(client.carry_out("route_mod", records, MANY))
            asked = s.asked
            while s.asked < asked + 2:
                await asyncio.sleep(0.01)
        finally:
            s.signal(signal.SIGCONT)
        results = await trying
        assert [result.code for result in results] == [None] * 5
        assert max(result.tries for result in results) > 1
        there = await client.routes(Source.OPERATOR)
        told = {prefix_text(row): int(row["via"]) for row in there}
        assert told == {"10.0.1.0/24": 8, "10.0.2.0/24": 7, "10.0.3.0/24": 7}


async def test_a_command_says_how_often_it_was_tried(
    context: zmq.SyncContext, processes: Any
) -> None:
    """F13: `raicho route` tries again if it is told to."""
    async with site(context, processes) as s:
        s.signal(signal.SIGSTOP)
        try:
            told = await command(processes, "remove", "r", "10.0.1.0/24", "--tries", "2")
        finally:
            s.signal(signal.SIGCONT)
        assert "within 5 s, tried 2 times" in told
        more = ("10.0.1.0/24", "--tries", "2")
        assert "has a route" in await command(processes, "add", "r", *more, "--discard", "prohibit")
        assert "has no route" in await command(processes, "remove", "r", *more)
        told = await command(processes, "remove", "r", *more)
        assert told.endswith("route 10.0.1.0/24: there is no such entry\n")


async def command(processes: Any, *words: str) -> str:
    run = partial(asyncio.create_subprocess_exec, env=processes.environment())
    where = ("--run-dir", str(processes.run_dir))
    process = await run(
        *(sys.executable, "-m", "raicho.control.cli", "route", *words, *where),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


@pytest.mark.parametrize("op", ["route_mod", "neighbour_mod", "next_hop_mod"])
async def test_what_is_no_record_is_told_by_its_bytes(
    context: zmq.SyncContext, processes: Any, op: str
) -> None:
    """C14, F13."""
    async with site(context, processes) as s:
        client = RouteClient(s.bulk.request, "r")
        for record in (bytes(31), b"\xff" * 40):
            for result in await client.carry_out(op, [record], MANY):
                assert (result.code, result.tries) == (Code.INVALID, 1)
                assert result.text
