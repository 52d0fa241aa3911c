"""What is set on the interfaces of ports, and what they were like before."""

import contextlib
import logging

from . import mtu
from .config import INTERFACES, TAP, BadConfig, PortConfig
from .opening import has_interface
from .port import Port

log = logging.getLogger(__name__)


class Settings:
    """The MTU and the administrative state of interfaces, by the names of ports."""

    def __init__(self) -> None:
        self._former_mtus: dict[str, int] = {}
        self._set_down: set[str] = set()

    def check(self, config: PortConfig) -> None:
        """Raise BadConfig if the interface of a port would not take its MTU."""
        if config.kind == TAP and not has_interface(config.device):
            return  # it comes with the port
        if config.mtu and config.kind in INTERFACES:
            try:
                mtu.check(config.device, config.mtu)
            except (ValueError, OSError) as error:
                raise BadConfig(f"{config.path}/mtu", str(error)) from error

    def set_mtu(self, config: PortConfig) -> None:
        """Set the MTU as configured; put back what it was when none is configured."""
        wanted = config.mtu or self._former_mtus.get(config.name)
        if not wanted or config.kind not in INTERFACES:
            return
        try:
            if (before := mtu.read(config.device)) != wanted:
                mtu.write(config.device, wanted)
                self._former_mtus.setdefault(config.name, before)
        except OSError as error:
            raise BadConfig(f"{config.path}/mtu", str(error)) from error
        if not config.mtu:
            del self._former_mtus[config.name]

    def set_admin(self, port: Port, up: bool) -> None:
        """Set the interface of a port up or down, where that is possible."""
        try:
            port.set_admin(up)
        except OSError as error:
            log.warning("port %s stays %s: %s", port.name, "down" if up else "up", error)
        else:
            (self._set_down.discard if up else self._set_down.add)(port.name)

    def restore(self, port: Port) -> None:
        """Leave the interface of a port that goes as it was found."""
        with contextlib.suppress(OSError):
            if port.name in self._former_mtus:
                mtu.write(port.device, self._former_mtus[port.name])
        with contextlib.suppress(OSError):
            if port.name in self._set_down:
                port.set_admin(True)
        self.forget(port.name)

    def forget(self, name: str) -> None:
        """Forget an interface that is gone."""
        self._former_mtus.pop(name, None)
        self._set_down.discard(name)
