"""OpenFlow 1.3.5 on the wire, as tables.

Each class is one row: its attributes, their defaults, its layout (see
codec.pyx), its words.  ``pack`` and ``unpack`` turn whole messages into bytes
and back, exactly; ``pack_part`` and ``unpack_part`` do it for parts of them.
"""

from typing import Any

from .. import codec
from ..codec import pack_part, unpack_elements, unpack_part
from .families import FAMILIES, MESSAGES
from .messages import Message, MessageType

__all__ = [
    "FAMILIES",
    "VERSION",
    "Message",
    "MessageType",
    "pack",
    "pack_part",
    "unpack",
    "unpack_elements",
    "unpack_part",
]

VERSION = 4


def pack(message: Message, xid: int = 0, version: int = VERSION) -> bytes:
    """Return *message* as it goes on the wire, header included."""
    return codec.pack(MESSAGES, message, xid, version)


def unpack(data: bytes | bytearray | memoryview) -> tuple[Any, int]:
    """Return (message, xid) of one whole message; raise RemoteError if it is malformed."""
    return codec.unpack(MESSAGES, data)
