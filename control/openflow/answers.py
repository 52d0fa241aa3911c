"""What the agent asks the dataplane, and what the answers become for the controller.

Each function here makes the bytes for the controller from the messages that
were asked about and the Answer.  An answer without what it promises is treated
as that of a dataplane that cannot be asked.
"""

import struct
from typing import NamedTuple

from . import framing
from .bundles import ERROR_TYPE, FIRST_ERROR, ONF, BundleFailed, error_of
from .connection import COPIED, HEADER, Message
from .spec import VERSION, MessageType
from .spec.errors import BadRequest, reason
from .spec.multipart import MORE


class Ask(NamedTuple):
    """A request to the dataplane: an operation of its bulk interface."""

    op: str
    payload: bytes


class Answer(NamedTuple):
    """What came of it: framing.DONE or error type << 16 | code, and frames."""

    code: int
    frames: tuple[bytes, ...] = ()


def code_of(why: tuple[int, int]) -> int:
    """Return the number that stands for a reason between the agent and the dataplane."""
    return why[0] << 16 | why[1]


PART_HEADER = 16
AWAY = code_of(reason(BadRequest.EPERM))  # the dataplane cannot be asked


def frame(kind: int, xid: int, body: bytes) -> bytes:
    """Return a message with a body that is already in bytes."""
    return struct.pack("!BBHI", VERSION, kind, HEADER + len(body), xid) + body


def failure_of(answer: Answer) -> int:
    """Return the code of a failure; an answer without what it promises is one."""
    return AWAY if answer.code == framing.DONE else answer.code


def failed(data: bytes, code: int) -> bytes:
    """Return the error about the message *data*; those of bundles say whose they are."""
    if code >> 16 != ERROR_TYPE or code & 0xFFFF < FIRST_ERROR:
        return framing.failures(data, b"", code)
    (xid,) = struct.unpack_from("!I", data, 4)
    body = struct.pack("!II", code, ONF) + data[:COPIED]
    return frame(MessageType.ERROR, xid, body)


def bundled(
    about: Message, messages: list[bytes], done: bytes, payloads: list[bytes], answer: Answer
) -> bytes:
    """Say *done*, or make two errors: of the message that failed, and of the bundle."""
    if answer.code != framing.DONE or not answer.frames:
        return failed(about.data, failure_of(answer))
    which, code = struct.unpack("=II", answer.frames[0])
    if code == framing.DONE:
        return done
    whole = failed(about.data, code_of(error_of(BundleFailed.MSG_FAILED)))
    return failed(messages[which], code) + whole


def nothing(payloads: list[bytes], answer: Answer) -> bytes:
    """Say nothing."""
    return b""


def applied(payloads: list[bytes], answer: Answer) -> bytes:
    """Make errors of the messages that failed, from one result for each."""
    results = answer.frames[0] if answer.code == framing.DONE and answer.frames else b""
    return framing.failures(b"".join(payloads), results, failure_of(answer))


def silent(about: Message, payloads: list[bytes], answer: Answer, done: bytes = b"") -> bytes:
    """Say *done* if it was carried out."""
    if answer.code == framing.DONE:
        return done
    return framing.failures(about.data, b"", answer.code)


def forward(
    about: Message, kind: int, payloads: list[bytes], answer: Answer, head: bytes = b""
) -> bytes:
    """Make the body of one reply of *head* and the frames."""
    if answer.code == framing.DONE and (answer.frames or head):
        return frame(kind, about.xid, head + b"".join(answer.frames))
    return framing.failures(about.data, b"", failure_of(answer))


def multiparted(about: Message, kind: int, payloads: list[bytes], answer: Answer) -> bytes:
    """Make one reply of each frame; all but the last say that more follows."""
    if answer.code != framing.DONE:
        return framing.failures(about.data, b"", answer.code)
    frames = answer.frames or (b"",)
    pieces: list[bytes] = []  # joined once: a dump of many flows is many megabytes
    for part in frames[:-1]:
        pieces += (part_header(about.xid, kind, MORE, len(part)), part)
    pieces += (part_header(about.xid, kind, 0, len(frames[-1])), frames[-1])
    return b"".join(pieces)


def part_header(xid: int, kind: int, flags: int, size: int) -> bytes:
    """Return what stands before *size* bytes of a multipart reply."""
    size += PART_HEADER
    return struct.pack("!BBHIHH4x", VERSION, MessageType.MULTIPART_REPLY, size, xid, kind, flags)


def shortened(text: str, size: int) -> str:
    """Cut a text so that it and its NUL take at most *size* bytes."""
    return text.encode()[: size - 1].decode(errors="ignore")
