"""The dataplane as a component: control and bulk endpoints, events, timers.

This is the only file of the dataplane that knows the message layer.
"""

import asyncio
import importlib.resources
import inspect
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from typing import Any

import msgspec

from ..control.component import Bootstrap, Component, run
from ..control.message import (
    Alert,
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
from ..control.message.bulk import Reply as BulkAnswer
from ..control.message.causes import LinkMoved, Missed, TableFull
from . import apis, escalations, openflow, routes, sample, state
from .config import BadConfig, read
from .datapath import DONE
from .fullness import Fullness
from .links import EventsLost, LinkWatch
from .nat_log import MappingLog
from .openflow import Operations, now_ms
from .operation import BAD_LEN, BAD_TYPE, Operation, Reply, reply
from .switch import LinkChange, Plan, Switch

TICK = 0.02  # seconds between expiries
LOOK = 1.0  # seconds between looks at links that nobody tells of
# Transactions that bring back what was in force: an interface may be missing by now.
SYNC, UNDO = "sync-", "-undo"

log = logging.getLogger(__name__)


def _attach(peers: set[bytes], peer: bytes) -> None:
    """Hear of the packets and events of a bridge from now on."""
    peers.add(peer)


def _detach(peers: set[bytes], peer: bytes) -> None:
    """Hear of them no longer."""
    peers.discard(peer)


LISTENING: dict[str, Operation[Callable[[set[bytes], bytes], None]]] = {
    "attach": Operation("openflow/event", ("add",), _attach),
    "detach": Operation("openflow/event", ("del",), _detach),
}


class DataplaneComponent(Component):
    """Ports, tables and workers, configured by the datastore, filled by agents."""

    name = "dataplane"
    needs_memory = False  # workers ask for none: they forward on

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        schema = importlib.resources.files("raicho.dataplane") / "schema/raicho-dataplane.yang"
        self.yang = [schema.read_text()]
        kinds = ("plugin", "port", "worker", "bridge", "router")
        self.subscriptions = [f"/raicho/{kind}" for kind in kinds]
        self.apis["dataplane.bulk"] = bootstrap.endpoints(f"{self.identity}.bulk", 1)
        self.bulk_endpoint, *self._bulk_also = self.apis["dataplane.bulk"]
        self._opened = ExitStack()
        self._attached: dict[str, set[bytes]] = {}  # bridge -> peers that hear of its packets
        self._counters: Counter[str] = Counter()
        self._plan: Plan | None = None
        self._readers: set[int] = set()
        self._hosts: set[int] = set()
        self._duplicates: set[tuple[str, str, str]] = set()
        self._moved: dict[str, bool] = {}  # ports whose link is another one since the last tick

    # Life.

    async def open(self) -> None:
        """Start forwarding; ports and bridges come with the configuration."""
        self.switch = Switch(now_ms())
        self._opened.callback(self.switch.close)
        self._operations = Operations(self.switch)
        self._fullness = Fullness(self.switch)
        self._bulk = self.bulk = BulkServer(
            self.context,
            self.bulk_endpoint,
            self._answer_bulk,
            also=self._bulk_also,
            on_gone=self._forget,
        )
        self._opened.callback(self._bulk.close)
        self._mappings = MappingLog(self.publisher.publish)
        self._links = LinkWatch()
        self._opened.callback(self._links.close)
        self._opened.callback(self._unread_all)
        self._read(self._links.fileno(), self._read_links)
        self._watch_punts()
        self.spawn(self._tick())
        self.spawn(self._look())

    async def close(self) -> None:
        """Stop forwarding."""
        self._opened.close()

    def _read(self, fd: int, callback: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().add_reader(fd, callback, *args)
        self._readers.add(fd)

    def _unread(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        self._readers.discard(fd)

    def _unread_all(self) -> None:
        for fd in list(self._readers):
            self._unread(fd)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.switch.dataplane.tick(now_ms())
            self._push_events()
            self._mappings.tell(self.switch.routers.nats(), now_ms())
            self._publish_moved()
            for full in self._fullness.look():
                self.publisher.publish("escalate.table-full", TableFull(*full))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._publish_links(self.switch.look_at_virtual_links())
            self._push_events()
            self._mappings.tell_lost(self.switch.routers.nats())
            self._tell_duplicates()

    # Configuration.

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Check the configuration and open what is new."""
        was_in_force = txid.startswith(SYNC) or txid.endswith(UNDO)
        try:
            self._plan = self.switch.prepare(read(config), lenient=was_in_force)
        except BadConfig as error:
            raise ConfigError(error.path, error.reason) from error

    async def commit(self, txid: str) -> None:
        """Apply the difference."""
        plan, self._plan = self._plan, None
        assert plan, "the frame commits only what was prepared"
        self._unwatch_punts()
        self._unwatch_hosts()
        try:
            self.switch.commit(plan, now_ms())
        except BadConfig as error:
            raise ConfigError(error.path, error.reason) from error
        finally:
            self._watch_punts()
            self._watch_hosts()
            for punts in self.switch.last_punts():
                self._push_punts(punts)
            self._push_events()
            for name in self._attached.keys() - self.switch.bridges.keys():
                del self._attached[name]

    async def abort(self, txid: str) -> None:
        """Close what was opened."""
        plan, self._plan = self._plan, None
        if plan:
            self.switch.abort(plan)

    # Bulk.

    def _answer_bulk(
        self, peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> BulkAnswer | Awaitable[BulkAnswer]:
        payload = frames[0] if frames else b""
        if request.op == "sample":
            return self._sample(payload)
        if request.op in openflow.OPERATIONS:
            answer = self._operations.run(request.op, request.bridge, payload)
            return self._end(answer) if inspect.isawaitable(answer) else self._changed(answer)
        code, text, found = self._answer(peer, request.op, request.bridge, payload)
        return BulkReply(code, text), found

    async def _end(self, answer: Awaitable[Reply]) -> BulkAnswer:
        return self._changed(await answer)

    def _changed(self, answer: Reply) -> BulkAnswer:
        """Tell what an operation on a bridge has changed, then answer it."""
        code, text, frames = answer
        self._publish_links(self.switch.look_at_virtual_links())
        self._push_events()
        return BulkReply(code, text), frames

    def _answer(self, peer: bytes, op: str, name: str, payload: bytes) -> Reply:
        if op in routes.OPERATIONS:
            return routes.answer(self.switch, op, name, payload)
        if op in escalations.OPERATIONS:
            return self.switch.escalations.answer(op, peer, name, payload)
        if op in LISTENING:
            return reply(op, lambda: self._listen(peer, op, name))
        return BAD_TYPE, f"no operation {op!r}", ()

    def _listen(self, peer: bytes, op: str, bridge: str) -> tuple[()]:
        self._operations.bridge(bridge)
        LISTENING[op].run(self._attached.setdefault(bridge, set()), peer)
        return ()

    def _sample(self, payload: bytes) -> tuple[BulkReply, list[bytes]]:
        """Answer with msgpack: which process counted, and the sets that were asked for by name."""
        try:
            names = msgspec.msgpack.decode(payload, type=list[str])
        except ValueError as error:
            return BulkReply(BAD_LEN, f"sample: no list of names: {error}"), []
        answer = (self.instance, sample.take(self.switch, names))
        return BulkReply(), [msgspec.msgpack.encode(answer)]

    def _forget(self, peer: bytes) -> None:
        self.switch.escalations.forget(peer)
        for name, peers in self._attached.items():
            was_last = peers == {peer}
            peers.discard(peer)
            if was_last and name in self.switch.bridges:
                self.switch.bridges[name].set_controllers(0)  # nobody counts them any more

    def _push(self, bridge: str, kind: str, messages: bytes) -> None:
        peers = tuple(self._attached.get(bridge, ()))  # pushing may show that one is gone
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
        for ident, runner in self.switch.runners.items():
            self._read(runner.worker.punt_fd(), self._read_punts, ident)

    def _unwatch_punts(self) -> None:
        for runner in self.switch.runners.values():
            self._unread(runner.worker.punt_fd())

    def _watch_hosts(self) -> None:
        """Read what the host's sides of routers' interfaces have to say."""
        hosts = dict(self.switch.routers.hosts())
        for fd, take in hosts.items():
            self._read(fd, take)
        self._hosts = set(hosts)

    def _unwatch_hosts(self) -> None:
        for fd in self._hosts:
            self._unread(fd)
        self._hosts.clear()

    def _read_punts(self, worker: int) -> None:
        self._push_punts(self.switch.punts(worker))

    def _push_punts(self, punts: dict[str, list[bytes]]) -> None:
        for bridge, messages in punts.items():
            self._push(bridge, "packet_in", b"".join(messages))
        for peer, router, copies in self.switch.escalations.take():
            if peer == escalations.BUS:
                self._publish_copies(router, copies)
            else:
                self._escalate(peer, router, copies)

    def _publish_copies(self, router: str, copies: list[escalations.Copy]) -> None:
        for copy in copies:
            ends = escalations.ends(copy.frame)
            where = router, copy.interface, copy.port, copy.vlan
            topic = f"escalate.{escalations.EVENTS[copy.reason]}"
            self.publisher.publish(topic, Missed(*where, *ends, copy.dropped))

    def _escalate(self, peer: bytes, router: str, copies: list[escalations.Copy]) -> None:
        event = BulkEvent("escalated", router)
        if not self._bulk.push(peer, event, [msgspec.msgpack.encode(copies)]):
            self._counters["escalated_dropped"] += len(copies)
            self.switch.escalations.lose(copies)

    def _read_links(self) -> None:
        try:
            while event := self._links.next():
                self._publish_links(self.switch.hear(event, now_ms()))
        except EventsLost:
            self._counters["link_events_lost"] += 1
            self._publish_links(self.switch.hear(None, now_ms()))
        self._push_events()

    def _publish_links(self, changes: Iterable[LinkChange]) -> None:
        for change in changes:
            log.info("port %s is %s", change.port, "up" if change.new else "down")
            self.publisher.publish("port.link", change._asdict() | {"time": time.time()})
            self._moved[change.port] = change.new

    def _publish_moved(self) -> None:
        """Tell of links under routers: of one that flaps, where it ended up, once in a tick."""
        moved, self._moved = self._moved, {}
        for port, up in moved.items():
            for router, interface in self.switch.routers.on_port(port):
                self.publisher.publish("escalate.link", LinkMoved(router, interface, port, up))

    def _tell_duplicates(self) -> None:
        """Publish, once, that an address of a router is another host's (RFC 4862, 5.4.5)."""
        now = set(self.switch.routers.duplicates())
        for router, interface, address in now - self._duplicates:
            cause = f"router {router}: somebody else has address {address} of {interface}"
            log.warning("%s", cause)
            self.publisher.publish(
                f"alert.{self.identity}", Alert(self.identity, cause, os.getpid())
            )
        self._duplicates = now

    # State.

    def state(self, path: str) -> Any:
        """Return what is at a path."""
        try:
            return state.read(self.switch, path)
        except KeyError as error:
            raise CallError(Failure(Code.NOT_FOUND, error.args[0], path)) from error

    def operations(self) -> list[dict[str, Any]]:
        """Return what its bulk endpoint answers, beside views of the state and sets of counters."""
        return apis.rows(LISTENING)

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return all counters."""
        return self.switch.stats() | {"bulk": dict(self._bulk.counters | self._counters)}


def main() -> int:
    """Run the dataplane as a process; return its exit code."""
    return run(DataplaneComponent)


assert BulkReply().code == DONE, "two names of one number"
