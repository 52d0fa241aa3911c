"""What surrounds every control message: version, kind, id and deadline.

A message is one ZeroMQ frame, a msgpack array

    [version, kind, id, deadline, body]

and the body is again an array, whose first item names its type.  Fields may be
added at the end of a message; anything else is a new VERSION.
"""

import enum
from typing import Generic, TypeVar

import msgspec

VERSION = 2

Reply = TypeVar("Reply", covariant=True)


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Anything that travels between components."""


class Request(Message, Generic[Reply], frozen=True):
    """A message that is answered by a *Reply* or by a Failure."""


class Kind(enum.IntEnum):
    """What a control message is to the one that receives it."""

    REQUEST = 0
    REPLY = 1
    ERROR = 2


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """One control message as it lies on the wire.

    The id grows with each request of a client and stays the same when the
    request is sent again.  The deadline is in milliseconds of Unix time: a
    request that has not begun by then is refused, because nobody waits for it.
    """

    version: int
    kind: Kind
    id: int
    deadline_ms: int | None
    body: msgspec.Raw


class Malformed(ValueError):
    """Bytes that are no message of this version."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def pack(kind: Kind, ident: int, body: Message, deadline_ms: int | None = None) -> bytes:
    """Return the frame that carries *body*."""
    raw = msgspec.Raw(_encoder.encode(body))
    return _encoder.encode(Envelope(VERSION, kind, ident, deadline_ms, raw))


def unpack(frames: list[bytes]) -> Envelope:
    """Read the one frame of a control message; its version may be any."""
    if len(frames) != 1:
        raise Malformed(f"{len(frames)} frames where a control message has 1")
    try:
        envelope = _decoder.decode(frames[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{len(frames[0])} bytes are no envelope: {error}") from error
    if not 0 <= envelope.id < 1 << 63:
        raise Malformed(f"request id {envelope.id} is out of range")
    return envelope
