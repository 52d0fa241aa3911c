"""The end of ZeroMQ's authentication protocol (RFC 27): it says who may come in."""

import zmq
import zmq.utils.z85 as z85

from .drain import Drain
from .keys import Context, Keys

ENDPOINT = "inproc://zeromq.zap.01"
MECHANISM, KEY = 5, 6  # places in a request, behind the envelope
OK, NO = (b"200", b"OK"), (b"400", b"no key that is allowed here")


class Gate:
    """Answer for all sockets of a context; the role becomes the user of each message."""

    def __init__(self, context: Context, keys: Keys) -> None:
        self.refused = 0
        self._keys = keys
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
        return self._keys.role_of(z85.encode(request[KEY]), request[2].decode("utf-8", "replace"))
