"""What carries OpenFlow: TCP, TLS and Unix sockets, to dial and to listen on.

An Opener connects one protocol; a Binder listens and makes a protocol for each
caller.  To add a transport, write both and a row in settings.py.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from .identity import Identity

HANDSHAKE = 10.0  # seconds
BACKLOG = 100

log = logging.getLogger(__name__)

Factory = Callable[[], asyncio.Protocol]
Opener = Callable[[asyncio.Protocol], Awaitable[None]]


class Bound(Protocol):
    """Something that listens."""

    @property
    def port(self) -> int: ...
    async def close(self) -> None: ...


Binder = Callable[[Factory], Awaitable[Bound]]


class Server:
    """Something that the loop listens on for us."""

    def __init__(self, server: asyncio.Server, path: Path | None = None) -> None:
        self._server = server
        self._path = path

    @property
    def port(self) -> int:
        """The TCP port; 0 where there is none."""
        name = self._server.sockets[0].getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    async def close(self) -> None:
        """Stop, and take the name away."""
        self._server.close()
        if self._path:
            self._path.unlink(missing_ok=True)


def tcp(host: str, port: int) -> Opener:
    """Return what opens a TCP connection to a controller."""

    async def dial(protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: protocol, host, port)

    return dial


def tls(host: str, port: int, identity: Identity) -> Opener:
    """Return what opens a TLS connection; both sides show certificates."""

    async def dial(protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: protocol,
            host,
            port,
            ssl=identity.context(server=False),
            server_hostname="",
            ssl_handshake_timeout=HANDSHAKE,
        )

    return dial


def ptcp(host: str, port: int) -> Binder:
    """Return what listens for controllers on TCP."""

    async def bind(factory: Factory) -> Bound:
        loop = asyncio.get_running_loop()
        return Server(await loop.create_server(factory, host, port))

    return bind


def pssl(host: str, port: int, identity: Identity) -> Binder:
    """Return what listens for controllers on TLS."""

    async def bind(factory: Factory) -> Bound:
        return SecureServer(_listening(host, port), factory, identity)

    return bind


def punix(path: Path, mode: int = 0o600) -> Binder:
    """Return what listens on a Unix socket; it can be used by nobody before it has its mode."""

    async def bind(factory: Factory) -> Bound:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
            path.unlink(missing_ok=True)
            sock.bind(str(path))
            os.chmod(path, mode)
            loop = asyncio.get_running_loop()
            return Server(await loop.create_unix_server(factory, sock=sock.dup()), path)

    return bind


class SecureServer:
    """A TLS listener that looks at its certificates anew for each caller."""

    def __init__(self, sock: socket.socket, factory: Factory, identity: Identity) -> None:
        self._sock = sock
        self._factory = factory
        self._identity = identity
        self._greeting: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._accept())

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._sock.getsockname()[1])

    async def close(self) -> None:
        """Stop, and hang up on who has not finished the handshake."""
        tasks = [self._task, *self._greeting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                caller, address = await loop.sock_accept(self._sock)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                    raise
                await asyncio.sleep(1)  # there is no room now; the caller waits
                continue
            task = asyncio.create_task(self._greet(caller, address[0]))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, caller: socket.socket, host: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._factory,
                caller,
                ssl=self._identity.context(server=True),
                ssl_handshake_timeout=HANDSHAKE,
            )
        except OSError as error:  # ssl.SSLError is one
            log.warning("%s: no TLS: %s", host, error)
            caller.close()


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise OSError that says where it could not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
        undo.pop_all()
    return sock
