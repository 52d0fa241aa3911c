"""One router and the namespace of its host side: routes and neighbours from there to here."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..message import CallError
from ..message.routes import Ask, RouteClient, Source, address_bytes
from .encode import neighbour
from .events import NO_TABLE, Event, Link, Neighbour, NextHop, Route, Routes
from .fpm_server import FpmServer, FpmServers, Listener
from .kernel import Kernel
from .kernel_routes import KernelRoutes, for_a_router
from .memory import Memory
from .neighbours import KNOWN, Name, Neighbours
from .pump import Pump
from .restart import Restart
from .settings import Router

TICK = 0.25  # seconds between looks at timers
LOOK = 1.0  # seconds between looks at the dataplane's neighbours

Alarm = Callable[[str], None]

log = logging.getLogger(__name__)


class Adapter:
    """Make it inside a running loop; `open`, then `run`."""

    def __init__(self, settings: Router, ask: Ask, alarm: Alarm, zebras: FpmServers) -> None:
        self.settings = settings
        self.trouble = ""
        self._alarm = alarm
        self._client = RouteClient(ask, settings.name)
        self._fpm, self._own = Memory(Source.FPM), Memory(Source.KERNEL)
        self._pumps = {
            "fpm": Pump(self._fpm, self._client, self._resolve),
            "kernel": Pump(self._own, self._client, self._resolve),
        }
        times = settings.routing
        self._restart = Restart(time.monotonic(), times.restart_time, times.stale_time)
        self._kernel_routes = KernelRoutes(times.table, times.kernel_routes == "all")
        self._neighbours = Neighbours()
        self._links: dict[int, str] = {}
        self._fresh_links: dict[int, str] = {}
        self._interfaces: Mapping[str, int] = {}
        self._ours: dict[int, int] = {}  # the kernel's number of an interface -> the dataplane's
        self._is_read = False  # the kernel has said all
        self._is_there = False  # the dataplane
        self._kernel: Kernel | None = None
        self._zebras = zebras
        self._listener = Listener(self._take_fpm, self._pumps["fpm"].wake, self._zebra)
        self._server: FpmServer | None = None
        self._takes: dict[type[Event], Callable[[Any], None]] = {
            Link: self._take_link,
            Neighbour: self._neighbours.take_kernel,
            Route: self._take_own_route,
            Routes: self._take_own_routes,
        }
        self._takes_fpm: dict[type[Event], Callable[[Any], None]] = {
            NextHop: self._fpm.take_next_hop,
            Route: lambda route: self._take_fpm_routes(route, [route.key]),
            Routes: lambda routes: self._take_fpm_routes(*routes),
        }

    async def open(self) -> None:
        """Listen to the kernel and to zebra; OSError if that cannot be done."""
        settings = self.settings
        try:
            self._kernel = Kernel(
                settings.host_namespace, self._take_own, self._begin, self._complete
            )
            self._server = await self._zebras.join(settings.listens, self._listener)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more; the routes stay."""
        if self._kernel:
            self._kernel.close()
        if self._server:
            self._zebras.leave(self.settings.listens, self._listener)
        self._kernel = self._server = None

    async def run(self) -> None:
        """Carry, and look after timers and neighbours, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for pump in self._pumps.values():
                tasks.create_task(pump.run())
            tasks.create_task(self._tick())
            tasks.create_task(self._look())

    # The dataplane.

    def dataplane_has(self, interfaces: Mapping[str, int]) -> None:
        """Tell it all if it is new; *interfaces* are its numbers of them, by name."""
        self._interfaces = interfaces
        self._match()
        if not self._is_there:
            self._is_there = True
            self._neighbours.tell_again()
            self._release()

    def dataplane_left(self) -> None:
        """Tell nothing until it is back: the numbers of interfaces may be others then."""
        self._is_there = False
        for pump in self._pumps.values():
            pump.hold()

    def _release(self) -> None:
        if self._is_there and self._is_read:
            for pump in self._pumps.values():
                pump.begin_anew()

    # Interfaces.

    def _resolve(self, index: int) -> int:
        return self._ours.get(index, 0)

    def _match(self) -> None:
        """Find out anew which interfaces are which."""
        ours = {
            index: self._interfaces[name]
            for index, name in self._links.items()
            if name in self._interfaces
        }
        if ours != self._ours:
            self._ours = ours
            for pump in self._pumps.values():
                pump.resolve_again()

    def _take_link(self, event: Link) -> None:
        for links in (self._links, self._fresh_links):
            if event.removed:
                links.pop(event.interface, None)
            else:
                links[event.interface] = event.name
        if self._is_read:
            self._match()

    # The kernel.

    def _begin(self) -> None:
        self._fresh_links = {}
        self._kernel_routes.clear()
        self._neighbours.clear()
        self._own.mark()

    def _complete(self) -> None:
        self._links = self._fresh_links
        self._match()
        self._own.sweep()
        self._pumps["kernel"].is_complete = True
        self._pumps["kernel"].wake()
        if not self._is_read:
            self._is_read = True
            self._release()

    def _take_own(self, event: Event) -> None:
        take = self._takes.get(type(event))
        if take:
            take(event)

    def _take_own_route(self, event: Route) -> None:
        if self.settings.routing.kernel_routes == "none":
            return
        route = self._kernel_routes.take(event)
        if route is None:
            return
        if route.removed:
            self._own.remove_route(route.key)
        else:
            self._own.put_route(route)
        self._pumps["kernel"].wake()

    def _take_own_routes(self, event: Routes) -> None:
        if self._kernel_routes.concerns(event.like):
            for key in event.keys:
                self._take_own_route(event.like._replace(key=key))

    # Zebra.

    def _take_fpm(self, event: Event) -> None:
        take = self._takes_fpm.get(type(event))
        if take:
            take(event)

    def _take_fpm_routes(self, like: Route, keys: list[bytes]) -> None:
        if like.table not in (NO_TABLE, self.settings.routing.table):
            return
        if like.removed:
            for key in keys:
                self._fpm.remove_route(key)
        else:
            self._fpm.put_routes(like, for_a_router(keys))

    def _zebra(self, is_there: bool) -> None:
        name, now = self.settings.name, time.monotonic()
        self._fpm.mark()
        self._pumps["fpm"].is_complete = False
        if is_there:
            self._restart.came(now)
            log.info("zebra tells of the routes of router %s", name)
        else:
            self._restart.lost(now)
            seconds = self.settings.routing.restart_time
            self._alarm(f"router {name}: zebra has gone; its routes stay for {seconds} s")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            if self._restart.is_due(time.monotonic()):
                self._withdraw()

    def _withdraw(self) -> None:
        withdrawn = self._fpm.sweep()
        self._pumps["fpm"].is_complete = True
        self._pumps["fpm"].wake()
        if withdrawn:
            name = self.settings.name
            self._alarm(f"router {name}: {withdrawn} routes were withdrawn that zebra had told of")

    # Neighbours.

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            if self._is_there and self._is_read and self._kernel:
                try:
                    await self._exchange_neighbours(self._kernel)
                except CallError as error:
                    log.debug("neighbours: %s", error)

    async def _exchange_neighbours(self, kernel: Kernel) -> None:
        theirs = {ours: index for index, ours in self._ours.items()}
        known: dict[Name, bytes] = {}
        for record in await self._client.neighbours():
            index = theirs.get(int(record["interface"]))
            if index and record["state"] in KNOWN:
                known[index, address_bytes(record)] = record["mac"].tobytes()
        for (index, address), mac in self._neighbours.take_dataplane(known):
            kernel.send(neighbour(kernel.sequence(), not mac, index, address, mac))
        if records := self._neighbours.records(self._ours):
            await self._client.neighbours_mod(records)

    # State.

    @property
    def is_idle(self) -> bool:
        """Whether the dataplane has been told all."""
        return all(pump.is_idle for pump in self._pumps.values())

    def state(self) -> dict[str, Any]:
        """Return what `show routing` needs, and the settings that are in use."""
        pumps = self._pumps
        return {
            "name": self.settings.name,
            "host-namespace": self.settings.host_namespace,
            "routing": msgspec.to_builtins(self.settings.routing),
            "zebra": str(self._restart.phase),
            "routes": {name: len(pump.memory.routes) for name, pump in pumps.items()},
            "stale": len(self._fpm.stale),
            "waiting": {name: pump.memory.waits for name, pump in pumps.items()},
            "interfaces": len(self._ours),
            "trouble": self.trouble or next(filter(None, (p.trouble for p in pumps.values())), ""),
        }

    def stats(self) -> dict[str, Any]:
        """Return counters."""
        counted = {name: dict(p.counters + p.memory.counters) for name, p in self._pumps.items()}
        return counted | {
            "zebra": dict(self._server.counters) if self._server else {},
            "netlink": dict(self._kernel.counters) if self._kernel else {},
        }
