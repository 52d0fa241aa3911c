"""The controllers of one bridge: who is connected, who is dialled, who may call."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from .answers import Answer, Ask
from .channel import Channel, Dialer, Listener, tcp
from .session import Description, Session, Shared
from .settings import Bridge, Controller, Listen

MAX_CALLERS = 64  # channels that listeners accept


class BridgeControl:
    """Keep the channels of one bridge as its settings say.

    Nobody is dialled or accepted before start(): a controller that is connected
    must get an answer to its first question.
    """

    def __init__(
        self,
        settings: Bridge,
        description: Description,
        ask: Callable[[str, Ask], Awaitable[Answer]],
    ) -> None:
        self.settings = settings
        self.channels: set[Channel] = set()
        self.shared = Shared(description)
        self._ask = partial(ask, settings.name)
        self._dialers: dict[Controller, Dialer] = {}
        self._listeners: dict[Listen, Listener] = {}
        self._started = False

    def start(self) -> None:
        """Begin to dial and to listen."""
        if not self._started:
            self._started = True
            self._open_missing()

    async def update(self, settings: Bridge) -> None:
        """Take new settings; connections whose settings are the same are not touched."""
        self.settings = settings
        for row in self._dialers.keys() - set(settings.controller):
            await self._dialers.pop(row).close()
        for gone in self._listeners.keys() - set(settings.listen):
            await self._listeners.pop(gone).close()
            self._close_callers(gone)
        if self._started:
            self._open_missing()

    async def close(self) -> None:
        """Close everything."""
        self._started = False
        await self.update(Bridge(self.settings.name))
        self.reset("the bridge is gone")

    def reset(self, why: str) -> None:
        """Close all channels; those that were dialled will be again."""
        for channel in list(self.channels):
            channel.close(why)

    def push(self, kind: str, data: bytes) -> None:
        """Pass asynchronous messages to everybody who wants them."""
        for channel in list(self.channels):
            channel.push(kind, data)

    # What channels call.

    def joined(self, channel: Channel) -> None:
        """Note a new channel."""
        self.channels.add(channel)
        if len(self.channels) > MAX_CALLERS + len(self._dialers):
            channel.close("too many controllers")

    def left(self, channel: Channel) -> None:
        """Forget a channel."""
        self.channels.discard(channel)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Describe every connection, and every one that should be there."""
        for channel in sorted(self.channels, key=lambda c: (c.name, c.peer)):
            yield {
                "bridge": self.settings.name,
                "name": channel.name,
                "peer": channel.peer,
                "connected": channel.session.up,
                "role": channel.session.role.name.lower(),
                "version": f"1.{channel.session.version - 1}",
                **channel.session.counters,
            }
        connected = {channel.name for channel in self.channels}
        for row, dialer in self._dialers.items():
            if row.name not in connected:
                yield self._absent(row, dialer.trouble)
        for listen, listener in self._listeners.items():
            if listener.trouble:
                yield self._absent(listen, listener.trouble)

    def _absent(self, row: Controller | Listen, trouble: str) -> dict[str, Any]:
        return {
            "bridge": self.settings.name,
            "name": row.name,
            "peer": f"{row.address}:{row.port}",
            "connected": False,
            "trouble": trouble,
        }

    def _open_missing(self) -> None:
        for row in self.settings.controller:
            if row not in self._dialers:
                factory = partial(self._channel, row.name, float(row.inactivity_probe))
                opener = tcp(row.address, row.port)
                self._dialers[row] = Dialer(opener, factory, float(row.max_backoff))
        for listen in self.settings.listen:
            if listen not in self._listeners:
                factory = partial(self._channel, listen.name, 15.0)
                self._listeners[listen] = Listener(listen.address, listen.port, factory)

    def _channel(self, name: str, probe: float) -> Channel:
        return Channel(name, partial(self._session, probe), self._ask, self)

    def _session(self, probe: float, now: float) -> Session:
        return Session(self.shared, now, probe=probe)

    def _close_callers(self, listen: Listen) -> None:
        for channel in list(self.channels):
            if channel.name == listen.name:
                channel.close("no longer configured")
