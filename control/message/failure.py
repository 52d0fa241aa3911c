"""How a component says no: a code for programs, a reason for people."""

import enum

import msgspec

from .envelope import Message


class Code(enum.StrEnum):
    """The kinds of failure that a caller can tell apart."""

    INVALID = "INVALID"  # the request itself, or a value in it, is wrong
    CONFLICT = "CONFLICT"  # somebody else changed the same thing first
    NOT_FOUND = "NOT_FOUND"  # the thing that was named does not exist
    REFUSED = "REFUSED"  # well formed, and this component will not do it
    TIMEOUT = "TIMEOUT"  # no answer in time; it may or may not have happened
    UNAVAILABLE = "UNAVAILABLE"  # not now: starting, stopping, full or away
    UNSUPPORTED = "UNSUPPORTED"  # this version does not know the request
    INTERNAL = "INTERNAL"  # a defect of the component that answers


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """One thing that is wrong: where, which rule it breaks, and what would be right."""

    path: str
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Failure(Message, frozen=True):
    """The reply to a request that was not carried out.

    Where the schema forbids something, *faults* are all that it forbids;
    *path* is that of the first, and *reason* tells them all.
    """

    code: Code
    reason: str
    path: str | None = None  # where in the configuration
    participant: str | None = None  # who refused, when it was not the one asked
    faults: list[Fault] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        who = f" ({self.participant})" if self.participant else ""
        return f"{where}{self.reason}{who}"


class CallError(Exception):
    """A request that failed; *failure* says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class ConfigError(CallError):
    """A configuration that a participant cannot take, with the path of the fault."""

    def __init__(self, path: str, reason: str, code: Code = Code.INVALID) -> None:
        super().__init__(Failure(code, reason, path))
