"""The agent's own copy of what controllers have set in a bridge.

A replica is what the dataplane said that it holds (Copy), and the requests that
changed it since then.  When the dataplane was started again, steps() are the
requests that set all of it anew.  Without I/O: times come in.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from . import framing
from .answers import Answer, Ask
from .spec import MessageType, pack_part, templates
from .spec.multipart import FlowRequest, MeterConfigRequest, MultipartType

PERIOD = 5.0  # seconds from one copy to the next while there are changes
LONG_PERIOD = 60.0  # and without: flows come and go by themselves too
SHARE = 100  # of the time may be spent on copies, at most one part
MAX_JOURNAL = 32 << 20  # bytes of changes that are kept
CHUNK = 1 << 20  # bytes in one request, about
BUNDLE_HEADER = 4
PORT, PORT_CONFIG_AT = 64, 32  # struct ofp_port
PORT_BITS = 1 | 4 | 32 | 64  # of its config that a controller may set


def _multipart(kind: int, body: bytes = b"") -> Ask:
    return Ask("multipart", struct.pack("!HH", kind, 0) + body)


#: What makes a copy; asked at once, so that it is of one moment.
QUESTIONS = (
    _multipart(MultipartType.METER_CONFIG, pack_part(MeterConfigRequest())),
    _multipart(MultipartType.GROUP_DESC),
    _multipart(MultipartType.FLOW, pack_part(FlowRequest())),
    _multipart(MultipartType.PORT_DESC),
    _multipart(MultipartType.EXPERIMENTER, pack_part(templates.request())),
    Ask("get_config", b""),
)


class Copy(NamedTuple):
    """The answers to QUESTIONS, and when they came."""

    time: float
    meters: tuple[bytes, ...]
    groups: tuple[bytes, ...]
    flows: tuple[bytes, ...]
    ports: tuple[bytes, ...]
    templates: tuple[bytes, ...]
    config: tuple[bytes, ...]

    @property
    def is_complete(self) -> bool:
        """Whether it says everything; of entries that use templates it says what they do."""
        return not any(len(part) > len(NO_TEMPLATES) for part in self.templates)


NO_TEMPLATES = pack_part(templates.TemplatesReply())


class Replica:
    """A copy and a journal.  The journal is in the order in which the dataplane gets it."""

    def __init__(self) -> None:
        self.copy: Copy | None = None
        self._journal: dict[int, Ask] = {}  # by number, which grows
        self._number = 0  # of the next
        self._size = 0
        self._cleared = 0  # all before this one were forgotten
        self._due = -math.inf  # when the next copy is worth it, if there are changes
        self._due_anyway = -math.inf

    def note(self, ask: Ask) -> int:
        """Note a request that is about to be sent; return its number."""
        if ask.op in LASTING:
            self._journal[self._number] = ask
            self._size += len(ask.payload)
            if self._size > MAX_JOURNAL:
                self.clear()
        self._number += 1
        return self._number - 1

    def forget(self, number: int) -> None:
        """Forget a request that was not carried out."""
        if ask := self._journal.pop(number, None):
            self._size -= len(ask.payload)

    def clear(self) -> None:
        """Know nothing until the next copy."""
        self.copy = None
        self._journal.clear()
        self._size = 0
        self._cleared = self._number

    def is_worn(self, now: float) -> bool:
        """Whether it is time for a copy."""
        return self.copy is None or now >= (self._due if self._journal else self._due_anyway)

    def mark(self) -> int:
        """Return the place in the journal where a copy begins."""
        return self._number

    def take(self, mark: int, answers: Sequence[Answer], began: float, now: float) -> bool:
        """Take the copy that was begun at *mark*; return whether it is one."""
        if mark < self._cleared or any(answer.code != framing.DONE for answer in answers):
            return False
        self.copy = Copy(began, *(answer.frames for answer in answers))
        for number in [number for number in self._journal if number < mark]:
            self.forget(number)
        pause = SHARE * (now - began)
        self._due, self._due_anyway = now + max(PERIOD, pause), now + max(LONG_PERIOD, pause)
        return True

    def steps(self, now: float) -> Iterator[list[bytes]]:
        """Yield messages for the dataplane; those of a step may go at once."""
        if copy := self.copy:
            yield [framing.mods(part, MessageType.METER_MOD) for part in copy.meters]
            yield [framing.mods(part, MessageType.GROUP_MOD) for part in copy.groups]
            elapsed = math.ceil(now - copy.time)
            yield [framing.flow_mods(part, elapsed) for part in copy.flows]
            yield [_port_mods(part) for part in copy.ports]

    def journal(self) -> Iterator[Ask]:
        """Yield what is to be asked again, in order."""
        if self.copy and self.copy.config:
            yield Ask("config", self.copy.config[0])
        for ask in self._journal.values():
            yield Ask(ask.op, LASTING[ask.op](ask.payload))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the copy and of the journal."""
        parts = self.copy[1:] if self.copy else ()
        return {"copy": sum(len(p) for part in parts for p in part), "journal": self._size}


def _bundle(payload: bytes) -> bytes:
    return payload[:BUNDLE_HEADER] + framing.lasting(payload[BUNDLE_HEADER:])


def _port_mods(ports: bytes) -> bytes:
    """Return the port-mods for ports whose configuration is not the usual one."""
    found = []
    for at in range(0, len(ports), PORT):
        (config,) = struct.unpack_from("!I", ports, at + PORT_CONFIG_AT)
        if config & PORT_BITS:
            head = struct.pack("!BBHI", 4, MessageType.PORT_MOD, 40, 0)
            bits = struct.pack("!III4x", config & PORT_BITS, PORT_BITS, 0)
            found.append(head + ports[at : at + 16] + bits)
    return b"".join(found)


#: Requests that change what lasts, and what of them does.
LASTING: dict[str, Callable[[bytes], bytes]] = {
    "apply": framing.lasting,
    "modify": bytes,
    "bundle": _bundle,
    "config": bytes,
}
