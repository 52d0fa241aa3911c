"""The controllers of one bridge: who is connected, who is dialled, who may call."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .answers import Answer, Ask
from .channel import Channel
from .identity import Identity
from .limiter import Limiter
from .reach import Dialer, Listener
from .session import Description, Session, Shared
from .settings import Bridge, Controller, Listen, PacketInLimit, Tls
from .transport import Binder, Opener, pssl, ptcp, punix, tcp, tls

MAX_CALLERS = 64  # channels that listeners accept
PROBE = 15.0  # seconds that a caller may be silent
MANAGEMENT = "management"  # the name of connections on the management socket


class Dial(NamedTuple):
    """A controller to connect to, and all that the way there depends on."""

    row: Controller
    tls: Tls

    @property
    def where(self) -> str:
        """Say what is dialled."""
        return f"{self.row.protocol}:{self.row.address}:{self.row.port}"

    def opener(self) -> Opener:
        """Return what connects."""
        if self.row.protocol == "tls":
            return tls(self.row.address, self.row.port, identity_of(self.tls))
        return tcp(self.row.address, self.row.port)


class Call(NamedTuple):
    """Where controllers may connect, and all that the way there depends on."""

    row: Listen
    tls: Tls

    @property
    def name(self) -> str:
        """The name of those who connect."""
        return self.row.name

    @property
    def where(self) -> str:
        """Say what is listened on."""
        return f"p{self.row.protocol}:{self.row.address}:{self.row.port}"

    def binder(self) -> Binder:
        """Return what listens."""
        if self.row.protocol == "tls":
            return pssl(self.row.address, self.row.port, identity_of(self.tls))
        return ptcp(self.row.address, self.row.port)


class Management(NamedTuple):
    """The Unix socket that Open vSwitch's tools look for: RUN/BRIDGE.mgmt."""

    path: Path
    name: str = MANAGEMENT

    @property
    def where(self) -> str:
        """Say what is listened on."""
        return f"punix:{self.path}"

    def binder(self) -> Binder:
        """Return what listens."""
        return punix(self.path)


def identity_of(files: Tls) -> Identity:
    """Return the TLS identity in *files*."""
    return Identity(files.private_key, files.certificate, files.ca_certificate)


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
        run_dir: Path,
    ) -> None:
        self.settings = settings
        self.channels: set[Channel] = set()
        self.shared = Shared(description)
        self._ask = partial(ask, settings.name)
        self._run_dir = run_dir
        self.limiter = self._make_limiter()
        self._dialers: dict[Dial, Dialer] = {}
        self._listeners: dict[Call | Management, Listener] = {}
        self._started = False

    def start(self) -> None:
        """Begin to dial and to listen."""
        if not self._started:
            self._started = True
            self._open_missing()

    async def update(self, settings: Bridge) -> None:
        """Take new settings; connections whose settings are the same are not touched."""
        before, self.settings = self.settings, settings
        if settings.packet_in_limit != before.packet_in_limit:
            self.limiter = self._make_limiter()
        if settings.versions != before.versions:
            self.reset("other versions are spoken now")
        for dial in self._dialers.keys() - set(self._dials()):
            await self._dialers.pop(dial).close()
        for call in self._listeners.keys() - set(self._calls()):
            await self._hang_up(call)
        if self._started:
            self._open_missing()

    async def close(self) -> None:
        """Close everything."""
        self._started = False
        for dial in list(self._dialers):
            await self._dialers.pop(dial).close()
        for call in list(self._listeners):
            await self._hang_up(call)
        self.reset("the bridge is gone")

    def reset(self, why: str) -> None:
        """Close all channels; those that were dialled will be again."""
        for channel in list(self.channels):
            channel.close(why)

    def push(self, kind: str, data: bytes) -> None:
        """Pass asynchronous messages to everybody who wants them."""
        if kind == "packet_in" and self.settings.packet_in_limit != PacketInLimit():
            data = self.limiter.filter(data, asyncio.get_running_loop().time())
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
        for dial, dialer in self._dialers.items():
            if dial.row.name not in connected:
                yield self._absent(dial.row.name, dial.where, dialer.trouble)
        for call, listener in self._listeners.items():
            if listener.trouble:
                yield self._absent(call.name, call.where, listener.trouble)

    def _absent(self, name: str, where: str, trouble: str) -> dict[str, Any]:
        return {
            "bridge": self.settings.name,
            "name": name,
            "peer": where.partition(":")[2],
            "connected": False,
            "trouble": trouble,
        }

    def _dials(self) -> list[Dial]:
        tls = self.settings.tls
        return [Dial(row, needed(row, tls)) for row in self.settings.controller]

    def _calls(self) -> list[Call | Management]:
        tls = self.settings.tls
        calls: list[Call | Management] = [
            Call(row, needed(row, tls)) for row in self.settings.listen
        ]
        if self.settings.management_socket:
            calls.append(Management(self._run_dir / f"{self.settings.name}.mgmt"))
        return calls

    def _open_missing(self) -> None:
        for dial in self._dials():
            if dial not in self._dialers:
                factory = partial(self._channel, dial.row.name, float(dial.row.inactivity_probe))
                self._dialers[dial] = Dialer(dial.opener(), factory, float(dial.row.max_backoff))
        for call in self._calls():
            if call not in self._listeners:
                factory = partial(self._channel, call.name, PROBE)
                self._listeners[call] = Listener(call.binder(), factory)

    async def _hang_up(self, call: Call | Management) -> None:
        await self._listeners.pop(call).close()
        for channel in list(self.channels):
            if channel.name == call.name:
                channel.close("no longer configured")

    def _channel(self, name: str, probe: float) -> Channel:
        level = logging.DEBUG if name == MANAGEMENT else logging.INFO  # tools come and go
        return Channel(name, partial(self._session, probe), self._ask, self, level)

    def _session(self, probe: float, now: float) -> Session:
        return Session(self.shared, now, probe=probe, versions=self.settings.versions)

    def _make_limiter(self) -> Limiter:
        now = asyncio.get_running_loop().time()
        return Limiter(self.settings.packet_in_limit, now)


def needed(row: Controller | Listen, tls: Tls) -> Tls:
    """Return the files that a row depends on."""
    return tls if row.protocol == "tls" else Tls()
