"""Ports, workers and bridges under one roof: the object that the process serves.

A configuration takes effect in two steps.  `prepare` checks it and opens what
is new, so that nothing is left to fail; `commit` applies the difference:
what does not change, its flows and its traffic, is not touched.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .config import BadConfig, BridgeConfig, Config, PortConfig, WorkerConfig
from .datapath import Bridge, Dataplane, Worker
from .port import MemoryPort, Port

log = logging.getLogger(__name__)

KINDS: dict[str, type[Port]] = {"memory": MemoryPort}  # others are plain Ports


def open_port(config: PortConfig) -> Port:
    """Open the device of a port; raise BadConfig if that does not work."""
    kind = KINDS.get(config.kind, Port)
    try:
        return kind(config.kind, config.name, config.device, mtu=config.mtu)
    except ValueError as error:
        raise BadConfig(config.path, str(error)) from error
    except OSError as error:
        raise BadConfig(f"{config.path}/device", error.strerror or str(error)) from error


@dataclass(slots=True)
class Plan:
    """A configuration that can take effect, and what was opened for it."""

    config: Config
    ports: dict[str, Port] = field(default_factory=dict)
    workers: dict[int, Worker] = field(default_factory=dict)


class Runner:
    """A worker and its thread."""

    def __init__(self, worker: Worker, config: WorkerConfig) -> None:
        self.worker = worker
        self._cpu: int | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"worker-{config.id}", daemon=True
        )
        self.configure(config)

    def start(self) -> None:
        """Let it forward."""
        self._thread.start()

    def configure(self, config: WorkerConfig) -> None:
        """Move it to its processor; let it sleep or not."""
        self.worker.polling = config.polling
        self._cpu = config.cpu
        if self._thread.native_id:
            self._bind(self._thread.native_id)

    def stop(self) -> None:
        """Stop it and let go of its memory."""
        if self._thread.is_alive():
            self.worker.stop()
            self._thread.join()
        self.worker.close()

    def _run(self) -> None:
        self._bind(0)
        self.worker.run()

    def _bind(self, thread: int) -> None:
        wanted = {self._cpu} if self._cpu is not None else os.sched_getaffinity(os.getpid())
        os.sched_setaffinity(thread, wanted)


class Switch:
    """The dataplane of a process.  One thread uses it; times are monotonic ms."""

    def __init__(self, now_ms: int, *, threads: bool = True) -> None:
        self.dataplane = Dataplane()
        self.config = Config(workers={})
        self.ports: dict[str, Port] = {}
        self.bridges: dict[str, Bridge] = {}
        self.runners: dict[int, Runner] = {}
        self._threads = threads
        self.commit(self.prepare(Config(), now_ms), now_ms)

    # Configuration.

    def prepare(self, config: Config, now_ms: int) -> Plan:
        """Check *config* and open what it needs; raise BadConfig and leave no trace."""
        plan = Plan(config)
        try:
            self._open_workers(plan)
            for port in config.ports.values():
                old = self.config.ports.get(port.name)
                if old is None or not old.same_device(port):
                    plan.ports[port.name] = open_port(port)
        except BaseException:
            self.abort(plan)
            raise
        return plan

    def abort(self, plan: Plan) -> None:
        """Close what was opened for a plan that will not be."""
        for port in plan.ports.values():
            port.close()
        for worker in plan.workers.values():
            worker.close()

    def commit(self, plan: Plan, now_ms: int) -> None:
        """Apply the difference: take out what goes, then put in what comes."""
        old, new = self.config, plan.config
        for bridge, name, number in list(_attachments(old)):
            if not self._stays(bridge, name, plan):
                self.bridges[bridge].detach(number)
        for name in old.bridges.keys() - new.bridges.keys():
            self.bridges.pop(name).close()
        for name in [n for n in old.ports if n not in new.ports or n in plan.ports]:
            self.ports.pop(name).close()
        self.ports |= plan.ports
        self._commit_workers(plan)
        self.config = new
        for wanted in new.bridges.values():
            self._commit_bridge(wanted, now_ms)

    def close(self) -> None:
        """Stop the workers and let go of everything."""
        for bridge in self.bridges.values():
            bridge.close()
        for runner in self.runners.values():
            runner.stop()
        for port in self.ports.values():
            port.close()
        self.bridges, self.runners, self.ports = {}, {}, {}

    def _open_workers(self, plan: Plan) -> None:
        for config in plan.config.workers.values():
            if config.cpu is not None and config.cpu not in os.sched_getaffinity(0):
                allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
                raise BadConfig(f"{config.path}/cpu", f"no processor {config.cpu}, only {allowed}")
            if config.id not in self.runners:
                try:
                    plan.workers[config.id] = self.dataplane.add_worker(config.id)
                except ValueError as error:
                    raise BadConfig(f"{config.path}/id", str(error)) from error

    def _commit_workers(self, plan: Plan) -> None:
        for ident in self.runners.keys() - plan.config.workers.keys():
            self.runners.pop(ident).stop()
        for ident, worker in plan.workers.items():
            self.runners[ident] = Runner(worker, plan.config.workers[ident])
            if self._threads:
                self.runners[ident].start()
        for ident, config in plan.config.workers.items():
            self.runners[ident].configure(config)

    def _stays(self, bridge: str, name: str, plan: Plan) -> bool:
        """Return whether a port stays in a bridge as it is."""
        old, new = self.config, plan.config
        return (
            name not in plan.ports
            and name in new.ports
            and new.ports[name].worker == old.ports[name].worker
            and bridge in new.bridges
            and new.bridges[bridge].ports.get(name) == old.bridges[bridge].ports[name]
        )

    def _commit_bridge(self, wanted: BridgeConfig, now_ms: int) -> None:
        bridge = self.bridges.get(wanted.name)
        if bridge is None:
            bridge = self.dataplane.add_bridge(wanted.name, wanted.datapath_id, now_ms)
            self.bridges[wanted.name] = bridge
        bridge.datapath_id = wanted.datapath_id
        bridge.max_flows = wanted.max_flows
        for name, number in wanted.ports.items():
            port = self.config.ports[name]
            if not bridge.has_port(number):
                bridge.attach(self.ports[name], number, port.worker, now_ms)
            bridge.set_enabled(number, port.enabled)

    # What goes on.

    def link_changed(self, device: str) -> Iterator[tuple[str, str, int]]:
        """Ask the ports on *device* for their links; yield port, bridge, number of those
        that changed."""
        for bridge, name, number in _attachments(self.config):
            port = self.config.ports[name]
            if device in ("", port.device) and self.bridges[bridge].refresh_link(number):
                yield name, bridge, number

    def refresh_counters(self) -> None:
        """Let every port take over what only its device counts: losses before the port."""
        for port in self.ports.values():
            with contextlib.suppress(OSError):  # a device that is gone counts nothing more
                port.link()

    def stats(self) -> dict[str, Any]:
        """Read all counters."""
        self.refresh_counters()
        return {
            "ports": {name: port.counters() for name, port in self.ports.items()},
            "workers": {str(i): runner.worker.totals() for i, runner in self.runners.items()},
            "bridges": {
                name: {"flows": bridge.n_flows, "events_lost": bridge.events_lost}
                for name, bridge in self.bridges.items()
            },
        }


def _attachments(config: Config) -> Iterator[tuple[str, str, int]]:
    """Yield bridge, port and number of every port in a bridge."""
    for bridge in config.bridges.values():
        for name, number in bridge.ports.items():
            yield bridge.name, name, number
