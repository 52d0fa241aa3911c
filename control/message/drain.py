"""A ZeroMQ socket read by the event loop through its descriptor.

The descriptor signals once and not again until the socket was read to its end,
and any send may swallow the signal.  So the socket is always read until it has
nothing more, and whether something waits is asked after each sending.  Awaiting
each message would cost ten times as much.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

import zmq

from .exhaustion import end_if_exhausted
from .keys import Context, Keys
from .raw import RawSocket

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 << 20  # bytes in a frame; a longer one closes its connection


class Drain:
    """Hand every message of *socket* to *receive*, *budget* at a time."""

    def __init__(
        self,
        socket: zmq.SyncSocket,
        receive: Callable[[list[bytes]], None],
        budget: int = 256,
    ) -> None:
        self.socket = socket
        self.raw = RawSocket(socket)
        self._receive = receive
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._fd: int = socket.fileno()
        self._asks_who = keys_of(socket.context) is not None
        self.user = ""  # the role of who sent the message that is being received
        self._turn: asyncio.Handle | None = None
        self._stopped = False
        self._loop.add_reader(self._fd, self._read)
        self.read_soon()

    def send(self, frames: Collection[bytes]) -> None:
        """Send without blocking; raise zmq.Again when there is no room."""
        try:
            self.raw.send(frames)
        finally:
            if not self.socket.closed and self.raw.waits():
                self.read_soon()

    def close(self) -> None:
        """Stop reading and close the socket; a second time does nothing."""
        if self.socket.closed:
            return
        self._stopped = True
        self._loop.remove_reader(self._fd)
        if self._turn:
            self._turn.cancel()
        self.socket.close()

    def read_soon(self) -> None:
        """Read in the next turn of the loop, too."""
        if self._turn is None and not self.socket.closed:
            self._turn = self._loop.call_soon(self._read_again)

    def take(self) -> None:
        """Read what there is, within the budget."""
        for frames in self.raw.receive(self._budget, self._asks_who):
            if self._asks_who:
                self.user = frames.pop().decode()
            try:
                self._receive(frames)
            except Exception as error:  # one message must not cost those behind it
                end_if_exhausted(error)
                log.exception("a message was lost on its way to who takes it")
            if self._stopped:
                break

    def _read_again(self) -> None:
        self._turn = None
        self._read()

    def _read(self) -> None:
        try:
            self.take()
        finally:
            if not self.raw.dry:
                self.read_soon()


def open_socket(
    context: zmq.SyncContext, kind: int, *, domain: str = "", **options: int | bytes
) -> zmq.SyncSocket:
    """Open a socket with the options that all of ours share, and *options* by zmq name.

    With a *domain* it is one that is bound; where the context has keys, it asks for them.
    """
    socket = context.socket(kind)
    shared = {"LINGER": 0, "MAXMSGSIZE": MAX_MESSAGE, "RECONNECT_IVL": 20, "RECONNECT_IVL_MAX": 100}
    for name, value in {**shared, **_curve(context, domain), **options}.items():
        socket.setsockopt(getattr(zmq, name), value)
    return socket


def keys_of(context: zmq.SyncContext) -> Keys | None:
    """Return the keys that a context was made with."""
    return context.keys if isinstance(context, Context) else None


def _curve(context: zmq.SyncContext, domain: str) -> dict[str, int | bytes]:
    keys = keys_of(context)
    if keys is None:
        return {}
    own: dict[str, int | bytes] = {"CURVE_PUBLICKEY": keys.public, "CURVE_SECRETKEY": keys.secret}
    if not domain:
        return own | {"CURVE_SERVERKEY": keys.switch}
    return own | {"CURVE_SERVER": 1, "ZAP_DOMAIN": domain.encode(), "ZAP_ENFORCE_DOMAIN": 1}
