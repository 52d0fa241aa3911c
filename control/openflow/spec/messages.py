"""The messages (section 7): one class each, without the header."""

import enum

from ..codec import body, many, one, rest
from .actions import Action
from .families import (
    ACTIONS,
    BANDS,
    HELLO_ELEMENTS,
    INSTRUCTIONS,
    MESSAGES,
    REPLIES,
    REQUESTS,
    Item,
)
from .groups import Bucket
from .instructions import Instruction
from .match import MATCH, Match
from .meters import Band
from .multipart import Reply, Request
from .ports import Port
from .queues import Queue

NO_BUFFER = 0xFFFFFFFF


class MessageType(enum.IntEnum):
    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    EXPERIMENTER = 4
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    GET_CONFIG_REQUEST = 7
    GET_CONFIG_REPLY = 8
    SET_CONFIG = 9
    PACKET_IN = 10
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    PACKET_OUT = 13
    FLOW_MOD = 14
    GROUP_MOD = 15
    PORT_MOD = 16
    TABLE_MOD = 17
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    QUEUE_GET_CONFIG_REQUEST = 22
    QUEUE_GET_CONFIG_REPLY = 23
    ROLE_REQUEST = 24
    ROLE_REPLY = 25
    GET_ASYNC_REQUEST = 26
    GET_ASYNC_REPLY = 27
    SET_ASYNC = 28
    METER_MOD = 29


class PacketInReason(enum.IntEnum):
    NO_MATCH = 0
    ACTION = 1
    INVALID_TTL = 2


class Role(enum.IntEnum):
    NOCHANGE = 0
    EQUAL = 1
    MASTER = 2
    SLAVE = 3


class Capability(enum.IntFlag):
    FLOW_STATS = 1 << 0
    TABLE_STATS = 1 << 1
    PORT_STATS = 1 << 2
    GROUP_STATS = 1 << 3
    IP_REASM = 1 << 5
    QUEUE_STATS = 1 << 6
    PORT_BLOCKED = 1 << 8


class Message(Item, frozen=True):
    """A message without its header."""


@HELLO_ELEMENTS.row(1, rest())
class VersionBitmap(Item, frozen=True):
    """Versions that the sender speaks: bit n of the first word is version n."""

    bitmap: bytes


@HELLO_ELEMENTS.row(None, rest())
class UnknownHelloElement(Item, frozen=True):
    """An element that 1.3 does not know; to be ignored."""

    type: int
    data: bytes = b""


@MESSAGES.row(0, many(HELLO_ELEMENTS))
class Hello(Message, frozen=True):
    """The first message of both sides."""

    elements: tuple[VersionBitmap | UnknownHelloElement, ...] = ()


@MESSAGES.row(1, "HH", rest())
class Error(Message, frozen=True):
    """What was wrong with a message, and its first bytes.

    Where *type* is 0xffff, *code* and the first four bytes of *data* are an
    experimenter's.
    """

    type: int
    code: int
    data: bytes = b""


@MESSAGES.row(2, rest())
class EchoRequest(Message, frozen=True):
    """Are you there?"""

    data: bytes = b""


@MESSAGES.row(3, rest())
class EchoReply(Message, frozen=True):
    """I am."""

    data: bytes = b""


@MESSAGES.row(4, "II", rest())
class Experimenter(Message, frozen=True):
    """What *experimenter* has defined."""

    experimenter: int
    exp_type: int
    data: bytes = b""


@MESSAGES.row(5)
class FeaturesRequest(Message, frozen=True):
    """Which datapath are you?"""


@MESSAGES.row(6, "QIBB2xII")
class FeaturesReply(Message, frozen=True):
    """Which datapath the switch is, and what it can do."""

    datapath_id: int
    n_buffers: int = 0
    n_tables: int = 0
    auxiliary_id: int = 0
    capabilities: int = 0
    reserved: int = 0


@MESSAGES.row(7)
class GetConfigRequest(Message, frozen=True):
    """How are you set?"""


@MESSAGES.row(8, "HH")
class GetConfigReply(Message, frozen=True):
    """How the switch is set."""

    flags: int = 0
    miss_send_len: int = 128


@MESSAGES.row(9, "HH")
class SetConfig(Message, frozen=True):
    """Be set like this."""

    flags: int = 0
    miss_send_len: int = 128


@MESSAGES.row(10, "IHBBQ", MATCH, "2x", rest())
class PacketIn(Message, frozen=True):
    """A packet for the controller."""

    buffer_id: int = NO_BUFFER
    total_len: int = 0
    reason: int = 0
    table_id: int = 0
    cookie: int = 0
    match: Match = ()
    data: bytes = b""


@MESSAGES.row(11, "QHBBIIHHQQ", MATCH)
class FlowRemoved(Message, frozen=True):
    """A flow entry is gone."""

    cookie: int = 0
    priority: int = 0
    reason: int = 0
    table_id: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    packet_count: int = 0
    byte_count: int = 0
    match: Match = ()


@MESSAGES.row(12, "B7x", one(Port))
class PortStatus(Message, frozen=True):
    """A port has come, gone or changed."""

    reason: int
    desc: Port


@MESSAGES.row(13, "IIN6x", many(ACTIONS), rest())
class PacketOut(Message, frozen=True):
    """Send this packet."""

    buffer_id: int = NO_BUFFER
    in_port: int = 0xFFFFFFFD
    actions: tuple[Action, ...] = ()
    data: bytes = b""


@MESSAGES.row(14, "QQBBHHHIIIH2x", MATCH, many(INSTRUCTIONS))
class FlowMod(Message, frozen=True):
    """Add, change or remove flow entries."""

    cookie: int = 0
    cookie_mask: int = 0
    table_id: int = 0
    command: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    priority: int = 0x8000
    buffer_id: int = NO_BUFFER
    out_port: int = 0xFFFFFFFF
    out_group: int = 0xFFFFFFFF
    flags: int = 0
    match: Match = ()
    instructions: tuple[Instruction, ...] = ()


@MESSAGES.row(15, "HBxI", many(Bucket))
class GroupMod(Message, frozen=True):
    """Add, change or remove groups."""

    command: int
    type: int
    group_id: int
    buckets: tuple[Bucket, ...] = ()


@MESSAGES.row(16, "I4x6s2xIII4x")
class PortMod(Message, frozen=True):
    """Change how a port behaves."""

    port_no: int
    hw_addr: bytes
    config: int = 0
    mask: int = 0
    advertise: int = 0


@MESSAGES.row(17, "B3xI")
class TableMod(Message, frozen=True):
    """Change how a table behaves (nothing that 1.3 defines)."""

    table_id: int
    config: int = 0


@MESSAGES.row(18, "TH4x", body(REQUESTS))
class MultipartRequest(Message, frozen=True):
    """Ask for something that may be long."""

    flags: int
    body: Request


@MESSAGES.row(19, "TH4x", body(REPLIES))
class MultipartReply(Message, frozen=True):
    """A part of something that may be long."""

    flags: int
    body: Reply


@MESSAGES.row(20)
class BarrierRequest(Message, frozen=True):
    """Finish everything before this."""


@MESSAGES.row(21)
class BarrierReply(Message, frozen=True):
    """It is finished."""


@MESSAGES.row(22, "I4x")
class QueueGetConfigRequest(Message, frozen=True):
    """Which queues has this port?"""

    port: int


@MESSAGES.row(23, "I4x", many(Queue))
class QueueGetConfigReply(Message, frozen=True):
    """The queues of a port."""

    port: int
    queues: tuple[Queue, ...] = ()


@MESSAGES.row(24, "I4xQ")
class RoleRequest(Message, frozen=True):
    """Let me be master, slave or equal."""

    role: int
    generation_id: int = 0


@MESSAGES.row(25, "I4xQ")
class RoleReply(Message, frozen=True):
    """What the controller now is."""

    role: int
    generation_id: int = 0


@MESSAGES.row(26)
class GetAsyncRequest(Message, frozen=True):
    """What do you send me unasked?"""


@MESSAGES.row(27, "IIIIII")
class GetAsyncReply(Message, frozen=True):
    """Bits by reason: what is sent to a master or equal, and to a slave."""

    packet_in_master: int
    packet_in_slave: int
    port_status_master: int
    port_status_slave: int
    flow_removed_master: int
    flow_removed_slave: int


@MESSAGES.row(28, "IIIIII")
class SetAsync(Message, frozen=True):
    """Bits by reason: what to send to a master or equal, and to a slave."""

    packet_in_master: int
    packet_in_slave: int
    port_status_master: int
    port_status_slave: int
    flow_removed_master: int
    flow_removed_slave: int


@MESSAGES.row(29, "HHI", many(BANDS))
class MeterMod(Message, frozen=True):
    """Add, change or remove meters."""

    command: int
    flags: int
    meter_id: int
    bands: tuple[Band, ...] = ()
