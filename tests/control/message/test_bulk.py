"""Bulk: batches in order, one answer each, events that may be dropped."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.message import (
    DONE,
    BulkClient,
    BulkEvent,
    BulkReply,
    BulkRequest,
    BulkServer,
    CallError,
    Code,
    ConfigError,
)
from raicho.control.message.bulk import Outcome
from raicho.control.message.codes import SERVER_ERROR
from raicho.control.message.drain import open_socket


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


class Echo:
    """A handler that answers with what it got."""

    def __init__(self) -> None:
        self.peers: list[bytes] = []
        self.seen: list[bytes] = []

    async def __call__(
        self, peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, Sequence[bytes]]:
        if request.op == "attach":
            self.peers.append(peer)
        if request.op == "fail":
            raise RuntimeError("boom")
        if request.op == "refuse":
            raise ConfigError("/x", "not this")
        if request.op == "never":
            await asyncio.Event().wait()
        self.seen += frames
        return BulkReply(text=request.bridge), frames


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/b"


async def test_batches_of_a_sender_are_handled_and_answered_in_order(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T7, C9: the order of a sender is kept."""
    echo = Echo()
    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, echo)
    batches = [b"%d" % number for number in range(1000)]
    answers = await asyncio.gather(
        *(client.request(BulkRequest("apply", "br0"), batch, b"second") for batch in batches)
    )
    assert echo.seen[::2] == batches
    assert [frames for _, frames in answers] == [[batch, b"second"] for batch in batches]
    assert {(reply.code, reply.text) for reply, _ in answers} == {(DONE, "br0")}
    client.close()
    server.close()


async def test_a_batch_without_payload_and_a_large_one_pass(
    context: zmq.SyncContext, endpoint: str
) -> None:
    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, Echo())
    assert (await client.request(BulkRequest("barrier")))[1] == []
    large = bytes(10 << 20)
    assert (await client.request(BulkRequest("apply"), large))[1] == [large]
    client.close()
    server.close()


async def test_a_handler_that_fails_is_reported_and_outlived(
    context: zmq.SyncContext, endpoint: str
) -> None:
    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, Echo())
    reply, _ = await client.request(BulkRequest("fail"))
    assert (reply.code, reply.text) == (SERVER_ERROR, "RuntimeError: boom")
    reply, _ = await client.request(BulkRequest("refuse"))
    assert (reply.code, reply.text) == (SERVER_ERROR, "/x: not this")
    assert (await client.request(BulkRequest("apply")))[0].code == DONE
    client.close()
    server.close()


async def test_a_time_out_names_the_operation(context: zmq.SyncContext, endpoint: str) -> None:
    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, Echo())
    with pytest.raises(CallError, match="no reply to never") as caught:
        await client.request(BulkRequest("never"), timeout=0.1)
    assert caught.value.failure.code is Code.TIMEOUT
    client.close()
    server.close()


async def test_each_request_has_its_own_time_and_what_waits_moves_up(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T2: one that is never answered keeps its place in the window no longer than it said."""
    told: list[str] = []

    def note(name: str) -> Callable[[Outcome], None]:
        return lambda came: told.append(f"{name} {isinstance(came, CallError)}")

    echo = Echo()
    client, server = BulkClient(context, endpoint, window=2), BulkServer(context, endpoint, echo)
    client.post(BulkRequest("never"), done=note("patient"), timeout=60)
    client.post(BulkRequest("never"), done=note("hasty"), timeout=0.2)
    client.post(BulkRequest("apply"), b"third", done=note("hastier, and never sent"), timeout=0.1)
    cancelled = asyncio.create_task(client.request(BulkRequest("apply"), b"fourth"))
    await asyncio.sleep(0.01)
    cancelled.cancel()
    await until(lambda: len(told) == 2)
    assert told == ["hastier, and never sent True", "hasty True"]
    assert server.counters["requests"] == 1, "a peer's requests are carried out one by one"
    client.close()
    assert told[2:] == ["patient True"]
    assert echo.seen == []
    server.close()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_handler_that_answers_at_once_keeps_the_order_too(
    context: zmq.SyncContext, endpoint: str, *, waits: bool
) -> None:
    """T7: some requests take their time, those behind them wait."""
    seen: list[bytes] = []

    async def slowly(frames: list[bytes]) -> tuple[BulkReply, list[bytes]]:
        await asyncio.sleep(0.001)
        seen.extend(frames)
        return BulkReply(), frames

    def answer(
        peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, list[bytes]] | Awaitable[tuple[BulkReply, list[bytes]]]:
        if waits and int(frames[0]) % 7 == 0:
            return slowly(frames)
        if int(frames[0]) == 13:
            raise RuntimeError("boom")
        seen.extend(frames)
        return BulkReply(), frames

    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, answer)
    batches = [b"%d" % number for number in range(300)]
    came: list[bytes] = []
    for batch in batches:
        client.post(
            BulkRequest("apply"), batch, done=lambda outcome, batch=batch: came.append(batch)
        )
    await until(lambda: len(came) == len(batches))
    assert came == batches
    assert seen == [batch for batch in batches if batch != b"13"]
    assert server.counters["internal"] == 1
    client.close()
    server.close()


async def test_a_reply_that_cannot_be_sent_is_an_error_and_costs_its_request_only(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """C14: no half of it goes to whoever is answered next."""

    def answer(peer: bytes, request: BulkRequest, frames: list[bytes]) -> Any:
        return BulkReply(), ("no bytes",) if request.op == "wrong" else frames

    server = BulkServer(context, endpoint, answer)
    clients = [BulkClient(context, endpoint) for _ in range(2)]
    for _ in range(3):
        asked = [
            client.request(BulkRequest(op), b"x") for op in ("wrong", "right") for client in clients
        ]
        answers = await asyncio.gather(*asked)
        assert [(reply.code, frames) for reply, frames in answers] == [
            (SERVER_ERROR, []),
            (SERVER_ERROR, []),
            (DONE, [b"x"]),
            (DONE, [b"x"]),
        ]
    for end in (*clients, server):
        end.close()


async def test_who_hears_that_the_server_went_may_ask_again_at_once(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """C13: and is answered when it is back, also where more is asked than the window holds."""
    own = zmq.Context()
    server = BulkServer(own, endpoint, Echo())
    client = BulkClient(context, endpoint, window=2)
    came: list[bytes] = []

    def ask(what: bytes) -> None:
        def done(outcome: Outcome) -> None:
            if isinstance(outcome, CallError):
                ask(what + b" again")
            else:
                came.extend(outcome[1])

        client.post(BulkRequest("apply" if b"again" in what else "never"), what, done=done)

    for what in (b"1", b"2", b"3", b"4"):
        ask(what)
    await until(lambda: server.counters["requests"] == 1)
    server.close()
    await until(lambda: not client.up)
    await asyncio.to_thread(own.term)
    server = BulkServer(context, endpoint, Echo())
    async with asyncio.timeout(3):  # less than the time-out of the first four
        await until(lambda: len(came) == 4)
    assert came == [b"1 again", b"2 again", b"3 again", b"4 again"]
    client.close()
    server.close()


async def test_a_server_that_ends_leaves_no_answer_half_begun(
    context: zmq.SyncContext, endpoint: str
) -> None:
    begun: list[Coroutine[Any, Any, Any]] = []
    echo = Echo()

    def answer(peer: bytes, request: BulkRequest, frames: list[bytes]) -> Any:
        begun.append(echo(peer, request, frames))
        asyncio.get_running_loop().call_soon(server.close)  # before a task can begin
        return begun[0]

    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, answer)
    waiting = asyncio.create_task(client.request(BulkRequest("never"), timeout=60))
    with pytest.raises(CallError, match="went away"):
        await waiting
    assert inspect.getcoroutinestate(begun[0]) == inspect.CORO_CLOSED
    client.close()


async def test_what_fails_after_a_reply_costs_nothing_else(
    context: zmq.SyncContext, endpoint: str
) -> None:
    client, server = BulkClient(context, endpoint), BulkServer(context, endpoint, Echo())
    client.post(BulkRequest("apply"), done=lambda outcome: 1 / 0)
    assert (await client.request(BulkRequest("apply")))[0].code == DONE
    assert client.counters["failed"] == 1
    client.close()
    after = asyncio.create_task(client.request(BulkRequest("apply")))
    with pytest.raises(CallError, match="was closed"):
        await after
    server.close()


async def test_requests_that_wait_fail_at_once_when_the_server_goes(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """C13: and the client hears that the server is back."""
    links: list[bool] = []
    client = BulkClient(context, endpoint, on_link=links.append)
    own = zmq.Context()
    server = BulkServer(own, endpoint, Echo())
    waiting = asyncio.create_task(client.request(BulkRequest("never"), timeout=30))
    await until(lambda: server.counters["requests"] == 1)
    server.close()
    with pytest.raises(CallError, match="went away") as caught:
        await waiting
    assert caught.value.failure.code is Code.UNAVAILABLE
    await asyncio.to_thread(own.term)  # who connects a moment too early is lost with it
    server = BulkServer(context, endpoint, Echo())
    assert (await client.request(BulkRequest("apply")))[0].code == DONE
    assert links == [True, False, True]
    client.close()
    server.close()


async def test_events_are_pushed_in_order_to_who_asked(
    context: zmq.SyncContext, endpoint: str
) -> None:
    got: list[tuple[BulkEvent, list[bytes]]] = []
    echo = Echo()
    server = BulkServer(context, endpoint, echo)
    client = BulkClient(context, endpoint, on_event=lambda *item: got.append(item))
    other = BulkClient(context, endpoint)
    await client.request(BulkRequest("attach", "br0"))
    await other.request(BulkRequest("apply", "br0"))
    event = BulkEvent("packet_in", "br0")
    for number in range(100):
        assert server.push(echo.peers[0], event, [b"%d" % number])
    await until(lambda: len(got) == 100)
    assert got == [(event, [b"%d" % number]) for number in range(100)]
    assert other.counters["events"] == 0
    for end in (client, other, server):
        end.close()


async def test_an_event_for_a_peer_that_does_not_read_is_dropped_and_said_so(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """K17, M15: bounded; others are served."""
    echo = Echo()
    gone: list[bytes] = []
    server = BulkServer(context, endpoint, echo, on_gone=gone.append)
    deaf = open_socket(context, zmq.DEALER, ROUTING_ID=b"deaf", RCVHWM=10)
    deaf.connect(endpoint)
    client = BulkClient(context, endpoint)
    await client.request(BulkRequest("attach"))
    await asyncio.sleep(0.05)
    event, payload = BulkEvent("packet_in", "br0"), [bytes(1000)]
    sent = sum(server.push(b"deaf", event, payload) for _ in range(20_000))
    assert 0 < sent < 20_000
    assert server.counters["dropped"] == 20_000 - sent
    assert gone == []
    assert server.push(echo.peers[0], event, payload)
    assert (await client.request(BulkRequest("apply")))[0].code == DONE
    deaf.close()
    client.close()
    server.close()


async def test_an_event_for_a_peer_that_left_tells_that_it_is_gone(
    context: zmq.SyncContext, endpoint: str
) -> None:
    gone: list[bytes] = []
    server = BulkServer(context, endpoint, Echo(), on_gone=gone.append)
    assert not server.push(b"stranger", BulkEvent("packet_in"), [])
    assert gone == [b"stranger"]
    server.close()


async def test_an_event_handler_that_fails_costs_its_event_only(
    context: zmq.SyncContext, endpoint: str
) -> None:
    def handler(event: BulkEvent, frames: list[bytes]) -> None:
        raise RuntimeError("boom")

    echo = Echo()
    server = BulkServer(context, endpoint, echo)
    client = BulkClient(context, endpoint, on_event=handler)
    await client.request(BulkRequest("attach"))
    server.push(echo.peers[0], BulkEvent("packet_in"), [])
    server.push(echo.peers[0], BulkEvent("packet_in"), [])
    await until(lambda: client.counters["failed"] == 2)
    assert (await client.request(BulkRequest("apply")))[0].code == DONE
    client.close()
    server.close()
