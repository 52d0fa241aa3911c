"""The controllers of one bridge: who is connected, who is dialled, who may call."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .answers import AWAY, Answer, Ask
from .asking import Post, Then, answer_to
from .channel import Channel
from .giving import copy, give_back
from .limiter import Limiter
from .reach import Dialer, Listener
from .replica import Replica
from .session import Description, Session, Shared
from .settings import Bridge, PacketInLimit
from .ways import MANAGEMENT, Call, Dial, Management, calls, dials

log = logging.getLogger(__name__)

MAX_CALLERS = 64  # channels that listeners accept
PATIENCE = 5.0  # seconds to wait for a bridge that was only just configured
PROBE = 15.0  # seconds that a caller may be silent


class BridgeControl:
    """Keep the channels of one bridge as its settings say.

    Nobody is dialled or accepted before start(): a controller that is connected
    must get an answer to its first question.
    """

    def __init__(
        self,
        settings: Bridge,
        description: Description,
        post: Callable[[str, Ask, Then], None],
        run_dir: Path,
    ) -> None:
        self.settings = settings
        self.channels: set[Channel] = set()
        self.shared = Shared(description)
        self._post: Post = partial(post, settings.name)
        self._ask = partial(answer_to, self._post)
        self._replica = Replica()
        self._whole = asyncio.Event()  # the dataplane holds what controllers have set
        self._is_new = False  # it was started again, and holds nothing
        self._refused = False  # a controller was told that it is away
        self._run_dir = run_dir
        self.limiter = self._make_limiter()
        self._dialers: dict[Dial, Dialer] = {}
        self._auxiliaries: dict[Dial, list[Dialer]] = {}
        self._listeners: dict[Call | Management, Listener] = {}
        self._started = False
        self._told = -1  # how many controllers the dataplane was told of

    def lost(self, *, empty: bool = False) -> None:
        """Note that the dataplane is away, or there again and *empty*."""
        self._whole.clear()
        self._is_new |= empty

    async def attached(self) -> None:
        """Note that the dataplane has the bridge: give back what it held, keep a copy of it."""
        if not self._whole.is_set():
            if self._is_new:
                await self._give_back()
            self._whole.set()
        self.start()
        now = asyncio.get_running_loop().time()
        if self._replica.is_worn(now) and not await copy(self._replica, self._ask):
            log.warning("bridge %s: no copy of what it holds", self.settings.name)

    async def _give_back(self) -> None:
        """Fill an empty dataplane; where that is not all there was, controllers begin anew."""
        began = asyncio.get_running_loop().time()
        whole = await give_back(self._replica, self._ask)
        took = asyncio.get_running_loop().time() - began
        log.info("bridge %s was filled again in %.3f s", self.settings.name, took)
        if not whole or self._refused:
            self.reset("the dataplane was started again, not all is as it was")
        self._is_new = self._refused = False

    def carry(self, ask: Ask, then: Then) -> None:
        """Ask for a controller; what changes the bridge is noted in the order of sending."""
        if not self._whole.is_set():
            self._refused = True
            asyncio.get_running_loop().call_soon(then, Answer(AWAY))
            return
        number = self._replica.note(ask)
        self._post(ask, partial(self._carried, number, then))

    def _carried(self, number: int, then: Then, answer: Answer) -> None:
        if answer.code == AWAY:
            self._refused = True
            self._replica.forget(number)
        then(answer)

    async def carry_in_time(self, ask: Ask) -> Answer:
        """Ask for somebody who is no controller: wait until the dataplane has the bridge."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._whole.wait()
        return await answer_to(self.carry, ask)

    def copied(self) -> dict[str, int]:
        """Return the bytes of the copy of what the bridge holds, and of the changes since."""
        return self._replica.sizes()

    def start(self) -> None:
        """Begin to dial and to listen; the dataplane has the bridge, perhaps anew."""
        self._told = -1
        self._tell()
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
        for dial in self._dialers.keys() - set(dials(self.settings)):
            await self._undial(dial)
        for call in self._listeners.keys() - set(calls(self.settings, self._run_dir)):
            await self._hang_up(call)
        if self._started:
            self._open_missing()

    async def close(self) -> None:
        """Close everything."""
        self._started = False
        for dial in list(self._dialers):
            await self._undial(dial)
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
        dialled = sum(1 + dial.row.auxiliary_connections for dial in self._dialers)
        if len(self.channels) > MAX_CALLERS + dialled:
            channel.close("too many controllers")

    def ready(self, channel: Channel) -> None:
        """Note a controller that can be used now."""
        self._tell()

    def left(self, channel: Channel) -> None:
        """Forget a channel; auxiliary ones end with their main one."""
        self.channels.discard(channel)
        self._tell()
        for other in list(self.channels):
            if other.session.is_auxiliary_of(channel.session):
                other.close("the main connection is down")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Describe every connection, and every one that should be there."""
        for channel in sorted(self.channels, key=lambda c: (c.name, c.peer)):
            yield {
                "bridge": self.settings.name,
                "name": channel.name,
                "peer": channel.peer,
                "connected": channel.session.up,
                "role": channel.session.role.name.lower(),
                "auxiliary": channel.session.auxiliary_id,
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

    def _tell(self) -> None:
        """Let the dataplane know how many controllers there are: without any, fail-mode decides.

        Tools at the management socket come and go and control nothing by themselves.
        """
        count = sum(
            channel.session.up and not channel.session.auxiliary_id and channel.name != MANAGEMENT
            for channel in self.channels
        )
        if count != self._told:
            self._told = count
            self._post(Ask("controllers", count.to_bytes(4)), lambda answer: None)

    def _absent(self, name: str, where: str, trouble: str) -> dict[str, Any]:
        return {
            "bridge": self.settings.name,
            "name": name,
            "peer": where.partition(":")[2],
            "connected": False,
            "trouble": trouble,
        }

    def _open_missing(self) -> None:
        for dial in dials(self.settings):
            if dial not in self._dialers:
                factory = partial(self._channel, dial.row.name, float(dial.row.inactivity_probe))
                self._dialers[dial] = Dialer(dial.opener(), factory, float(dial.row.max_backoff))
                self._auxiliaries[dial] = [self._auxiliary(dial, n) for n in dial.auxiliaries]
        for call in calls(self.settings, self._run_dir):
            if call not in self._listeners:
                factory = partial(self._channel, call.name, PROBE)
                self._listeners[call] = Listener(call.binder(), factory)

    def _auxiliary(self, dial: Dial, number: int) -> Dialer:
        """Dial an auxiliary connection, whenever the main one is up."""
        row = dial.row

        async def opener(protocol: asyncio.Protocol) -> None:
            if self._find_main(row.name) is None:
                raise ConnectionError("the main connection is down")
            await dial.opener()(protocol)

        def session(now: float) -> Session:
            probe = float(row.inactivity_probe)
            main = self._find_main(row.name)
            if main is None:  # it went while this one was dialled
                made = Session(self.shared, now)
                made.close("the main connection is down")
                return made
            versions = (main.version,)
            return Session(
                self.shared, now, main=main, auxiliary_id=number, probe=probe, versions=versions
            )

        def channel() -> Channel:
            return Channel(row.name, session, self.carry, self)

        return Dialer(opener, channel, float(row.max_backoff))

    def _find_main(self, name: str) -> Session | None:
        sessions = (channel.session for channel in self.channels if channel.name == name)
        return next((each for each in sessions if each.up and not each.auxiliary_id), None)

    async def _undial(self, dial: Dial) -> None:
        for dialer in (*self._auxiliaries.pop(dial), self._dialers.pop(dial)):
            await dialer.close()

    async def _hang_up(self, call: Call | Management) -> None:
        await self._listeners.pop(call).close()
        for channel in list(self.channels):
            if channel.name == call.name:
                channel.close("no longer configured")

    def _channel(self, name: str, probe: float) -> Channel:
        level = logging.DEBUG if name == MANAGEMENT else logging.INFO  # tools come and go
        return Channel(name, partial(self._session, probe), self.carry, self, level)

    def _session(self, probe: float, now: float) -> Session:
        return Session(self.shared, now, probe=probe, versions=self.settings.versions)

    def _make_limiter(self) -> Limiter:
        now = asyncio.get_running_loop().time()
        return Limiter(self.settings.packet_in_limit, now)
