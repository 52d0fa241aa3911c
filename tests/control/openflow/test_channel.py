"""The asyncio shell: sockets over loopback, a session behind them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from loopback import HOST, free_port

from raicho.control.message.backoff import Backoff
from raicho.control.openflow import framing
from raicho.control.openflow.answers import Answer, Ask
from raicho.control.openflow.asking import Then
from raicho.control.openflow.channel import Channel
from raicho.control.openflow.reach import Dialer, Listener
from raicho.control.openflow.session import Session, Shared
from raicho.control.openflow.spec import pack, unpack
from raicho.control.openflow.spec.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    FlowMod,
    Hello,
    PortStatus,
)
from raicho.control.openflow.spec.ports import Port
from raicho.control.openflow.transport import ptcp, tcp


class Owner:
    """Who has the channels of a test."""

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.usable: list[Channel] = []  # whose hello was understood
        self.asked: list[Ask] = []

    def joined(self, channel: Channel) -> None:
        self.channels.append(channel)

    def ready(self, channel: Channel) -> None:
        self.usable.append(channel)

    def left(self, channel: Channel) -> None:
        self.channels.remove(channel)

    def post(self, ask: Ask, then: Then) -> None:
        self.asked.append(ask)
        answer = Answer(framing.DONE, (b"\xff" * 4 * framing.count(ask.payload),))
        asyncio.get_running_loop().call_soon(then, answer)

    def channel(self) -> Channel:
        return Channel("c1", partial(Session, Shared()), self.post, self)


class Controller:
    """A controller: one end of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def hear(self) -> tuple[object, int]:
        header = await self._reader.readexactly(8)
        size = int.from_bytes(header[2:4], "big")
        return unpack(header + await self._reader.readexactly(size - 8))

    async def say(self, *messages: object) -> None:
        for i, message in enumerate(messages):
            self.writer.write(pack(message, i))  # type: ignore[arg-type]
        await self.writer.drain()

    async def greet(self) -> None:
        greeting, _ = await self.hear()
        assert isinstance(greeting, Hello)
        await self.say(greeting)

    async def ended(self) -> bool:
        return await self._reader.read(1) == b""


@asynccontextmanager
async def listening(owner: Owner) -> AsyncIterator[Listener]:
    listener = Listener(ptcp(HOST, 0), owner.channel)
    await listener.bound.wait()
    try:
        yield listener
    finally:
        await listener.close()
        for channel in list(owner.channels):
            channel.close("the test is over")


async def calling(listener: Listener) -> Controller:
    return Controller(*await asyncio.open_connection(HOST, listener.port))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_controller_that_calls_is_served() -> None:
    """F8: passive connections."""
    owner = Owner()
    async with listening(owner) as listener:
        controller = await calling(listener)
        await controller.greet()
        await controller.say(FlowMod(), EchoRequest(b"x"), BarrierRequest())
        assert await controller.hear() == (EchoReply(b"x"), 1)
        assert await controller.hear() == (BarrierReply(), 2)
        assert [ask.op for ask in owner.asked] == ["apply", "barrier"]
        controller.writer.close()
        await until(lambda: not owner.channels)


async def test_an_asynchronous_message_arrives() -> None:
    owner = Owner()
    async with listening(owner) as listener:
        controller = await calling(listener)
        await controller.greet()
        await controller.say(BarrierRequest())
        await controller.hear()
        status = PortStatus(0, Port(1, bytes(6), "veth0"))
        owner.channels[0].push("port_status", pack(status))
        assert await controller.hear() == (status, 0)
        controller.writer.close()


async def test_a_controller_that_talks_nonsense_is_told_and_hung_up_on() -> None:
    owner = Owner()
    async with listening(owner) as listener:
        controller = await calling(listener)
        await controller.hear()
        controller.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        error, _ = await controller.hear()
        assert error.type == 0  # type: ignore[attr-defined]
        assert await controller.ended()
        controller.writer.close()
        await until(lambda: not owner.channels)


async def test_a_controller_is_dialled_again_when_it_goes() -> None:
    """F8: and the pause begins anew once it had been there."""
    owner = Owner()
    calls: asyncio.Queue[Controller] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: calls.put_nowait(Controller(r, w)), HOST, 0)
    dialer = Dialer(tcp(HOST, server.sockets[0].getsockname()[1]), owner.channel, 0.02)
    for _ in range(3):
        controller = await calls.get()
        await controller.greet()
        await controller.say(BarrierRequest())
        await controller.hear()
        assert dialer.trouble == ""
        controller.writer.close()
        await until(lambda: not owner.channels)
    last = await calls.get()
    await last.hear()
    await dialer.close()
    assert await last.ended()
    last.writer.close()
    server.close()


async def test_a_controller_that_is_not_there_is_tried_until_it_is() -> None:
    owner = Owner()
    port = free_port()
    dialer = Dialer(tcp(HOST, port), owner.channel, 0.02)
    await until(lambda: dialer.trouble)
    calls: asyncio.Queue[Controller] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: calls.put_nowait(Controller(r, w)), HOST, port)
    controller = await calls.get()
    await controller.greet()
    await dialer.close()
    controller.writer.close()
    server.close()


async def test_an_address_that_is_taken_is_listened_on_once_it_is_free() -> None:
    """M17: it says so loudly and binds when it can; TIME_WAIT does not matter."""
    owner = Owner()
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        listener = Listener(ptcp(HOST, port), owner.channel)
        await until(lambda: listener.trouble)
        assert "address already in use" in listener.trouble
    await listener.bound.wait()
    assert listener.trouble == ""
    controller = await calling(listener)
    await controller.greet()
    await listener.close()
    owner.channels[0].close("our side closes first: TIME_WAIT is ours")
    assert await controller.ended()
    controller.writer.close()
    again = Listener(ptcp(HOST, port), owner.channel)
    await again.bound.wait()
    await again.close()


async def test_a_controller_that_does_not_read_is_not_read() -> None:
    """Memory stays bounded while a controller sends echo requests and never reads."""
    owner = Owner()
    async with listening(owner) as listener:
        controller = await calling(listener)
        await controller.greet()
        flood = pack(EchoRequest(bytes(8000))) * 100
        for _ in range(200):
            controller.writer.write(flood)
        await asyncio.sleep(0.3)
        transport = owner.channels[0]._transport
        assert transport is not None
        assert not transport.is_reading()
        assert transport.get_write_buffer_size() < 2 << 20
        controller.writer.transport.abort()
        await until(lambda: not owner.channels)


def test_pauses_double_up_to_the_cap_and_begin_again() -> None:
    backoff = Backoff(3, first=0.5)
    assert [backoff.failed() for _ in range(5)] == [0.5, 1, 2, 3, 3]
    backoff.succeeded()
    assert backoff.failed() == 0.5
