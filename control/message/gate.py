"""The end of ZeroMQ's authentication protocol (RFC 27): it says who may come in."""

import logging
from pathlib import Path

import msgspec
import zmq
import zmq.utils.z85 as z85

from .drain import Drain
from .keys import ALLOWED, Context, Keys, allowed_in

ENDPOINT = "inproc://zeromq.zap.01"
MECHANISM, KEY = 5, 6  # places in a request, behind the envelope
OK, NO = (b"200", b"OK"), (b"400", b"no key that is allowed here")

log = logging.getLogger(__name__)


class Gate:
    """Answer for all sockets of a context; the role becomes the user of each message.

    Who is allowed is read again when the list in *folder* has changed.  A list that cannot be
    used leaves the last one in force.  Who is in already stays, with the role that he came with.
    """

    def __init__(self, context: Context, keys: Keys, folder: Path) -> None:
        self.refused = 0
        self._keys = keys
        self._folder = folder
        self._stamp = _stamp(folder)
        socket = context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.bind(ENDPOINT)
        self._drain = Drain(socket, self._receive)

    def close(self) -> None:
        """Let nobody in any more."""
        self._drain.close()

    def _receive(self, frames: list[bytes]) -> None:
        split = frames.index(b"") + 1
        envelope, request = frames[:split], frames[split:]
        role = self._role(request)
        status = OK if role else NO
        self.refused += role is None
        version, ident = request[:2]
        self._drain.send([*envelope, version, ident, *status, (role or "").encode(), b""])

    def _role(self, request: list[bytes]) -> str | None:
        if len(request) <= KEY or request[MECHANISM] != b"CURVE":
            return None
        self._look_at_the_list()
        return self._keys.role_of(z85.encode(request[KEY]), request[2].decode("utf-8", "replace"))

    def _look_at_the_list(self) -> None:
        stamp = _stamp(self._folder)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            allowed = allowed_in(self._folder)
        except (OSError, ValueError) as error:  # BadKeys is the first, what is no UTF-8 the second
            log.error("%s; the list that was read before holds", error)
        else:
            self._keys = msgspec.structs.replace(self._keys, allowed=allowed)
            log.info("%d clients are allowed", len(allowed))


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what differs when the list was written or replaced."""
    try:
        found = (folder / ALLOWED).stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
