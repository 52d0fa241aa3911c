"""The ports of the configuration: those that are open, and those whose interface is not there.

An interface may vanish and come back.  Its port then waits, and is opened again
when the kernel tells of an interface with the right name.
"""

import contextlib
import errno
import logging
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .config import DPDK, INTERFACES, PATCH, BadConfig, PortConfig
from .links import LinkEvent
from .opening import NoDevice, check_and_open, open_port
from .port import Port
from .presence import Presence, Step
from .settings import Settings

log = logging.getLogger(__name__)

UNTOLD = ("memory", PATCH, DPDK)  # kinds of whose links the kernel tells nothing
Configs = Mapping[str, PortConfig]


@dataclass(slots=True)
class Prepared:
    """What was opened, and what was not, for a configuration that may come."""

    opened: dict[str, Port | None] = field(default_factory=dict)  # None: at commit
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def fresh(self) -> set[str]:
        return self.opened.keys() | self.missing.keys()

    def close(self) -> None:
        """Close what was opened."""
        for port in self.opened.values():
            if port is not None:
                port.close()


class Ports:
    """Open ports by name, and what is known of their interfaces."""

    def __init__(self) -> None:
        self.open: dict[str, Port] = {}
        self.missing: dict[str, str] = {}  # name -> why
        self.up: dict[str, bool] = {}
        self.virtual: set[str] = set()  # those whose links nobody tells of
        self.settings = Settings()
        self.counters = Counter(lost=0, returned=0, refused=0)
        self._configs: dict[str, PortConfig] = {}
        self._presence = Presence()

    # Configuration.

    def prepare(self, wanted: Configs, *, lenient: bool = False) -> Prepared:
        """Open what is new; raise BadConfig.  If *lenient*, interfaces may be missing."""
        prepared = Prepared()
        try:
            for config in wanted.values():
                self._prepare(config, prepared, lenient)
        except BaseException:
            prepared.close()
            raise
        return prepared

    def _prepare(self, config: PortConfig, prepared: Prepared, lenient: bool) -> None:
        old = self._configs.get(config.name)
        if not config.same_device(old):
            try:
                prepared.opened[config.name] = check_and_open(config)
            except NoDevice as error:
                if not lenient:
                    raise
                prepared.missing[config.name] = error.reason
                return
        elif old is None or old.mtu == config.mtu or config.name in self.missing:
            return
        self.settings.check(config)

    def replaced(self, wanted: Configs, prepared: Prepared) -> set[str]:
        """Return the ports that will not stay open."""
        return {name for name in self._configs if name not in wanted} | prepared.fresh

    def commit(self, wanted: Configs, prepared: Prepared) -> None:
        """Let go of what is replaced, then take over what was prepared."""
        for name in self.replaced(wanted, prepared) & self._configs.keys():
            self._forget(name)
        for name, port in prepared.opened.items():
            self._configs[name] = wanted[name]
            self._take(name, port or open_port(wanted[name]))
        for name, reason in prepared.missing.items():
            self._configs[name] = wanted[name]
            self._miss(name, reason)
        for config in wanted.values():
            self._configs[config.name] = config
            if config.name in self.open:
                self.settings.set_mtu(config)

    def close(self) -> None:
        """Let go of all of them."""
        for port in self.open.values():
            port.close()
        self.open.clear()

    def _take(self, name: str, port: Port) -> None:
        self.open[name] = port
        self.missing.pop(name, None)
        if port.kind == PATCH and (peer := self.open.get(port.device)) is not None:
            peer.join(port)
            self.up[peer.name] = peer.link().up
        with contextlib.suppress(OSError):  # it is gone again; the kernel tells
            self.up[name] = port.link().up
        if port.kind in UNTOLD:
            self.virtual.add(name)
        if port.kind in INTERFACES:
            with contextlib.suppress(OSError):
                self._presence.arrive(name, socket.if_nametoindex(port.device))

    def _miss(self, name: str, reason: str) -> None:
        self.missing[name] = reason
        self.up[name] = False
        self._presence.wait(name, self._configs[name].device)

    def _forget(self, name: str) -> None:
        del self._configs[name]
        self._presence.forget(name)
        self.missing.pop(name, None)
        self.up.pop(name, None)
        self.virtual.discard(name)
        if port := self.open.pop(name, None):
            self.settings.restore(port)
            port.close()

    # What happens to interfaces.

    def hear(self, event: LinkEvent | None) -> Iterable[tuple[str, Step]]:
        """Return which ports an event concerns; None: events were lost."""
        return list(self._presence.hear(event))

    def look(self, name: str, up: bool | None = None) -> bool:
        """Note the link of a port, *up* if that was told; return False if its device is gone."""
        try:
            link = self.open[name].link()
        except OSError as error:
            return error.errno != errno.ENODEV
        self.up[name] = link.up if up is None else up
        return True

    def lose(self, name: str) -> None:
        """Close a port whose interface is gone, and wait for it; it must be in no bridge."""
        device = self._configs[name].device
        self.open.pop(name).close()
        self.virtual.discard(name)
        self.counters["lost"] += 1
        self.settings.forget(name)
        self._miss(name, f'no interface "{device}"')
        log.warning("port %s lost its interface %s", name, device)

    def reopen(self, name: str) -> bool:
        """Try to open a port that waits; return whether it is open."""
        config = self._configs[name]
        try:
            self._take(name, open_port(config))
        except NoDevice:
            return False
        except BadConfig as error:
            self._refused(name, error.reason)
            return False
        self.counters["returned"] += 1
        log.info("port %s has its interface %s back", name, config.device)
        try:
            self.settings.set_mtu(config)
        except BadConfig as error:
            log.warning("port %s: %s", name, error.reason)
        return True

    def refuse(self, name: str, reason: str) -> None:
        """Close a port that cannot be used after all, and wait for its interface to change."""
        self.open.pop(name).close()
        self.settings.forget(name)
        self._miss(name, self.missing.get(name, ""))
        self._refused(name, reason)

    def _refused(self, name: str, reason: str) -> None:
        self.counters["refused"] += 1
        if self.missing.get(name) != reason:
            log.warning("port %s: %s", name, reason)
            self.missing[name] = reason

    def refresh_counters(self) -> None:
        """Let ports take over what only their devices count: losses before the port."""
        for name in self.open:
            with contextlib.suppress(OSError):  # a device that is gone counts nothing more
                self.open[name].link()
