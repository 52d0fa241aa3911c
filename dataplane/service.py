"""The dataplane as a component: control and bulk endpoints, events, timers.

This is the only file of the dataplane that knows the message layer.
"""

import asyncio
import importlib.resources
import logging
import os
import time
from collections import Counter
from typing import Any

from ..control.component import Bootstrap, Component, run
from ..control.message import (
    BulkEvent,
    BulkReply,
    BulkRequest,
    BulkServer,
    CallError,
    Change,
    Code,
    ConfigError,
    Failure,
)
from .config import BadConfig, read
from .datapath import DONE, DROP_REASONS
from .links import EventsLost, LinkWatch
from .openflow import Operations, now_ms
from .switch import Plan, Switch

TICK = 0.02  # seconds between expiries
PUNTS_AT_ONCE = 256
BAD_BRIDGE = 0xFFFE0002  # not OpenFlow's: no such bridge

log = logging.getLogger(__name__)


class DataplaneComponent(Component):
    """Ports, tables and workers, configured by the datastore, filled by agents."""

    name = "dataplane"

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        schema = importlib.resources.files("raicho.dataplane") / "schema/raicho-dataplane.yang"
        self.yang = [schema.read_text()]
        self.subscriptions = ["/raicho/port", "/raicho/worker", "/raicho/bridge"]
        self.bulk_endpoint = bootstrap.endpoint(f"{self.identity}.bulk")
        self.apis = {"dataplane.bulk": self.bulk_endpoint}
        self._attached: dict[str, set[bytes]] = {}  # bridge -> peers that hear of its packets
        self._counters: Counter[str] = Counter()
        self._plan: Plan | None = None
        self._readers: set[int] = set()

    # Life.

    async def open(self) -> None:
        """Start forwarding; ports and bridges come with the configuration."""
        self.switch = Switch(now_ms())
        self._operations = Operations(self.switch)
        self._bulk = BulkServer(
            self.context, self.bulk_endpoint, self._answer_bulk, on_gone=self._forget
        )
        self._links = LinkWatch()
        self._read(self._links.fileno(), self._read_links)
        self._watch_punts()
        self.spawn(self._tick())

    async def close(self) -> None:
        """Stop forwarding."""
        for fd in list(self._readers):
            self._unread(fd)
        if hasattr(self, "_links"):
            self._links.close()
        if hasattr(self, "_bulk"):
            self._bulk.close()
        if hasattr(self, "switch"):
            self.switch.close()

    def _read(self, fd: int, callback: Any, *args: Any) -> None:
        asyncio.get_running_loop().add_reader(fd, callback, *args)
        self._readers.add(fd)

    def _unread(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        self._readers.discard(fd)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.switch.dataplane.tick(now_ms())
            self._push_events()

    # Configuration.

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Check the configuration and open what is new."""
        try:
            self._plan = self.switch.prepare(read(config), now_ms())
        except BadConfig as error:
            raise ConfigError(error.path, error.reason) from error

    async def commit(self, txid: str) -> None:
        """Apply the difference."""
        plan, self._plan = self._plan, None
        assert plan, "the frame commits only what was prepared"
        gone = self.switch.bridges.keys() - plan.config.bridges.keys()
        self._unwatch_punts()
        self.switch.commit(plan, now_ms())
        self._watch_punts()
        for name in gone:
            self._attached.pop(name, None)
        self._push_events()

    async def abort(self, txid: str) -> None:
        """Close what was opened."""
        plan, self._plan = self._plan, None
        if plan:
            self.switch.abort(plan)

    # Bulk.

    async def _answer_bulk(
        self, peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, list[bytes]]:
        bridge = self.switch.bridges.get(request.bridge)
        if bridge is None:
            return BulkReply(BAD_BRIDGE, f"no bridge {request.bridge!r}"), []
        if request.op in ("attach", "detach"):
            peers = self._attached.setdefault(request.bridge, set())
            (peers.add if request.op == "attach" else peers.discard)(peer)
            return BulkReply(), []
        payload = frames[0] if frames else b""
        code, answer = await self._operations.run(request.op, bridge, payload)
        self._push_events()
        return BulkReply(code), list(answer)

    def _forget(self, peer: bytes) -> None:
        for peers in self._attached.values():
            peers.discard(peer)

    def _push(self, bridge: str, kind: str, messages: bytes) -> None:
        peers = list(self._attached.get(bridge, ()))
        if not peers:
            self._counters[f"{kind}_unheard"] += 1
        for peer in peers:
            if not self._bulk.push(peer, BulkEvent(kind, bridge), [messages]):
                self._counters[f"{kind}_dropped"] += 1

    # What happens by itself.

    def _push_events(self) -> None:
        for name, bridge in self.switch.bridges.items():
            for kind, messages in bridge.events():
                self._push(name, kind, messages)

    def _watch_punts(self) -> None:
        for runner in self.switch.runners.values():
            self._read(runner.worker.punt_fd(), self._read_punts, runner.worker)

    def _unwatch_punts(self) -> None:
        for runner in self.switch.runners.values():
            self._unread(runner.worker.punt_fd())

    def _read_punts(self, worker: Any) -> None:
        fd = worker.punt_fd()
        names = {bridge.index: name for name, bridge in self.switch.bridges.items()}
        os.eventfd_read(fd)
        n = 0
        for index, messages in worker.punts(PUNTS_AT_ONCE).items():
            n += len(messages)
            if index in names:
                self._push(names[index], "packet_in", b"".join(messages))
        if n == PUNTS_AT_ONCE:
            os.eventfd_write(fd, 1)  # there may be more: after what else waits

    def _read_links(self) -> None:
        try:
            while event := self._links.next():
                self._link_changed(event.name)
        except EventsLost:
            self._link_changed("")
        self._push_events()

    def _link_changed(self, device: str) -> None:
        for port, bridge, number in self.switch.link_changed(device):
            state = self.switch.bridges[bridge].port_state(number)["state"]
            up = not state & 1
            log.info("port %s is %s", port, "up" if up else "down")
            body = {"port": port, "old": not up, "new": up, "time": time.time()}
            self.publisher.publish("port.link", body)

    # State.

    def state(self, path: str) -> Any:
        """Return what is there, by the first step of the path."""
        kind = path.strip("/").removeprefix("raicho").strip("/").partition("[")[0]
        parts = {"port": self._ports, "bridge": self._bridges, "drops": lambda: DROP_REASONS}
        if not kind:
            return {name: part() for name, part in parts.items()}
        if kind not in parts:
            known = ", ".join(parts)
            raise CallError(Failure(Code.NOT_FOUND, f"no such state; there is {known}", path))
        return parts[kind]()

    def _ports(self) -> list[dict[str, Any]]:
        rows = []
        for name, port in self.switch.ports.items():
            try:
                link = port.link()
                shown = {"up": link.up, "admin-up": link.admin_up, "mac": link.mac.hex(":")}
                shown |= {"mtu": link.mtu, "speed": link.speed}
            except OSError as error:
                shown = {"up": False, "trouble": error.strerror}
            rows.append({"name": name, "kind": port.kind, "device": port.device} | shown)
        return rows

    def _bridges(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "datapath-id": f"{bridge.datapath_id:016x}",
                "flows": bridge.n_flows,
                "tables": bridge.tables(),
                "controllers-attached": len(self._attached.get(name, ())),
            }
            for name, bridge in self.switch.bridges.items()
        ]

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return all counters."""
        return self.switch.stats() | {"bulk": dict(self._bulk.counters | self._counters)}


def main() -> int:
    """Run the dataplane as a process; return its exit code."""
    return run(DataplaneComponent)


assert DONE == BulkReply().code, "two names of one number"
