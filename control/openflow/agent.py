"""The OpenFlow agent as a component: bridges from the configuration, the dataplane behind them."""

import errno
import os
import platform
import socket
from importlib.resources import files
from typing import Any

import msgspec

from .. import __version__
from ..component import Component
from ..message import AddedFlows, AddFlows, CallError, Change, Code, ConfigError, Failure, Message
from ..message.path import BadPath, find, parse_path
from .adding import faults_of, read_flows, together
from .bridge import BridgeControl
from .datapath import Datapath
from .session import Description
from .settings import Bridge, Fault, Settings, Tls, named_files, settings_of
from .views import VIEWS, Refused, View, look
from .ways import identity_of

SYNCHRONISING = "sync-"  # how transactions begin that restore what was configured before


class Agent(Component):
    """Connect the bridges to their controllers."""

    name = "openflow"

    async def open(self) -> None:
        """Begin to look for the dataplane."""
        schema = files(__package__) / "schema" / "raicho-openflow.yang"
        self.yang = [schema.read_text("utf-8")]
        self.subscriptions = ["/raicho/bridge"]
        self.bridges: dict[str, BridgeControl] = {}
        self.answers[AddFlows] = self._on_add_flows
        self._next: Settings | None = None
        self.datapath = Datapath(
            self.context,
            self.datastore,
            on_event=self._event,
            on_attached=self._attached,
            on_lost=self._lost,
        )
        self.spawn(self.datapath.keep())

    async def close(self) -> None:
        """Say goodbye to the controllers."""
        for bridge in self.bridges.values():
            await bridge.close()
        self.datapath.close()

    # Configuration.

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Check addresses, and that new listeners can bind."""
        try:
            settings = settings_of(config)
            if not txid.startswith(SYNCHRONISING):
                self._check_listeners(settings)
                self._check_files(settings)
        except Fault as fault:
            raise ConfigError(fault.path, fault.reason) from None
        self._next = settings

    async def commit(self, txid: str) -> None:
        """Apply the difference."""
        settings, self._next = self._next or {}, None
        for name in self.bridges.keys() - settings.keys():
            await self.bridges.pop(name).close()
            await self.datapath.detach(name)
        for name, row in settings.items():
            if name in self.bridges:
                await self.bridges[name].update(row)
            else:
                self.bridges[name] = self._bridge(row)
        self.datapath.want(set(settings))

    async def abort(self, txid: str) -> None:
        """Forget what was prepared."""
        self._next = None

    def _bridge(self, row: Bridge) -> BridgeControl:
        description = Description(
            hardware=f"{platform.system()} {platform.release()} {platform.machine()}",
            software=f"raicho {__version__}",
            datapath=row.name,
        )
        return BridgeControl(row, description, self.datapath.post, self.bootstrap.run_dir)

    def _check_listeners(self, settings: Settings) -> None:
        """Refuse a listener that somebody else has the address of."""
        ours = {
            (listen.address, listen.port)
            for bridge in self.bridges.values()
            for listen in bridge.settings.listen
        }
        for bridge in settings.values():
            for listen in bridge.listen:
                if (listen.address, listen.port) not in ours:
                    where = f"/raicho/bridge[name='{bridge.name}']/listen[name='{listen.name}']"
                    check_bindable(where, listen.address, listen.port)

    def _check_files(self, settings: Settings) -> None:
        """Refuse files that TLS cannot use; those that were good before may be on their way."""
        for bridge in settings.values():
            known = self.bridges.get(bridge.name)
            if bridge.tls != Tls() and (known is None or known.settings.tls != bridge.tls):
                check_usable(f"/raicho/bridge[name='{bridge.name}']/tls", bridge.tls)

    # What happens.

    def _event(self, bridge: str, kind: str, data: bytes) -> None:
        if bridge in self.bridges:
            self.bridges[bridge].push(kind, data)

    async def _attached(self, bridge: str) -> None:
        if bridge in self.bridges:
            await self.bridges[bridge].attached()

    def _lost(self, empty: bool) -> None:
        for bridge in self.bridges.values():
            bridge.lost(empty=empty)

    # What others ask.

    async def _on_add_flows(self, peer: bytes, request: AddFlows) -> Message:
        messages, faults = await read_flows(request.flows)
        if faults or request.check:
            return AddedFlows(faults)
        self._check_bridge(request.bridge)
        self._check_dataplane()
        answer = await self.bridges[request.bridge].carry_in_time(together(messages))
        return AddedFlows(faults_of(answer))

    def _check_bridge(self, name: str, path: str | None = None) -> None:
        if name not in self.bridges:
            raise CallError(Failure(Code.NOT_FOUND, f"there is no bridge {name!r}", path))

    def _check_dataplane(self, path: str | None = None) -> None:
        if not self.datapath.up:
            raise CallError(Failure(Code.UNAVAILABLE, "the dataplane is away", path))

    def state(self, path: str) -> Any:
        """Return the rows of /controllers, or of a view: /flows, or /flows/br0, and so on.

        The settings of bridges that are in use are at /raicho/bridge.
        """
        name, _, bridge = path.strip("/").partition("/")
        if name == "raicho":
            return self._settings_in_use(path)
        if name == "controllers":
            return [row for control in self.bridges.values() for row in control.rows()]
        if name not in VIEWS:
            known = ", ".join(f"/{view}" for view in ("controllers", *VIEWS))
            raise CallError(Failure(Code.NOT_FOUND, f"no such state; there are {known}", path))
        if bridge:
            self._check_bridge(bridge, path)
        return self._view(VIEWS[name], [bridge] if bridge else sorted(self.bridges), path)

    def _settings_in_use(self, path: str) -> Any:
        rows = [msgspec.to_builtins(control.settings) for control in self.bridges.values()]
        try:
            found = find({"raicho": {"bridge": rows}}, parse_path(path))
        except BadPath as error:
            raise CallError(Failure(Code.INVALID, str(error), path)) from None
        if found is None:
            raise CallError(Failure(Code.NOT_FOUND, "there is no such setting here", path))
        return found

    async def _view(self, view: View, bridges: list[str], path: str) -> list[dict[str, Any]]:
        self._check_dataplane(path)
        try:
            return [row for name in bridges for row in await look(view, name, self.datapath.ask)]
        except Refused as error:
            reason = f"the dataplane answers {error}"
            raise CallError(Failure(Code.REFUSED, reason, path)) from None

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return how many controllers are connected, by bridge, and whether the dataplane is."""
        return {
            "openflow": {
                "dataplane": int(self.datapath.up),
                "connected": {
                    name: sum(channel.session.up for channel in bridge.channels)
                    for name, bridge in self.bridges.items()
                },
                "packet_in_limited": {
                    name: dict(bridge.limiter.dropped) for name, bridge in self.bridges.items()
                },
                "copied": {name: bridge.copied() for name, bridge in self.bridges.items()},
            }
        }


def check_usable(where: str, tls: Tls) -> None:
    """Raise Fault if TLS cannot use these files now."""
    for name, file in named_files(tls).items():
        if not os.access(file, os.R_OK):
            raise Fault(f"{where}/{name}", f"cannot read {file!r}")
    try:
        identity_of(tls).context(server=True)
    except OSError as error:
        raise Fault(where, f"TLS cannot use these files: {error}") from None


def check_bindable(where: str, address: str, port: int) -> None:
    """Raise Fault if *address* and *port* cannot be listened on now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            leaf = "address" if error.errno == errno.EADDRNOTAVAIL else "port"
            text = f"cannot listen on {address}:{port}: {error.strerror}"
            raise Fault(f"{where}/{leaf}", text) from None
