"""One controller's conversation with one bridge, without I/O.

    session.receive(data, now)          # bytes from the controller
    session.tick(now)                   # when session.deadline passes
    session.push(kind, data, backlog)   # asynchronous messages of the dataplane
    for ticket, ask in session.asks():  # requests to the dataplane, in this order ...
        session.answer(ticket, answer)  # ... and what came of them, in any order
    sock.write(session.to_send())       # after any of the above

Replies leave in the order of the requests.  Messages that go straight to the
dataplane are collected into one request for as long as nobody asks for it, and
cost Python nothing per message.  A barrier is a request of its own: the
dataplane answers it when everything before is in force.

What the specification asks for and is not there gets its error; so does what
the dataplane cannot be asked because it is away (see answers.py).
"""

import itertools
import struct
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from . import answers, bundles, framing
from .answers import Answer, Ask, code_of
from .bundles import ADD, CONTROL, ONF, Bundle, Bundles
from .connection import Connection, Down, Event, Message, Run, State, Up, group
from .errors import RemoteError
from .roles import ASYNCHRONOUS, DEFAULT_ASYNC, UNDEFINED, Roles
from .spec import VERSION, MessageType, pack, pack_part, unpack
from .spec.errors import BadRequest, SwitchConfigFailed, reason
from .spec.messages import (
    BarrierReply,
    Experimenter,
    FeaturesReply,
    GetAsyncReply,
    MultipartReply,
    Role,
    RoleReply,
    SetAsync,
)
from .spec.multipart import MORE, DescReply, MultipartType, TableFeaturesRequest
from .spec.templates import RAICHO
from .v10 import Translator

#: Types that go to the dataplane as they are; all of them change the switch.
APPLIED = (
    MessageType.PACKET_OUT,
    MessageType.FLOW_MOD,
    MessageType.GROUP_MOD,
    MessageType.PORT_MOD,
    MessageType.TABLE_MOD,
    MessageType.METER_MOD,
)
GROUPABLE = group(APPLIED)

VERSIONS = (1, VERSION)  # that controllers may speak

MAX_ASKED = 256  # requests without an answer before the controller is no longer read
MAX_ASKED_BYTES = 1 << 20
MAX_COLLECTED = 1 << 20  # bytes in one request of applied messages
MAX_PARTS = 1 << 20  # bytes of unfinished multipart requests: the features of all tables, twice
PACKET_IN_BACKLOG = 1 << 20  # unsent bytes above which packet-ins are dropped
MAX_BACKLOG = 16 << 20  # unsent bytes above which the controller is given up
FRAGMENT_FLAGS = 3
HEADER, PART_HEADER = 8, 16
AUXILIARY_ID = 13  # where the body of a features reply has it
COMMAND, MODIFY = 25, (1, 2)  # where a flow-mod has it; those that add in 1.0 what is not there


IS_SLAVE = code_of(reason(BadRequest.IS_SLAVE))
BAD_TYPE = code_of(reason(BadRequest.BAD_TYPE))


class Description(msgspec.Struct, frozen=True):
    """What a switch says about itself."""

    manufacturer: str = "raicho"
    hardware: str = "Linux"
    software: str = "raicho"
    serial: str = ""
    datapath: str = ""


class Shared:
    """What the sessions of one bridge have in common."""

    def __init__(self, description: Description | None = None) -> None:
        self.description = description or Description()
        self.roles = Roles()
        self.features: bytes | None = None  # the last that the dataplane said, as a body


class _Slot:
    """A place in the order of replies."""

    __slots__ = ("finish", "op", "output", "payloads", "size", "ticket")

    def __init__(self, ticket: int, op: str, payload: bytes, finish: Callable[..., bytes]) -> None:
        self.ticket = ticket
        self.op = op
        self.payloads = [payload]
        self.size = len(payload)
        self.finish = finish
        self.output: bytes | None = None


class Session:
    """A connection, and what its controller may do and wants to hear."""

    def __init__(
        self,
        shared: Shared,
        now: float,
        *,
        main: "Session | None" = None,
        auxiliary_id: int = 0,
        **connection: Any,
    ) -> None:
        """Begin a conversation; an auxiliary one shares the role and the wishes of *main*."""
        self.auxiliary_id = auxiliary_id
        self._main = main
        self._own_role = Role.EQUAL
        self._wants = DEFAULT_ASYNC
        self.up = False
        self.closed: str | None = None  # why, once it is
        self.counters: Counter[str] = Counter()
        self._shared = shared
        settled = {"versions": VERSIONS, "groupable": GROUPABLE, **connection}
        self._connection = Connection(now, **settled)
        self._tickets = itertools.count()
        self._slots: deque[_Slot] = deque()  # in the order of requests
        self._unasked: deque[_Slot] = deque()
        self._by_ticket: dict[int, _Slot] = {}
        self._asked_bytes = 0
        self._parts: dict[int, tuple[int, bytes]] = {}  # xid -> type, body so far
        self._bundles = Bundles()
        self._old: Translator | None = None  # for a controller that speaks 1.0

    @property
    def role(self) -> Role:
        """What the controller is, on all its connections."""
        return self._main.role if self._main else self._own_role

    @role.setter
    def role(self, role: Role) -> None:
        self._own_role = role

    @property
    def wants(self) -> SetAsync:
        """What it wants to hear; on its main connection only."""
        return self._main.wants if self._main else self._wants

    def is_auxiliary_of(self, other: "Session") -> bool:
        """Return whether this is a further connection of the controller of *other*."""
        return self._main is other

    @property
    def deadline(self) -> float:
        """When to call tick()."""
        return self._connection.deadline

    @property
    def version(self) -> int:
        """The version that is spoken."""
        return self._connection.version

    @property
    def busy(self) -> bool:
        """Whether the controller should not be read for now."""
        return len(self._slots) > MAX_ASKED or self._asked_bytes > MAX_ASKED_BYTES

    def to_send(self) -> bytes:
        """Return, and forget, the bytes that wait for the socket."""
        return self._connection.to_send()

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the controller."""
        self._handle(self._connection.receive(data, now))

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._handle(self._connection.tick(now))

    def close(self, why: str) -> None:
        """End the conversation from our side."""
        self._handle(self._connection.close(why))

    def asks(self) -> list[tuple[int, Ask]]:
        """Return, and forget, the requests for the dataplane; they must be sent in this order."""
        taken = [(slot.ticket, Ask(slot.op, b"".join(slot.payloads))) for slot in self._unasked]
        self._unasked.clear()
        return taken

    def answer(self, ticket: int, answer: Answer) -> None:
        """Take the answer to a request; replies that are now due wait for the socket."""
        slot = self._by_ticket.pop(ticket, None)
        if slot is None or self.closed is not None:
            return
        slot.output = slot.finish(slot.payloads, answer)
        self._asked_bytes -= slot.size
        self._emit()

    def push(self, kind: str, data: bytes, backlog: int = 0) -> None:
        """Send asynchronous messages that the controller wants; *backlog* is what it left unread.

        Packet-ins are dropped above PACKET_IN_BACKLOG; above MAX_BACKLOG the
        controller does not read at all, and is given up.
        """
        if not self.up or self.closed is not None or self._main:
            return
        row = ASYNCHRONOUS[kind]
        wanted, count = framing.select(
            data, row.kind, row.reason_at, row.mask(self.wants, self.role)
        )
        if backlog > MAX_BACKLOG:
            self.close(f"the controller leaves {backlog} bytes unread")
        elif backlog > PACKET_IN_BACKLOG and kind == "packet_in":
            self.counters["packet_in_dropped"] += count
        elif count:
            self.counters[kind] += count
            self._send(wanted)

    # From the controller.

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Run):
                self.counters["applied"] += event.messages
                self._apply(event.data)
            elif isinstance(event, Message):
                self.counters["messages"] += 1
                self._take(event)
            elif isinstance(event, Up):
                self.up = True
                self._old = None if event.version == VERSION else Translator()
            else:
                self._down(event)

    def _down(self, event: Down) -> None:
        self.closed = event.reason
        self._shared.roles.forget(self)
        for queue in (self._slots, self._unasked, self._by_ticket, self._parts, self._bundles):
            queue.clear()

    def _apply(self, data: bytes) -> None:
        if self.role is Role.SLAVE:
            self._reply(framing.failures(data, b"", IS_SLAVE))
            return
        last = self._unasked[-1] if self._unasked else None
        if last and last is self._slots[-1] and last.op == "apply" and last.size < MAX_COLLECTED:
            last.payloads.append(data)
            last.size += len(data)
            self._asked_bytes += len(data)
        else:
            self._ask("apply", data, answers.applied)

    def _take(self, message: Message) -> None:
        """Take a message of any version that is spoken."""
        if self._old is None or message.kind == MessageType.ERROR:
            self._message(message)
            return
        try:
            translated = self._old.request(message.data)
        except RemoteError as error:
            self._fail(message.data, code_of(error.reason))
            return
        for data in translated:
            if data[1] == MessageType.FLOW_MOD and data[COMMAND] in MODIFY:
                self._ask("modify", data, answers.applied)
            elif data[1] in APPLIED:
                self._apply(data)
            else:
                self._message(Message(data[1], message.xid, data))

    def _send(self, data: bytes) -> None:
        self._connection.send(data if self._old is None else self._old.replies(data))

    def _message(self, message: Message) -> None:
        handler = HANDLERS.get(message.kind)
        if handler is None:
            self._fail(message.data, BAD_TYPE)
            return
        try:
            body, _ = unpack(message.data)
            handler(self, message, body)
        except RemoteError as error:
            self._fail(message.data, code_of(error.reason))

    def _reply(self, data: bytes) -> None:
        """Send *data* once everything asked before it is answered."""
        if not self._slots:
            self._send(data)
        else:
            slot = _Slot(next(self._tickets), "", b"", answers.nothing)
            slot.output = data
            self._slots.append(slot)

    def _fail(self, data: bytes, code: int) -> None:
        """Answer a message with an error; an error is never answered."""
        if data[1] != MessageType.ERROR:
            self.counters["errors"] += 1
            self._reply(answers.failed(data, code))

    def _ask(self, op: str, payload: bytes, finish: Callable[..., bytes]) -> None:
        slot = _Slot(next(self._tickets), op, payload, finish)
        self._slots.append(slot)
        self._unasked.append(slot)
        self._by_ticket[slot.ticket] = slot
        self._asked_bytes += slot.size

    def _emit(self) -> None:
        """Send what is finished, up to the first that is not."""
        while self._slots and self._slots[0].output is not None:
            output = self._slots.popleft().output
            if output and self._connection.state is not State.CLOSED:
                self._send(output)

    # One method for each type that is not applied as it is.

    def _error(self, message: Message, body: Any) -> None:
        self.counters["errors_received"] += 1

    def _experimenter(self, message: Message, body: Any) -> None:
        if body.experimenter == RAICHO:
            self._apply(message.data)
            return
        if body.experimenter != ONF:
            text = f"experimenter {body.experimenter:#x}"
            raise RemoteError(text, reason(BadRequest.BAD_EXPERIMENTER), HEADER)
        if body.exp_type not in (CONTROL, ADD):
            text = f"experimenter's type {body.exp_type}"
            raise RemoteError(text, reason(BadRequest.BAD_EXP_TYPE), HEADER)
        self._refuse_slave()
        if body.exp_type == ADD:
            self._bundles.add(body.data, message.xid)
            return
        request, bundle = self._bundles.control(body.data)
        done = pack(Experimenter(ONF, CONTROL, bundles.reply(request)), message.xid)
        if bundle is None:
            self._reply(done)
        else:
            self._commit(message, bundle, done)

    def _commit(self, message: Message, bundle: Bundle, done: bytes) -> None:
        payload = b"".join((bundle.flags.to_bytes(4, "big"), *bundle.messages))
        self.counters["bundles"] += 1
        self._ask("bundle", payload, partial(answers.bundled, message, bundle.messages, done))

    def _features(self, message: Message, body: Any) -> None:
        self._ask("features", b"", partial(self._featured, message))

    def _featured(self, message: Message, payloads: list[bytes], answer: Answer) -> bytes:
        if answer.code == framing.DONE and answer.frames:
            known = msgspec.msgpack.decode(answer.frames[0])
            names = FeaturesReply.__struct_fields__
            reply = FeaturesReply(**{name: known[name] for name in names if name in known})
            self._shared.features = pack_part(reply)
        if self._shared.features is None:
            return framing.failures(message.data, b"", answers.failure_of(answer))
        body = bytearray(self._shared.features)
        body[AUXILIARY_ID] = self.auxiliary_id
        return answers.frame(MessageType.FEATURES_REPLY, message.xid, bytes(body))

    def _get_config(self, message: Message, body: Any) -> None:
        self._ask(
            "get_config", b"", partial(answers.forward, message, MessageType.GET_CONFIG_REPLY)
        )

    def _set_config(self, message: Message, body: Any) -> None:
        if body.flags & ~FRAGMENT_FLAGS:
            text = f"flags {body.flags:#x}"
            raise RemoteError(text, reason(SwitchConfigFailed.BAD_FLAGS), HEADER)
        self._refuse_slave()
        self._ask("config", pack_part(body), partial(answers.silent, message))

    def _barrier(self, message: Message, body: Any) -> None:
        done = pack(BarrierReply(), message.xid)
        self._ask("barrier", b"", partial(answers.silent, message, done=done))

    def _queue_config(self, message: Message, body: Any) -> None:
        head = pack_part(body)
        self._ask(
            "queue_config",
            head,
            partial(answers.forward, message, MessageType.QUEUE_GET_CONFIG_REPLY, head=head),
        )

    def _role(self, message: Message, body: Any) -> None:
        roles = self._shared.roles
        role = roles.request(self._main or self, body.role, body.generation_id)
        generation = UNDEFINED if roles.generation is None else roles.generation
        self._reply(pack(RoleReply(role, generation), message.xid))

    def _get_async(self, message: Message, body: Any) -> None:
        reply = GetAsyncReply(*msgspec.structs.astuple(self.wants))
        self._reply(pack(reply, message.xid))

    def _set_async(self, message: Message, body: Any) -> None:
        (self._main or self)._wants = body

    def _multipart(self, message: Message, body: Any) -> None:
        kind: int = body.body.layout.code
        if isinstance(body.body, TableFeaturesRequest) and body.body.tables:
            self._refuse_slave()
        whole = self._collect(message, kind, bool(body.flags & MORE))
        if whole is None:
            return
        if kind == MultipartType.DESC:
            reply = MultipartReply(0, self._desc())
            self._reply(pack(reply, message.xid))
            return
        payload = struct.pack("!HH", kind, 0) + whole
        self._ask("multipart", payload, partial(answers.multiparted, message, kind))

    def _collect(self, message: Message, kind: int, more: bool) -> bytes | None:
        """Put the parts of a multipart request together; return it when it is complete."""
        body = message.data[PART_HEADER:]
        if not more and message.xid not in self._parts:
            return body
        first, before = self._parts.pop(message.xid, (kind, b""))
        waiting = sum(len(part) for _, part in self._parts.values()) + 64 * len(self._parts)
        if first != kind:
            raise RemoteError("parts of two types", reason(BadRequest.BAD_MULTIPART), HEADER)
        if waiting + len(before) + len(body) > MAX_PARTS:
            raise RemoteError("too many parts", reason(BadRequest.MULTIPART_BUFFER_OVERFLOW))
        if not more:
            return before + body
        self._parts[message.xid] = kind, before + body
        return None

    def _desc(self) -> DescReply:
        known = self._shared.description
        return DescReply(
            answers.shortened(known.manufacturer, 256),
            answers.shortened(known.hardware, 256),
            answers.shortened(known.software, 256),
            answers.shortened(known.serial, 32),
            answers.shortened(known.datapath, 256),
        )

    def _refuse_slave(self) -> None:
        if self.role is Role.SLAVE:
            raise RemoteError("a slave may not do this", reason(BadRequest.IS_SLAVE))


#: What is done with each type that a controller may send and that is not applied.
HANDLERS: dict[int, Callable[[Session, Message, Any], None]] = {
    MessageType.ERROR: Session._error,
    MessageType.EXPERIMENTER: Session._experimenter,
    MessageType.FEATURES_REQUEST: Session._features,
    MessageType.GET_CONFIG_REQUEST: Session._get_config,
    MessageType.SET_CONFIG: Session._set_config,
    MessageType.MULTIPART_REQUEST: Session._multipart,
    MessageType.BARRIER_REQUEST: Session._barrier,
    MessageType.QUEUE_GET_CONFIG_REQUEST: Session._queue_config,
    MessageType.ROLE_REQUEST: Session._role,
    MessageType.GET_ASYNC_REQUEST: Session._get_async,
    MessageType.SET_ASYNC: Session._set_async,
}
