"""Bytes of any kind at every kind of socket: counted, and outlived (C14)."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from faults.noise import mutated, noise
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.message import (
    DONE,
    VERSION,
    BulkClient,
    BulkReply,
    BulkRequest,
    BulkServer,
    Commit,
    ControlClient,
    ControlServer,
    Done,
    Event,
    Kind,
    Malformed,
    Message,
    Publisher,
    Request,
    Subscriber,
)
from raicho.control.message.drain import Drain, open_socket
from raicho.control.message.envelope import pack, unpack
from raicho.control.message.events import Batch

MESSAGES = 5_000

nested = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9),
    lambda children: (
        st.lists(children, max_size=5) | st.dictionaries(st.text(max_size=5), children)
    ),
    max_leaves=10,
)


async def flood(context: zmq.SyncContext, endpoint: str, messages: int = MESSAGES) -> None:
    """Send *messages* of one to three frames each."""
    rng = random.Random(7)
    socket = open_socket(context, zmq.DEALER, SNDHWM=0)
    socket.connect(endpoint)
    drain = Drain(socket, lambda frames: None)
    for number in range(messages):
        drain.send(noise(rng))
        if number % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    drain.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@given(st.lists(st.binary(max_size=64), max_size=3))
def test_any_bytes_are_an_envelope_or_malformed(frames: list[bytes]) -> None:
    try:
        envelope = unpack(frames)
    except Malformed:
        return
    assert envelope.id >= 0


@given(nested)
def test_any_msgpack_is_an_envelope_or_malformed(value: Any) -> None:
    try:
        unpack([msgspec.msgpack.encode(value)])
    except Malformed as error:
        assert str(error)


@pytest.mark.parametrize(
    "messages", [MESSAGES, pytest.param(1_000_000, marks=pytest.mark.soak)], ids=str
)
async def test_a_control_server_outlives_malformed_messages(
    context: zmq.SyncContext, tmp_path: Path, messages: int
) -> None:
    async def handler(peer: bytes, request: Request[Any]) -> Message:
        return Done()

    endpoint = f"ipc://{tmp_path}/s"
    server = ControlServer(context, endpoint, handler)
    client = ControlClient(context, endpoint)
    await flood(context, endpoint, messages)
    assert await client.call(Commit("t")) == Done()
    print(f"{messages} messages: {dict(server.counters)}")
    assert server.counters["malformed"] > messages / 4
    client.close()
    server.close()


async def test_a_bulk_server_outlives_malformed_messages(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    async def handler(
        peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, list[bytes]]:
        return BulkReply(), frames

    endpoint = f"ipc://{tmp_path}/s"
    server = BulkServer(context, endpoint, handler)
    client = BulkClient(context, endpoint)
    await flood(context, endpoint)
    reply, frames = await client.request(BulkRequest("apply"), b"abc")
    assert (reply.code, frames) == (DONE, [b"abc"])
    print(f"{MESSAGES} messages: {dict(server.counters)}")
    assert server.counters["malformed"] > MESSAGES / 4
    client.close()
    server.close()


async def test_clients_outlive_malformed_replies(context: zmq.SyncContext, tmp_path: Path) -> None:
    rng = random.Random(3)
    endpoint = f"ipc://{tmp_path}/s"
    socket = open_socket(context, zmq.ROUTER)
    socket.bind(endpoint)

    def reply(frames: list[bytes]) -> None:
        for _ in range(500):
            drain.send([frames[0], mutated(rng)])
        good = msgspec.msgpack.encode(BulkReply(id=1))
        drain.send([frames[0], good if frames[0][:1] == b"b" else pack(Kind.REPLY, 1, Done())])

    drain = Drain(socket, reply)
    control, bulk = ControlClient(context, endpoint), BulkClient(context, endpoint)
    await control.call(Commit("t"))
    await bulk.request(BulkRequest("apply"))
    print(f"500 messages each: {control.malformed} and {bulk.counters['malformed']} malformed")
    assert control.malformed > 100
    assert bulk.counters["malformed"] > 100
    for end in (control, bulk, drain):
        end.close()


async def test_a_subscriber_outlives_malformed_events(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    endpoint = f"ipc://{tmp_path}/s"
    got: list[Event] = []
    socket = open_socket(context, zmq.XPUB)
    socket.bind(endpoint)
    relay = Drain(socket, lambda frames: None)
    subscriber = Subscriber(context, endpoint, [""], got.append)
    await asyncio.sleep(0.1)
    rng = random.Random(5)
    for _ in range(MESSAGES):
        relay.send([mutated(rng) for _ in range(rng.choice((1, 2, 2, 2, 3)))])
        await asyncio.sleep(0)
    good = msgspec.msgpack.encode(Batch(VERSION, "good", "x", 1, [(0.0, {"a": 1})]))
    relay.send([b"topic", good])
    await until(lambda: bool(got) and got[-1].source == "good")
    print(f"{MESSAGES} messages: {dict(subscriber.counters)}")
    assert subscriber.counters["malformed"] > MESSAGES / 4
    subscriber.close()
    relay.close()


async def test_a_publisher_needs_no_bus(context: zmq.SyncContext, tmp_path: Path) -> None:
    """K15: it never blocks."""
    publisher = Publisher(context, f"ipc://{tmp_path}/nobody", "me")
    for number in range(10_000):
        assert publisher.publish("topic", {"n": number}) == number + 1
    publisher.close()
