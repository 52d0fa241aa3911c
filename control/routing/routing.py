"""The component: an adapter for each router that has a side for the host."""

import asyncio
import logging
import os
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ..component import Bootstrap, BulkPeer, Component
from ..message import (
    Alert,
    BulkReply,
    BulkRequest,
    CallError,
    Change,
    ConfigError,
    ControlClient,
    Get,
)
from ..message.finding import lookup
from ..message.path import BadPath, find, parse_path
from ..message.routes import ROUTE_API
from .adapter import Adapter
from .fpm_server import FpmServers
from .settings import Router, clashes, routers_of

DATAPLANE = "dataplane.control"
LOOK = 1.0  # seconds between looks at the dataplane's interfaces
TIMEOUT = 5.0

log = logging.getLogger(__name__)


class RoutingComponent(Component):
    """Bring the routes of routing daemons to the routers of the dataplane."""

    name = "routing"

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.yang = [(files(__package__) / "schema/raicho-routing.yang").read_text("utf-8")]
        self.subscriptions = ["/raicho/router"]
        self._routers: dict[str, Router] = {}
        self._next: dict[str, Router] = {}
        self._adapters: dict[str, Adapter] = {}
        self._zebras = FpmServers()
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._control: ControlClient | None = None
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Begin to look for the dataplane."""
        self._bulk = BulkPeer(self.context, self.datastore, ROUTE_API, on_link=self._link)
        self.spawn(self._look())

    async def close(self) -> None:
        """Listen to nobody any more; the routes stay in the dataplane."""
        for name in list(self._adapters):
            self._stop(name)
        self._bulk.close()
        if self._control:
            self._control.close()

    # Configuration.

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Read the routers, and refuse two that one zebra tells of one table."""
        self._next = routers_of(config)
        for path, reason in clashes(self._next):
            raise ConfigError(path, reason)

    async def commit(self, txid: str) -> None:
        """Begin anew with routers whose settings have changed."""
        wanted, self._routers = self._next, self._next
        for name, adapter in list(self._adapters.items()):
            if wanted.get(name) != adapter.settings:
                self._stop(name)
        for name, settings in wanted.items():
            if name not in self._adapters:
                self._adapters[name] = Adapter(settings, self._ask, self._alarm, self._zebras)
        self._wake.set()

    def _stop(self, name: str) -> None:
        self._adapters.pop(name).close()
        if run := self._runs.pop(name, None):
            run.cancel()

    def _alarm(self, cause: str) -> None:
        log.warning("%s", cause)
        self.publisher.publish(f"alert.{self.identity}", Alert(self.identity, cause, os.getpid()))

    # The dataplane.

    async def _ask(self, request: BulkRequest, payload: bytes, /) -> tuple[BulkReply, list[bytes]]:
        return await self._bulk.request(request, payload, TIMEOUT)

    def _link(self, up: bool) -> None:
        log.info("the dataplane is %s", "there" if up else "away")
        if not up:
            for adapter in self._adapters.values():
                adapter.dataplane_left()
        self._wake.set()

    async def _look(self) -> None:
        """Open what is not open, and follow the interfaces of the dataplane."""
        while True:
            self._wake.clear()
            for name, adapter in list(self._adapters.items()):
                if name not in self._runs:
                    await self._begin(name, adapter)
            try:
                if await self._bulk.find():
                    self._take_interfaces(await self._interfaces())
            except CallError as error:
                log.debug("the dataplane does not tell its interfaces: %s", error)
            try:
                async with asyncio.timeout(LOOK):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _begin(self, name: str, adapter: Adapter) -> None:
        try:
            await adapter.open()
        except OSError as error:
            if adapter.trouble != str(error):
                log.warning("router %s has no host side: %s", name, error)
            adapter.trouble = str(error)
            return
        adapter.trouble = ""
        self._runs[name] = self.spawn(adapter.run())

    async def _interfaces(self) -> dict[str, dict[str, int]]:
        """Ask the dataplane for its numbers of interfaces, by router and name."""
        if self._control is None:
            found = await lookup(self.datastore, DATAPLANE, TIMEOUT)
            self._control = ControlClient(self.context, found.endpoint)
        rows = (await self._control.call(Get("/router"), TIMEOUT)).data
        return {
            row["name"]: {each["name"]: each["index"] for each in row["interface"]} for row in rows
        }

    def _take_interfaces(self, interfaces: Mapping[str, Mapping[str, int]]) -> None:
        for name, adapter in self._adapters.items():
            if name in interfaces:
                adapter.dataplane_has(interfaces[name])
            else:
                adapter.dataplane_left()

    # State.

    def state(self, path: str) -> Any:
        """Return the routers at /router, or one of them, with the settings that are in use."""
        rows = [adapter.state() for adapter in self._adapters.values()]
        try:
            found = find({"raicho": {"router": rows}, "router": rows}, parse_path(path))
        except BadPath:
            found = None
        return super().state(path) if found is None else found

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return what was taken, carried, swept and refused, by router."""
        return {"routing": {name: each.stats() for name, each in self._adapters.items()}}
