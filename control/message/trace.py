"""What was said at an endpoint, as events for whoever wants to watch."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from .envelope import Message, unpack

MAX_TRACED = 256 << 10  # bytes of a message; of a longer one only its size is told


class Traced(Message, frozen=True):
    """The event `trace.COMPONENT`: a request that came, or an answer that was sent.

    *peer* is the client, as the server knows it; *id* is that of its request.
    *message* is the name and the fields, or the size of what is too long or
    cannot be read.  Of bulk it is the header, and the sizes of the payload's frames.
    """

    sent: bool
    peer: str
    id: int
    message: list[Any]


def traced(sent: bool, peer: bytes, frame: bytes) -> Traced:
    """Describe a frame with a good envelope that came from a peer or was *sent* to it."""
    envelope = unpack([frame])
    message: list[Any] = [f"{len(frame)} bytes"]
    if len(frame) <= MAX_TRACED:
        with suppress(ValueError, RecursionError):  # msgspec's errors are ValueErrors
            message = msgspec.msgpack.decode(envelope.body, type=list[Any])
    return Traced(sent, peer.hex(), envelope.id, message)


def traced_bulk(sent: bool, peer: bytes, header: Message, payload: Sequence[bytes]) -> Traced:
    """Describe a batch that came from a peer or was *sent* to it."""
    message = [*msgspec.to_builtins(header), list(map(len, payload))]
    return Traced(sent, peer.hex(), getattr(header, "id", 0), message)
