"""Ports, workers and bridges under one roof: the object that the process serves.

A configuration takes effect in two steps.  `prepare` checks it and opens what
is new, so that little is left to fail; `commit` makes what is there like what is
wanted: what does not change, its flows and its traffic, is not touched.  After
a commit that failed, the next one goes on from what is there.
"""

import os
import weakref
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .bridge import Bridge
from .bridging import BLOCKED, Member
from .config import BadConfig, BridgeConfig, Config, PluginConfig, PortConfig
from .datapath import Dataplane, Plugin
from .escalations import Escalations
from .links import LinkEvent
from .plugins import Plugins
from .plugins import close as close_plugins
from .ports import Ports, Prepared
from .presence import Step
from .router_config import ROUTE
from .routers import Routers
from .runner import Runner
from .worker import Worker, former_totals

PUNTS_AT_ONCE, EVERY = 256, 1 << 31


@dataclass(slots=True)
class Plan:
    """A configuration that can take effect, and what was opened for it."""

    config: Config
    ports: Prepared = field(default_factory=Prepared)
    workers: dict[int, Worker] = field(default_factory=dict)
    plugins: dict[PluginConfig, Plugin] = field(default_factory=dict)


class Place(NamedTuple):
    """Where a port is: in a bridge, or in that of a router."""

    bridge: str
    number: int
    router: str = ""


class LinkChange(NamedTuple):
    """A port whose link came up or went down."""

    port: str
    old: bool
    new: bool


class Switch:
    """The dataplane of a process.  One thread uses it; times are monotonic ms."""

    def __init__(self, now_ms: int, *, threads: bool = True) -> None:
        self.dataplane = Dataplane()
        self.config = Config(workers={})
        self.ports = Ports()
        self.plugins = Plugins(self.dataplane)
        self.bridges: dict[str, Bridge] = {}
        self.routers = Routers(self.dataplane)
        self.escalations = Escalations(self.dataplane, self.routers.open)
        self.runners: dict[int, Runner] = {}
        self._places: dict[str, Place] = {}  # of the ports in bridges
        self._enabled: dict[str, bool] = {}
        self._last_punts: list[dict[str, list[bytes]]] = []
        self._threads = threads
        self._close = weakref.finalize(
            self, _close, self.routers, self.bridges, self.runners, self.ports
        )
        self.commit(self.prepare(Config()), now_ms)

    # Configuration.

    def prepare(self, config: Config, *, lenient: bool = False) -> Plan:
        """Check *config* and open what it needs; raise BadConfig and leave no trace.

        If *lenient*, because it was in force before, interfaces may be missing.
        """
        plan = Plan(config)
        try:
            self.routers.check(config)
            plan.plugins = self.plugins.prepare(config.plugins, lenient=lenient)
            self._prepare_workers(plan)
            plan.ports = self.ports.prepare(config.ports, lenient=lenient)
        except BaseException:
            self.abort(plan)
            raise
        return plan

    def abort(self, plan: Plan) -> None:
        """Close what was opened for a plan that will not be."""
        close_plugins(plan.plugins)
        plan.ports.close()
        for worker in plan.workers.values():
            worker.close()

    def commit(self, plan: Plan, now_ms: int) -> None:
        """Take out what goes, then put in what comes; raise BadConfig if that fails."""
        new = plan.config
        self.plugins.commit(plan.plugins)
        self.routers.leave(new)
        wanted = self._wanted_places(new)
        fresh = self.ports.replaced(new.ports, plan.ports)
        for name, place in list(self._places.items()):
            if name in fresh or wanted.get(name) != place:
                self._take_out(name)
        for name in fresh:
            self._enabled.pop(name, None)
        for name in self.bridges.keys() - new.bridges.keys():
            self.bridges.pop(name).close()
        self.ports.commit(new.ports, plan.ports)
        self._start_workers(plan)
        for name, place in self._places.items():
            self._serve(place, new.ports[name])
        self._stop_workers(plan)
        self.config = new
        for bridge in new.bridges.values():
            self._commit_bridge(bridge, now_ms)
        self.routers.enter(new, now_ms)
        self.escalations.settle()
        for name, place in wanted.items():
            self._put_in(name, place, now_ms)
        self.routers.settle(new, self.bridges, self._has_link, now_ms)

    def close(self) -> None:
        """Stop the workers and let go of everything; a second time does nothing."""
        self._close()

    def _prepare_workers(self, plan: Plan) -> None:
        allowed = os.sched_getaffinity(0)
        for config in plan.config.workers.values():
            if config.cpu is not None and config.cpu not in allowed:
                processors = ", ".join(map(str, sorted(allowed)))
                reason = f"there is no processor {config.cpu}, only {processors}"
                raise BadConfig(f"{config.path}/cpu", reason)
            if config.id not in self.runners:
                try:
                    plan.workers[config.id] = self.dataplane.add_worker(config.id)
                except ValueError as error:
                    raise BadConfig(f"{config.path}/id", str(error)) from error

    def _start_workers(self, plan: Plan) -> None:
        for ident, worker in plan.workers.items():
            self.runners[ident] = Runner(worker, plan.config.workers[ident])
            if self._threads:
                self.runners[ident].start()
        for ident, config in plan.config.workers.items():
            self.runners[ident].configure(config)

    def _stop_workers(self, plan: Plan) -> None:
        """Stop those that go; no port that stays is theirs any more."""
        for ident in self.runners.keys() - plan.config.workers.keys():
            self.runners[ident].halt()
            self._last_punts.append(self.punts(ident, EVERY))
            self.runners.pop(ident).stop()

    def _commit_bridge(self, wanted: BridgeConfig, now_ms: int) -> None:
        bridge = self.bridges.get(wanted.name)
        if bridge is None:
            bridge = self.dataplane.add_bridge(wanted.name, wanted.datapath_id, now_ms)
            self.bridges[wanted.name] = bridge
        bridge.datapath_id = wanted.datapath_id
        bridge.max_flows = wanted.max_flows
        bridge.set_fail_mode(wanted.standalone)
        fixed = [
            (each.vlan, bytes.fromhex(each.address.replace(":", "")), _number(wanted, each.port))
            for each in wanted.macs.fixed
        ]
        bridge.set_multicast(wanted.multicast)
        bridge.set_macs(wanted.macs.most, wanted.macs.ageing * 1000, fixed, now_ms)

    # Ports in bridges and routers.

    def _wanted_places(self, config: Config) -> dict[str, Place]:
        places = {
            name: Place(bridge.name, member.number)
            for bridge in config.bridges.values()
            for name, member in bridge.ports.items()
        }
        for router in config.routers.values():
            for interface in router.interfaces.values():
                if port := interface.port:
                    number = self.routers.number(router.name, port)
                    places[port] = Place("", number, router.name)
        return places

    def _bridge(self, place: Place) -> Bridge:
        return self.routers.open[place.router].home if place.router else self.bridges[place.bridge]

    def _member(self, name: str, place: Place) -> Member:
        if place.router:
            return Member(place.number, pipeline=ROUTE)
        return self.config.bridges[place.bridge].ports[name]

    def _has_link(self, name: str) -> bool:
        return (
            name in self._places
            and self._enabled.get(name, True)
            and self.ports.up.get(name, False)
        )

    def _serve(self, place: Place, config: PortConfig) -> None:
        """Give the queues of a port to the workers that are to serve them."""
        bridge = self._bridge(place)
        if tuple(bridge.port_state(place.number)["workers"]) != config.workers:
            try:
                bridge.move(place.number, config.workers)
            except OSError as error:
                raise BadConfig(f"{config.path}/worker", error.strerror or str(error)) from error

    def _put_in(self, name: str, place: Place, now_ms: int) -> None:
        """Put a port, if it is open, where it is wanted; set it as it is wanted."""
        if name not in self.ports.open:
            return
        config = self.config.ports[name]
        port, bridge, wanted = self.ports.open[name], self._bridge(place), config.enabled
        member = self._member(name, place)
        if name not in self._places:
            try:
                bridge.attach(
                    port,
                    place.number,
                    config.workers,
                    now_ms,
                    enabled=wanted,
                    pipeline=member.pipeline,
                    how=member.bridging,
                )
            except OSError as error:
                reason = error.strerror or str(error)
                raise BadConfig(f"{config.path}/device", reason) from error
            self._places[name] = place
        elif self._enabled[name] != wanted:
            bridge.set_enabled(place.number, wanted)
        bridge.set_bridging(place.number, member.bridging)
        bridge.set_pipeline(place.number, member.pipeline)
        bridge.set_queues(place.number, config.queues, config.max_rate, now_ms)
        if self._enabled.get(name, True) != wanted:
            self.ports.settings.set_admin(port, wanted)
        self._enabled[name] = wanted

    def _take_out(self, name: str) -> None:
        self.routers.refresh(name, up=False)
        place = self._places.pop(name)
        self._bridge(place).detach(place.number)

    # What goes on.

    def hear(self, event: LinkEvent | None, now_ms: int) -> list[LinkChange]:
        """Act on what the kernel tells of an interface (None: it has told more than we got)."""
        changes = []
        for name, step in self.ports.hear(event):
            old = self.ports.up[name]
            if step is Step.LOSE:
                self._lose(name)
            elif step is Step.LOOK:
                self._look(name, event.up if event else None)
            else:
                self._reopen(name, now_ms)
            if self.ports.up[name] != old:
                changes.append(LinkChange(name, old, not old))
        return changes

    def look_at_virtual_links(self) -> list[LinkChange]:
        """Note the links that nobody tells of."""
        changes = []
        for name in list(self.ports.virtual):
            old = self.ports.up[name]
            self._look(name)
            if self.ports.up[name] != old:
                changes.append(LinkChange(name, old, not old))
        return changes

    def _look(self, name: str, up: bool | None = None) -> None:
        if not self.ports.look(name, up):
            self._lose(name)
        elif place := self._places.get(name):
            self._bridge(place).refresh_link(place.number, up)
            self.routers.refresh(name, up=self._has_link(name))

    def _reopen(self, name: str, now_ms: int) -> None:
        if self.ports.reopen(name) and (place := self._wanted_places(self.config).get(name)):
            try:
                self._put_in(name, place, now_ms)
                self.routers.refresh(name, up=self._has_link(name))
            except BadConfig as error:
                self.ports.refuse(name, error.reason)

    def _lose(self, name: str) -> None:
        if name in self._places:
            self._take_out(name)
        self._enabled.pop(name, None)
        self.ports.lose(name)

    def punts(self, worker: int, limit: int = PUNTS_AT_ONCE) -> dict[str, list[bytes]]:
        """Take packets for controllers, as PACKET_IN messages by the name of the bridge."""
        names = {bridge.index: name for name, bridge in self.bridges.items()}
        punts = self.runners[worker].worker.punts(limit)
        return {names[i]: messages for i, messages in punts.items() if i in names}

    def last_punts(self) -> list[dict[str, list[bytes]]]:
        """Take those of workers that are gone."""
        last, self._last_punts = self._last_punts, []
        return last

    def stats(self) -> dict[str, Any]:
        """Read all counters."""
        self.ports.refresh_counters()
        return {
            "ports": {name: port.counters() for name, port in self.ports.open.items()},
            "workers": {str(i): runner.worker.totals() for i, runner in self.runners.items()},
            "former_workers": former_totals(self.dataplane),
            "bridges": {
                name: {"flows": bridge.n_flows, "events_lost": bridge.events_lost}
                for name, bridge in self.bridges.items()
            },
            "interfaces": dict(self.ports.counters),
        }


def _number(bridge: BridgeConfig, port: str) -> int:
    """Return the number of a port of a bridge, or what stands for none."""
    return bridge.ports[port].number if port else BLOCKED


def _close(
    routers: Routers, bridges: dict[str, Bridge], runners: dict[int, Runner], ports: Ports
) -> None:
    routers.close()
    for bridge in bridges.values():
        bridge.close()
    for runner in runners.values():
        runner.stop()
    ports.close()
    bridges.clear()
    runners.clear()
