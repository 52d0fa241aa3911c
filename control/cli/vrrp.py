"""vrrp: what a VRRP daemon beside the switch decides, carried to the bus."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import emit_rows
from .place import keys_folder, placed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from io import FileIO

    from ..message import ControlClient, Publisher
    from ..message.keys import Context
    from .keepalived import States

SOURCE = "vrrp"  # of the events and of the sample
ECHO = f"echo.{SOURCE}"  # a topic that we hear ourselves on
CONNECT, AGAIN = 5.0, 0.05  # seconds: for the bus to know us, and between tries
RETRY = 1.0  # seconds until a datastore that is away is tried again
REMIND = 5.0  # and until one is told that may have been started anew: it keeps samples in memory
LAST_WORDS = 5.0  # seconds in which the daemon says what became of it, after it told us to end
FAREWELL = 200  # milliseconds in which the last events leave
COLUMNS = ("kind", "name", "state", "priority")


@click.group()
def vrrp() -> None:
    """Carry what a VRRP daemon decides to the bus."""


@vrrp.command()
@placed
@click.argument("fifo", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def follow(fifo: Path) -> None:
    """Publish what keepalived writes into its notify FIFO, until keepalived ends.

    keepalived starts this itself and adds FIFO: vrrp_notify_fifo_script "raicho vrrp follow".
    """
    import asyncio

    if not fifo.is_fifo():
        raise click.ClickException(f"{fifo} is no FIFO; keepalived makes one (vrrp_notify_fifo)")

    from .ask import endpoint

    where = endpoint("bus", "pub"), endpoint("bus", "sub"), endpoint("datastore")
    with fifo.open("rb", buffering=0) as stream:  # waits for keepalived to open it
        asyncio.run(_follow(stream, *where))


@click.command(name="vrrp")
@placed
def show_vrrp() -> None:
    """List the VRRP instances and groups, as their daemon has told last."""
    import msgspec

    from ..message import CallError, Code, GetSample
    from .ask import ask

    try:
        sampled = ask("datastore", GetSample(SOURCE))
    except CallError as error:
        if error.failure.code is not Code.NOT_FOUND:
            raise
        emit_rows([], COLUMNS, "no VRRP daemon has told anything")
        return
    rows = [
        {"kind": kind, **msgspec.msgpack.decode(row), "stale": sampled.stale}
        for kind, found in sampled.sets.items()
        for row in found.values()
    ]
    if sampled.stale:
        click.echo("of a daemon that is gone", err=True)
    emit_rows(rows, COLUMNS, "no VRRP instance")


async def _follow(stream: "FileIO", to: str, back: str, datastore: str) -> None:
    """Carry line by line, with a connection to each end of the bus and one to the datastore."""
    from ..message import ControlClient, Publisher
    from ..message.keys import context_with, load
    from .keepalived import States

    context = context_with(load(keys_folder()))
    publisher = Publisher(context, to, SOURCE)
    states = States()
    held = Held(ControlClient(context, datastore), states)
    try:
        await held.begin()
        await _introduce(context, publisher, back)
        async for line in _lines(stream):
            try:
                moved = states.hear(line.decode())
            except ValueError as error:
                click.echo(f"not understood: {error}", err=True)
                continue
            if moved:
                publisher.publish(f"vrrp.{moved.kind}", moved)
                held.news.set()
        await held.end()
    finally:
        publisher.close()
        held.close()
        context.destroy(linger=FAREWELL)


async def _introduce(context: "Context", publisher: "Publisher", back: str) -> None:
    """Wait until the bus has told the publisher who subscribes: until it hears itself.

    What is published before is lost.  If the bus is away we go on without it, as all do.
    """
    import asyncio

    from ..message import Event, Subscriber

    own, heard = {"pid": os.getpid()}, asyncio.Event()

    def hear(event: Event) -> None:
        if event.body == own:
            heard.set()

    subscriber = Subscriber(context, back, [ECHO], hear)
    with suppress(TimeoutError):
        async with asyncio.timeout(CONNECT):
            while not heard.is_set():
                publisher.publish(ECHO, own)
                await asyncio.sleep(AGAIN)
    subscriber.close()


async def _lines(stream: "FileIO") -> "AsyncIterator[bytes]":
    """Yield what is written, until nobody has the other end open or a signal came.

    keepalived asks its script to end before it writes its own last words.
    """
    import asyncio

    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_read_pipe(lambda: protocol, stream)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, loop.call_later, LAST_WORDS, reader.feed_eof)
    try:
        while line := await reader.readline():
            yield line
    finally:
        transport.close()


class Held:
    """The sample in the datastore that says what is so now, for those who come later."""

    def __init__(self, datastore: "ControlClient", states: "States") -> None:
        import asyncio

        self.news = asyncio.Event()
        self._datastore, self._states = datastore, states
        self._recalled = False

    async def begin(self) -> None:
        """Go on from what was told of a daemon that lives, or anew; then keep it told."""
        import asyncio

        from ..message import CallError, Code

        try:
            await self._tell()
        except CallError as error:
            if error.failure.code is Code.REFUSED:  # as the bus would, but that says nothing
                raise
            self.news.set()
        self._task = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Say that the daemon is gone, if there is somebody to be told."""
        from ..message import CallError, MarkStale

        self._task.cancel()
        with suppress(CallError):
            await self._put()
            await self._datastore.call(MarkStale(SOURCE), RETRY)

    def close(self) -> None:
        """Close the connection."""
        self._datastore.close()

    async def _keep(self) -> None:
        import asyncio

        from ..message import CallError

        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REMIND):
                    await self.news.wait()
            self.news.clear()
            try:
                await self._tell()
            except CallError as error:
                click.echo(f"the datastore was not told: {error}", err=True)
                self.news.set()
                await asyncio.sleep(RETRY)

    async def _tell(self) -> None:
        """Put what is so now; before the first time, take over what this would replace."""
        if not self._recalled:
            await self._recall()
            self._recalled = True
        await self._put()

    async def _recall(self) -> None:
        """Take over from one like us that was killed, or find nothing."""
        from ..message import CallError, Code, GetSample

        try:
            sampled = await self._datastore.call(GetSample(SOURCE), RETRY)
        except CallError as error:
            if error.failure.code is not Code.NOT_FOUND:
                raise
            return
        if not sampled.stale:
            self._states.recall(sampled.sets)

    async def _put(self) -> None:
        from ..message import PutSample

        sample = PutSample(SOURCE, str(os.getpid()), 0.0, self._states.sets())
        await self._datastore.call(sample, RETRY)
