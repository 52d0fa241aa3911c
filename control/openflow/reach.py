"""Channels that come to be: dialled until they stand, or made for each that calls.

What is below a channel is an Opener or a Binder of transport.py.
"""

import asyncio
import logging
from collections.abc import Callable

from ..message.backoff import Backoff
from .channel import Channel
from .transport import Binder, Bound, Opener

CONNECT_TIMEOUT = 10.0  # seconds
BIND_RETRY = 5.0  # longest pause between attempts to listen

log = logging.getLogger(__name__)

Factory = Callable[[], Channel]


class Dialer:
    """Keep a channel to one address: connect, wait for its end, pause, connect again."""

    def __init__(self, opener: Opener, factory: Factory, max_backoff: float) -> None:
        self._opener = opener
        self._factory = factory
        self._backoff = Backoff(max_backoff)
        self._channel: Channel | None = None
        self.trouble = ""  # why there is no connection
        self._task = asyncio.create_task(self._dial())

    async def close(self) -> None:
        """Hang up and stay so."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._channel:
            self._channel.close("no longer configured")

    async def _dial(self) -> None:
        while True:
            channel = self._factory()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._opener(channel)
            except (OSError, TimeoutError) as error:
                self._failed(str(error) or "timed out")
            else:
                self._channel = channel
                await self._talk(channel)
            await asyncio.sleep(self._backoff.failed())

    async def _talk(self, channel: Channel) -> None:
        self.trouble = ""
        await channel.gone.wait()
        if channel.session.up:
            self._backoff.succeeded()
        self.trouble = channel.session.closed or ""
        self._channel = None

    def _failed(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble


class Listener:
    """Make a channel for each controller that calls; if it cannot bind, say so and retry."""

    def __init__(self, binder: Binder, factory: Factory) -> None:
        self._binder = binder
        self._factory = factory
        self._backoff = Backoff(BIND_RETRY)
        self._server: Bound | None = None
        self.trouble = ""  # why nobody can call
        self.bound = asyncio.Event()
        self._task = asyncio.create_task(self._bind())

    @property
    def port(self) -> int:
        """The TCP port that is bound, once *bound* is set."""
        return self._server.port if self._server else 0

    async def close(self) -> None:
        """Stop listening; the owner closes the channels."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._server:
            await self._server.close()

    async def _bind(self) -> None:
        while True:
            try:
                self._server = await self._binder(self._factory)
            except OSError as error:
                if str(error) != self.trouble:
                    log.error("cannot listen: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(self._backoff.failed())
                continue
            self.trouble = ""
            self.bound.set()
            return
