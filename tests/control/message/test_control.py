"""Control: a request is applied once or refused, and nothing ends the server."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from raicho.control.message import (
    VERSION,
    CallError,
    Code,
    Commit,
    ControlClient,
    ControlServer,
    Done,
    Envelope,
    Failure,
    Get,
    Kind,
    Message,
    Ping,
    Pong,
    Prepare,
    Request,
    Value,
)
from raicho.control.message.drain import Drain, open_socket
from raicho.control.message.envelope import pack, unpack
from raicho.control.message.server import MAX_REMEMBERED, WINDOW


class Recorder:
    """A handler that answers everything and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request[Any]] = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, peer: bytes, request: Request[Any]) -> Message:
        if self.hold:
            await self.hold.wait()
        self.requests.append(request)
        match request:
            case Ping():
                return Pong("one")
            case Get(path="/boom"):
                raise RuntimeError("boom")
            case Get(path="/missing"):
                raise CallError(Failure(Code.NOT_FOUND, "no such thing", request.path))
            case Get(path="/odd"):
                return Value(object())
            case Get():
                return Value(request.path)
        return Done()


class Raw:
    """A client that sends any frames at all."""

    def __init__(self, context: zmq.SyncContext, endpoint: str, **options: int) -> None:
        socket = open_socket(context, zmq.DEALER, **options)
        socket.connect(endpoint)
        self.replies: list[Envelope] = []
        self.drain = Drain(socket, lambda frames: self.replies.append(unpack(frames)))

    def send(self, *frames: bytes) -> None:
        self.drain.send(frames)

    def failure(self, index: int = -1) -> Failure:
        return msgspec.msgpack.decode(self.replies[index].body, type=Failure)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; a test that waits in vain fails."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/s"


async def test_a_request_gets_the_reply_of_its_type(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T0, T3."""
    server = ControlServer(context, endpoint, Recorder())
    client = ControlClient(context, endpoint)
    assert await client.call(Ping()) == Pong("one")
    assert await client.call(Get("/x")) == Value("/x")
    prepare = Prepare("t1", 1, [], {"a": [1, {"b": None}]})
    assert await client.call(prepare) == Done()
    client.close()
    server.close()


async def test_requests_of_a_peer_are_handled_in_order(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T3."""
    recorder = Recorder()
    server = ControlServer(context, endpoint, recorder)
    client = ControlClient(context, endpoint)
    wanted = [Get(f"/{number}") for number in range(1000)]
    replies = await asyncio.gather(*(client.call(get) for get in wanted))
    assert recorder.requests == wanted
    assert replies == [Value(get.path) for get in wanted]
    client.close()
    server.close()


async def test_a_slow_request_of_one_peer_does_not_hold_up_another(
    context: zmq.SyncContext, endpoint: str
) -> None:
    hold = asyncio.Event()

    async def handler(peer: bytes, request: Request[Any]) -> Message:
        if isinstance(request, Get):
            await hold.wait()
        return Done()

    server = ControlServer(context, endpoint, handler)
    slow, quick = ControlClient(context, endpoint), ControlClient(context, endpoint)
    waiting = asyncio.create_task(slow.call(Get("/")))
    assert await quick.call(Ping()) == Done()
    assert not waiting.done()
    hold.set()
    await waiting
    for end in (slow, quick, server):
        end.close()


async def test_a_client_waits_for_a_server_that_starts_later(
    context: zmq.SyncContext, endpoint: str
) -> None:
    client = ControlClient(context, endpoint)
    call = asyncio.create_task(client.call(Ping()))
    await asyncio.sleep(0.05)
    server = ControlServer(context, endpoint, Recorder())
    assert await call == Pong("one")
    client.close()
    server.close()


async def test_a_client_finds_a_server_that_was_started_again(
    context: zmq.SyncContext, endpoint: str
) -> None:
    client = ControlClient(context, endpoint)
    for _ in range(3):
        server = ControlServer(context, endpoint, Recorder())
        assert await client.call(Ping()) == Pong("one")
        server.close()
        await asyncio.sleep(0.02)
    client.close()


async def test_no_reply_in_time_is_a_failure_that_says_so(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T2."""
    client = ControlClient(context, endpoint)
    with pytest.raises(CallError, match=r"no reply to Ping from ipc://.* within 0\.05 s") as caught:
        await client.call(Ping(), timeout=0.05)
    assert caught.value.failure.code is Code.TIMEOUT
    client.close()


async def test_closing_a_client_ends_the_calls_that_wait(
    context: zmq.SyncContext, endpoint: str
) -> None:
    client = ControlClient(context, endpoint)
    call = asyncio.create_task(client.call(Ping()))
    await asyncio.sleep(0.01)
    client.close()
    with pytest.raises(CallError, match="was closed"):
        await call


async def test_a_repeated_request_is_applied_once_and_answered_each_time(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T2."""
    recorder = Recorder()
    recorder.hold = asyncio.Event()
    server = ControlServer(context, endpoint, recorder)
    raw = Raw(context, endpoint)
    frame = pack(Kind.REQUEST, 7, Commit("t1"))
    raw.send(frame)
    raw.send(frame)
    await until(lambda: server.counters["repeated"] == 1)
    assert raw.replies == []
    recorder.hold.set()
    await until(lambda: len(raw.replies) == 1)
    raw.send(frame)
    await until(lambda: len(raw.replies) == 2)
    assert recorder.requests == [Commit("t1")]
    assert raw.replies[0] == raw.replies[1]
    raw.drain.close()
    server.close()


async def test_an_id_that_was_forgotten_is_refused_not_applied_again(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """T2."""
    recorder = Recorder()
    server = ControlServer(context, endpoint, recorder)
    raw = Raw(context, endpoint)
    for ident in range(MAX_REMEMBERED + 2):
        raw.send(pack(Kind.REQUEST, ident, Ping()))
        if ident % 100 == 0:
            await until(lambda: len(raw.replies) > ident)  # noqa: B023 - awaited at once
    await until(lambda: len(raw.replies) == MAX_REMEMBERED + 2)
    raw.send(pack(Kind.REQUEST, 0, Ping()))
    await until(lambda: len(raw.replies) == MAX_REMEMBERED + 3)
    assert raw.failure().code is Code.CONFLICT
    assert len(recorder.requests) == MAX_REMEMBERED + 2
    raw.drain.close()
    server.close()


async def test_each_transaction_is_applied_once_when_a_fifth_of_the_messages_is_lost(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """T2: 20 % of the messages are lost and 20 % doubled, in both directions."""
    near, far = f"ipc://{tmp_path}/near", f"ipc://{tmp_path}/far"
    rng = random.Random(1)
    recorder = Recorder()
    server = ControlServer(context, far, recorder)
    front, back = open_socket(context, zmq.ROUTER), open_socket(context, zmq.DEALER)
    front.bind(near)
    back.connect(far)
    name = b""

    def forward(frames: list[bytes]) -> None:
        nonlocal name
        name = frames[0]
        for _ in range(rng.choices((0, 1, 2), (20, 60, 20))[0]):
            backward_drain.send(frames[1:])

    def backward(frames: list[bytes]) -> None:
        for _ in range(rng.choices((0, 1, 2), (20, 60, 20))[0]):
            forward_drain.send([name, *frames])

    forward_drain, backward_drain = Drain(front, forward), Drain(back, backward)
    client = ControlClient(context, near, retry=0.02)
    wanted = [f"t{number}" for number in range(1000)]
    replies = await asyncio.gather(*(client.call(Commit(txid), 30) for txid in wanted))
    applied = [request.txid for request in recorder.requests if isinstance(request, Commit)]
    print(f"{client.repeated} repetitions, {server.counters['repeated']} seen as such")
    assert client.repeated > 100
    assert replies == [Done()] * 1000
    assert sorted(applied) == sorted(wanted)
    for end in (client, server, forward_drain, backward_drain):
        end.close()


async def test_a_handler_that_fails_is_reported_and_outlived(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """C1."""
    server = ControlServer(context, endpoint, Recorder())
    client = ControlClient(context, endpoint)
    for path, code, text in [
        ("/boom", Code.INTERNAL, "RuntimeError: boom"),
        ("/missing", Code.NOT_FOUND, "/missing: no such thing"),
        ("/odd", Code.INTERNAL, "object"),
    ]:
        with pytest.raises(CallError, match=text) as caught:
            await client.call(Get(path))
        assert caught.value.failure.code is code
    assert await client.call(Ping()) == Pong("one")
    client.close()
    server.close()


async def test_a_request_that_comes_after_its_deadline_is_not_applied(
    context: zmq.SyncContext, endpoint: str
) -> None:
    recorder = Recorder()
    server = ControlServer(context, endpoint, recorder, clock=lambda: 100.0)
    raw = Raw(context, endpoint)
    raw.send(pack(Kind.REQUEST, 1, Commit("late"), deadline_ms=99_999))
    raw.send(pack(Kind.REQUEST, 2, Commit("timely"), deadline_ms=100_000))
    await until(lambda: len(raw.replies) == 2)
    assert raw.failure(0).code is Code.TIMEOUT
    assert recorder.requests == [Commit("timely")]
    raw.drain.close()
    server.close()


@pytest.mark.parametrize(
    ("frame", "code", "text"),
    [
        ([VERSION + 1, 0, 1, None, ["Ping"]], Code.UNSUPPORTED, f"version {VERSION + 1}"),
        ([VERSION, 0, 1, None, ["Teapot"]], Code.UNSUPPORTED, "Teapot"),
        ([VERSION, 0, 1, None, ["Commit", 5]], Code.INVALID, "Expected `str`, got `int`"),
        ([VERSION, 0, 1, None, ["Done"]], Code.INVALID, "Done is no request"),
        ([VERSION, 0, 1, None, {}], Code.INVALID, "Expected `array`"),
    ],
)
async def test_a_request_that_is_not_understood_is_told_why(
    context: zmq.SyncContext, endpoint: str, frame: list[Any], code: Code, text: str
) -> None:
    server = ControlServer(context, endpoint, Recorder())
    raw = Raw(context, endpoint)
    raw.send(msgspec.msgpack.encode(frame))
    await until(lambda: len(raw.replies) == 1)
    assert raw.failure().code is code
    assert text in raw.failure().reason
    raw.drain.close()
    server.close()


async def test_a_peer_that_floods_is_refused_beyond_its_window(
    context: zmq.SyncContext, endpoint: str
) -> None:
    """C14."""
    recorder = Recorder()
    recorder.hold = asyncio.Event()
    server = ControlServer(context, endpoint, recorder)
    raw = Raw(context, endpoint)
    for ident in range(WINDOW + 100):
        raw.send(pack(Kind.REQUEST, ident, Ping()))
    await until(lambda: server.counters["refused"] >= 99)
    recorder.hold.set()
    await until(lambda: len(raw.replies) == WINDOW + 100)
    assert len(recorder.requests) in (WINDOW, WINDOW + 1)  # one may be in the handler
    assert raw.failure(0).code is Code.UNAVAILABLE
    raw.drain.close()
    server.close()


async def test_a_peer_that_left_before_its_reply_is_counted(
    context: zmq.SyncContext, endpoint: str
) -> None:
    recorder = Recorder()
    recorder.hold = asyncio.Event()
    server = ControlServer(context, endpoint, recorder)
    raw = Raw(context, endpoint)
    raw.send(pack(Kind.REQUEST, 1, Ping()))
    await until(lambda: server.counters["requests"] == 1)
    raw.drain.close()
    await asyncio.sleep(0.05)
    recorder.hold.set()
    await until(lambda: server.counters["unreachable"] == 1)
    client = ControlClient(context, endpoint)
    assert await client.call(Ping()) == Pong("one")
    client.close()
    server.close()
