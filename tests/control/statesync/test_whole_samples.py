"""A sample of a dataplane that changes all the time is seen whole or not at all."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import zmq

from raicho.control.component import BulkPeer
from raicho.control.message import (
    DONE,
    BulkRequest,
    CallError,
    Code,
    ControlClient,
    GetSample,
    Sampled,
    Set,
)
from raicho.control.openflow.spec import Message, pack
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod, PacketOut

from .test_statesync import BRIDGE, PERIOD, PORT, SETS, House, house

SAMPLES = 20  # that each reader sees
PAGE = 17  # rows, for those that read by pages
ALL_TABLES, TO_TABLES, DELETE = 0xFF, 0xFFFFFFF9, 3
PACKET = PacketOut(actions=(Output(TO_TABLES),), data=bytes(60))
Rows = dict[str, dict[str, Any]]


def turns() -> Iterator[list[Message]]:
    """Yield what changes the number of flows each time, in two tables, and packets that hit."""
    n = 0
    while True:
        n += 1
        instructions = (ApplyActions((Output(1),)),)
        flow = FlowMod(table_id=n % 2, match=match(in_port=n), instructions=instructions)
        yield [flow, PACKET, PACKET]
        if not n % 97:
            yield [FlowMod(table_id=ALL_TABLES, command=DELETE), FlowMod(instructions=instructions)]


async def change(h: House, context: zmq.SyncContext) -> None:
    """Add flows and take them away, and send packets, until cancelled."""
    bulk = BulkPeer(context, h.store, "dataplane.bulk")
    try:
        async with asyncio.timeout(60):
            while not await bulk.find():
                await asyncio.sleep(0.05)
        for messages in turns():
            payload = b"".join(map(pack, messages))
            reply, _ = await bulk.request(BulkRequest("apply", "br0"), payload, 60)
            assert reply.code == DONE
    finally:
        bulk.close()


def check(sets: Rows) -> int:
    """Check what holds at each moment, and between two of them does not; return the flows."""
    n = len(sets["flow"])
    assert n == sets["bridge"]["br0"]["flows"]
    assert n == sum(row["flows"] for row in sets["table"].values())
    return n


def decoded(sampled: Sampled) -> Rows:
    return {
        name: {key: msgspec.msgpack.decode(row) for key, row in rows.items()}
        for name, rows in sampled.sets.items()
    }


async def read(client: ControlClient, limit: int) -> tuple[int, Rows]:
    """Return the number of a sample and all its rows, read at once or by pages."""
    sampled = await client.call(GetSample(limit=limit), 60)
    number, found = sampled.number, decoded(sampled)
    while sampled.page:
        sampled = await client.call(GetSample(limit=limit, page=sampled.page), 60)
        for name, rows in decoded(sampled).items():
            found.setdefault(name, {}).update(rows)
    return number, found


async def follow(client: ControlClient, limit: int) -> set[int]:
    """Read one sample after the other; return the numbers of flows that they had."""
    numbers: set[int] = set()
    flows: set[int] = set()
    while len(numbers) < SAMPLES:
        try:
            number, found = await read(client, limit)
        except CallError as error:
            assert error.failure.code is Code.CONFLICT  # the sample is kept no longer
            continue
        flows.add(check(found))
        numbers.add(number)
    return flows


async def test_many_readers_see_samples_of_a_busy_dataplane_whole(
    processes: Any, context: zmq.SyncContext
) -> None:
    """Q26: bridge, tables and flows of every reading agree, though all of them change meanwhile."""
    async with house(processes, context) as h:
        sets = ["port", "bridge", "table", "flow"]
        await h.commit(PORT, BRIDGE, Set(PERIOD, 100), Set(SETS, sets))
        await h.until(lambda s: set(s.sets) == set(sets) and "br0" in s.sets["bridge"])
        changing = asyncio.create_task(change(h, context))
        clients = [h.client("datastore") for _ in range(6)]
        try:
            reading = [follow(client, PAGE * (n % 2)) for n, client in enumerate(clients)]
            async with asyncio.timeout(300):
                seen = await asyncio.gather(*reading)
            assert not changing.done(), "it changed all the time"
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
            for client in clients:
                client.close()
        assert all(len(flows) > SAMPLES / 3 for flows in seen), "samples differ"
        last = decoded(await h.sample())
        assert last["port"]["p1"]["tx_packets"] > 0
