"""What an operation of the bulk endpoint is: what does it, the API it is part of, and what for.

And how it says no: the same way everywhere, by an exception that has a code and tells why.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from .bridge import OpenFlowError
from .datapath import DONE

Verb = Literal["add", "del", "get", "bulk", "stat", "send"]
Run = TypeVar("Run")


Reply = tuple[int, str, Sequence[bytes]]  # a code, what is wrong, and frames

BAD_TYPE = 1 << 16 | 1  # OpenFlow's BAD_REQUEST: an operation that is not known
BAD_LEN = 1 << 16 | 6  # and one whose payload has a wrong length


class Refused(Exception):
    """A request that cannot be carried out; says why."""

    code = 0xFFFE0005  # no OpenFlow error has this type


class BadLength(Refused):
    """The payload is longer or shorter than it should be."""

    code = BAD_LEN


class NoSuch(Refused):
    """What is named, or what it belongs to, is not there."""

    code = 0xFFFE0002


class Full(Refused):
    """There is no room."""

    code = 0xFFFE0004


class TimedOut(Refused):
    """The workers do not answer."""

    code = 0xFFFE0001


def reply(op: str, run: Callable[[], Sequence[bytes]]) -> Reply:
    """Carry an operation out, or say why not."""
    try:
        return DONE, "", run()
    except Refused as error:
        return refusal(op, error)


def refusal(op: str, error: Refused | OpenFlowError) -> Reply:
    """Say why an operation was not carried out."""
    return error.code, f"{op}: {error}", ()


def unpack(layout: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    """Read a payload that is one record; raise BadLength."""
    if len(payload) != layout.size:
        raise BadLength(f"{len(payload)} bytes, where there should be {layout.size}")
    return layout.unpack(payload)


def whole(payload: bytes, size: int) -> bytes:
    """Return records, if they are whole ones of this size; raise BadLength."""
    if len(payload) % size:
        raise BadLength(f"{len(payload)} bytes are no whole records of {size}")
    return payload


class Sizes(NamedTuple):
    """Of records that differ in length: a head, in which two bytes count the members."""

    head: int
    count_at: int
    member: int


def whole_of(payload: bytes, sizes: Sizes) -> bytes:
    """Return records, if they are whole ones of these sizes; raise BadLength."""
    at = end = 0
    while end < len(payload):
        at, count_at = end, end + sizes.count_at
        n = int.from_bytes(payload[count_at : count_at + 2], "big")
        end = at + sizes.head + n * sizes.member
    if end > len(payload):
        have, need = len(payload) - at, end - at
        raise BadLength(f"a record of {have} bytes at byte {at}, which should have {need}")
    return payload


class Operation(NamedTuple, Generic[Run]):
    """An entry of a table of operations.

    *bulk* says that one request takes many items and answers for each of them, or pages; the first
    line of the docstring of *run* says what it does.
    """

    api: str  # such as l3/route
    verbs: tuple[Verb, ...]
    run: Run
