"""Bundles: messages that are kept, and then applied all or none (ONF extension 230).

Without I/O.  A connection has one Bundles; ids are its own.  What is in a bundle
is checked when it is committed, by the dataplane, against the tables as they
are then; what is said about the bundle itself is checked here.
"""

import enum
import struct
from typing import NamedTuple

from .errors import RemoteError
from .spec import VERSION, MessageType
from .spec.errors import BadRequest, reason
from .spec.templates import RAICHO

ONF = 0x4F4E4600
CONTROL, ADD = 2300, 2301  # types of experimenter messages
ERROR_TYPE, FIRST_ERROR = 0xFFFF, 2300  # of experimenter errors

MAX_BUNDLES = 16  # of a connection
MAX_BYTES = 32 << 20  # of all its bundles
HEADER, BODY = 8, 16  # of a message, and of an experimenter's
_CONTROL = struct.Struct("!IHH")
_ADD = struct.Struct("!I2xH")


class Do(enum.IntEnum):
    """What to do with a bundle; the reply is the next number."""

    OPEN = 0
    CLOSE = 2
    COMMIT = 4
    DISCARD = 6


class Flag(enum.IntFlag):
    ATOMIC = 1  # for packets too
    ORDERED = 2  # they always are


KNOWN_FLAGS = 3


class BundleFailed(enum.IntEnum):
    UNKNOWN = 0
    EPERM = 1
    BAD_ID = 2
    BUNDLE_EXIST = 3
    BUNDLE_CLOSED = 4
    OUT_OF_BUNDLES = 5
    BAD_TYPE = 6
    BAD_FLAGS = 7
    MSG_BAD_LEN = 8
    MSG_BAD_XID = 9
    MSG_UNSUP = 10
    MSG_CONFLICT = 11
    MSG_TOO_MANY = 12
    MSG_FAILED = 13
    TIMEOUT = 14
    BUNDLE_IN_PROGRESS = 15


#: What a bundle may hold; the dataplane can undo each of them.
BUNDLED = frozenset(
    (
        MessageType.FLOW_MOD,
        MessageType.GROUP_MOD,
        MessageType.METER_MOD,
        MessageType.PORT_MOD,
        MessageType.PACKET_OUT,
    )
)


class Bundle:
    """Messages that wait."""

    def __init__(self, ident: int, flags: int) -> None:
        self.ident = ident
        self.flags = flags
        self.closed = False
        self.messages: list[bytes] = []
        self.size = 0


class Request(NamedTuple):
    """What a control message asks."""

    do: Do
    ident: int
    flags: int


def error_of(code: BundleFailed) -> tuple[int, int]:
    """Return the (type, code) that stand on the wire; the experimenter's number follows them."""
    return ERROR_TYPE, FIRST_ERROR + code


def refusal(code: BundleFailed, text: str) -> RemoteError:
    """Return what to raise."""
    return RemoteError(text, error_of(code), HEADER)


def is_own(message: bytes) -> bool:
    """Return whether it is an experimenter's message of raicho's own: they are about templates."""
    number = int.from_bytes(message[HEADER : HEADER + 4])
    return message[1] == MessageType.EXPERIMENTER and number == RAICHO


def reply(request: Request) -> bytes:
    """Return the data of the experimenter's message that says it is done."""
    return _CONTROL.pack(request.ident, request.do + 1, request.flags)


class Bundles:
    """The bundles of one connection."""

    def __init__(self) -> None:
        self._bundles: dict[int, Bundle] = {}

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(bundle.size for bundle in self._bundles.values())

    def control(self, data: bytes) -> tuple[Request, Bundle | None]:
        """Do what a control message asks; the bundle is what is to be committed now."""
        if len(data) < _CONTROL.size:
            raise RemoteError("a bundle control cut short", reason(BadRequest.BAD_LEN), BODY)
        ident, kind, flags = _CONTROL.unpack_from(data)
        if kind not in Do.__members__.values():
            raise refusal(BundleFailed.BAD_TYPE, f"bundle control {kind}")
        request = Request(Do(kind), ident, flags)
        if request.do is Do.OPEN:
            self._open(ident, flags)
            return request, None
        bundle = self._find(ident, flags)
        if request.do is Do.CLOSE:
            self._refuse_closed(bundle)
            bundle.closed = True
            return request, None
        del self._bundles[ident]
        return request, bundle if request.do is Do.COMMIT else None

    def add(self, data: bytes, xid: int) -> None:
        """Keep the message in an add-message that came with *xid*."""
        if len(data) < _ADD.size + HEADER:
            raise refusal(BundleFailed.MSG_BAD_LEN, "a bundled message cut short")
        ident, flags = _ADD.unpack_from(data)
        message = data[_ADD.size :]
        version, kind, size, inner = struct.unpack_from("!BBHI", message)
        if version != VERSION:
            raise RemoteError(f"a bundled version {version}", reason(BadRequest.BAD_VERSION))
        if not HEADER <= size <= len(message):
            raise refusal(BundleFailed.MSG_BAD_LEN, f"a bundled message of {size} bytes")
        if inner != xid:
            raise refusal(BundleFailed.MSG_BAD_XID, f"a bundled message numbered {inner}")
        if kind not in BUNDLED and not is_own(message):
            raise refusal(BundleFailed.MSG_UNSUP, f"a bundled message of type {kind}")
        if ident not in self._bundles:
            self._open(ident, flags)
        bundle = self._find(ident, flags)
        self._refuse_closed(bundle)
        if self.size + size > MAX_BYTES:
            raise refusal(BundleFailed.MSG_TOO_MANY, f"more than {MAX_BYTES} bytes in bundles")
        bundle.messages.append(message[:size])
        bundle.size += size

    def clear(self) -> None:
        """Forget all of them."""
        self._bundles.clear()

    def _open(self, ident: int, flags: int) -> None:
        if ident in self._bundles:
            del self._bundles[ident]
            raise refusal(BundleFailed.BUNDLE_EXIST, f"bundle {ident} is open")
        if flags & ~KNOWN_FLAGS:
            raise refusal(BundleFailed.BAD_FLAGS, f"bundle flags {flags:#x}")
        if len(self._bundles) >= MAX_BUNDLES:
            raise refusal(BundleFailed.OUT_OF_BUNDLES, f"more than {MAX_BUNDLES} bundles")
        self._bundles[ident] = Bundle(ident, flags)

    def _find(self, ident: int, flags: int) -> Bundle:
        bundle = self._bundles.get(ident)
        if bundle is None:
            raise refusal(BundleFailed.BAD_ID, f"no bundle {ident}")
        if flags != bundle.flags:
            del self._bundles[ident]
            raise refusal(BundleFailed.BAD_FLAGS, f"flags {flags:#x}, not {bundle.flags:#x}")
        return bundle

    def _refuse_closed(self, bundle: Bundle) -> None:
        if bundle.closed:
            del self._bundles[bundle.ident]
            raise refusal(BundleFailed.BUNDLE_CLOSED, f"bundle {bundle.ident} is closed")
