"""The ways between a bridge and its controllers, as keys: equal ones need not be opened anew."""

from pathlib import Path
from typing import NamedTuple

from .identity import Identity
from .settings import Bridge, Controller, Listen, Tls
from .transport import Binder, Opener, pssl, ptcp, punix, tcp, tls

MANAGEMENT = "management"  # the name of connections on the management socket


class Dial(NamedTuple):
    """A controller to connect to, and all that the way there depends on."""

    row: Controller
    tls: Tls

    @property
    def where(self) -> str:
        """Say what is dialled."""
        return f"{self.row.protocol}:{self.row.address}:{self.row.port}"

    @property
    def auxiliaries(self) -> range:
        """The numbers of the auxiliary connections."""
        return range(1, self.row.auxiliary_connections + 1)

    def opener(self) -> Opener:
        """Return what connects."""
        if self.row.protocol == "tls":
            return tls(self.row.address, self.row.port, identity_of(self.tls))
        return tcp(self.row.address, self.row.port)


class Call(NamedTuple):
    """Where controllers may connect, and all that the way there depends on."""

    row: Listen
    tls: Tls

    @property
    def name(self) -> str:
        """The name of those who connect."""
        return self.row.name

    @property
    def where(self) -> str:
        """Say what is listened on."""
        return f"p{self.row.protocol}:{self.row.address}:{self.row.port}"

    def binder(self) -> Binder:
        """Return what listens."""
        if self.row.protocol == "tls":
            return pssl(self.row.address, self.row.port, identity_of(self.tls))
        return ptcp(self.row.address, self.row.port)


class Management(NamedTuple):
    """The Unix socket that Open vSwitch's tools look for: RUN/BRIDGE.mgmt."""

    path: Path
    name: str = MANAGEMENT

    @property
    def where(self) -> str:
        """Say what is listened on."""
        return f"punix:{self.path}"

    def binder(self) -> Binder:
        """Return what listens."""
        return punix(self.path)


def identity_of(files: Tls) -> Identity:
    """Return the TLS identity in *files*."""
    return Identity(files.private_key, files.certificate, files.ca_certificate)


def dials(settings: Bridge) -> list[Dial]:
    """Return whom a bridge dials."""
    return [Dial(row, needed(row, settings.tls)) for row in settings.controller]


def calls(settings: Bridge, run_dir: Path) -> list[Call | Management]:
    """Return where a bridge may be called."""
    found: list[Call | Management] = [
        Call(row, needed(row, settings.tls)) for row in settings.listen
    ]
    if settings.management_socket:
        found.append(Management(run_dir / f"{settings.name}.mgmt"))
    return found


def needed(row: Controller | Listen, tls: Tls) -> Tls:
    """Return the files that a row depends on."""
    return tls if row.protocol == "tls" else Tls()
