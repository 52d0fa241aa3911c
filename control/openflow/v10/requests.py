"""What a 1.0 controller says, as messages of 1.3: one function for each type."""

import struct
from collections.abc import Callable

from ..errors import RemoteError
from ..spec import multipart as mp
from ..spec.errors import BadAction, BadRequest, FlowModFailed, reason
from ..spec.flows import FlowCommand
from ..spec.instructions import ApplyActions
from ..spec.messages import (
    BarrierRequest,
    FeaturesRequest,
    FlowMod,
    GetConfigRequest,
    Message,
    MultipartRequest,
    PacketOut,
    PortMod,
    QueueGetConfigRequest,
    SetConfig,
)
from ..spec.ports import PortNo
from .actions import unpack_actions
from .match import SIZE, unpack_match
from .ports import NONE, STP, number_of

ALL_TABLES = 0xFF
EMERGENCY, KNOWN_FLAGS = 4, 7
BAD_LEN = reason(BadRequest.BAD_LEN)

Reader = Callable[[bytes], tuple[Message, ...]]


def _exactly(size: int, data: bytes) -> None:
    if len(data) != size:
        raise RemoteError(f"a body of {len(data)} bytes, not {size}", BAD_LEN)


def _at_least(size: int, data: bytes) -> None:
    if len(data) < size:
        raise RemoteError(f"a body of {len(data)} bytes, less than {size}", BAD_LEN)


def _plain(message: Message) -> Reader:
    def read(data: bytes) -> tuple[Message, ...]:
        _exactly(0, data)
        return (message,)

    return read


def _features(data: bytes) -> tuple[Message, ...]:
    """Ask for the ports too: in 1.0 they are in the reply."""
    return FeaturesRequest(), MultipartRequest(0, mp.PortDescRequest())


def _set_config(data: bytes) -> tuple[Message, ...]:
    _exactly(4, data)
    return (SetConfig(*struct.unpack("!HH", data)),)


def _packet_out(data: bytes) -> tuple[Message, ...]:
    _at_least(8, data)
    buffer_id, port, size = struct.unpack_from("!IHH", data)
    if size > len(data) - 8:
        raise RemoteError(f"actions of {size} bytes", reason(BadAction.BAD_LEN))
    actions = unpack_actions(data[8 : 8 + size], ())
    in_port = PortNo.CONTROLLER if port == NONE else number_of(port)
    return (PacketOut(buffer_id, in_port, actions, data[8 + size :]),)


def _flow_mod(data: bytes) -> tuple[Message, ...]:
    _at_least(SIZE + 24, data)
    match = unpack_match(data[:SIZE])
    (cookie, command, idle, hard, priority, buffer_id, out_port, flags) = struct.unpack_from(
        "!QHHHHIHH", data, SIZE
    )
    if flags & ~KNOWN_FLAGS:
        raise RemoteError(f"flags {flags:#x}", reason(FlowModFailed.BAD_FLAGS))
    if flags & EMERGENCY:
        raise RemoteError("no emergency flows", reason(FlowModFailed.TABLE_FULL))
    if command > FlowCommand.DELETE_STRICT:
        raise RemoteError(f"command {command}", reason(FlowModFailed.BAD_COMMAND))
    deletes = command >= FlowCommand.DELETE
    actions = () if deletes else unpack_actions(data[SIZE + 24 :], match)
    return (
        FlowMod(
            cookie=0 if deletes else cookie,
            table_id=ALL_TABLES if deletes else 0,
            command=command,
            idle_timeout=idle,
            hard_timeout=hard,
            priority=priority,
            buffer_id=buffer_id,
            out_port=number_of(out_port) if deletes else PortNo.ANY,
            flags=flags,
            match=match,
            instructions=(ApplyActions(actions),) if actions else (),
        ),
    )


def _port_mod(data: bytes) -> tuple[Message, ...]:
    _exactly(24, data)
    port, address, config, mask, _ = struct.unpack("!H6sIII4x", data)
    return (PortMod(number_of(port), address, config & ~STP, mask & ~STP),)


def _queue_config(data: bytes) -> tuple[Message, ...]:
    _exactly(4, data)
    return (QueueGetConfigRequest(number_of(int.from_bytes(data[:2], "big"))),)


def _vendor(data: bytes) -> tuple[Message, ...]:
    raise RemoteError("a vendor's message", reason(BadRequest.BAD_EXPERIMENTER))


# Statistics.


def _about_flows(kind: type[mp.FlowRequest | mp.AggregateRequest]) -> Callable[[bytes], mp.Request]:
    def read(data: bytes) -> mp.Request:
        _exactly(SIZE + 4, data)
        table, out_port = struct.unpack_from("!BxH", data, SIZE)
        return kind(table, number_of(out_port), match=unpack_match(data[:SIZE]))

    return read


def _about_nothing(request: mp.Request) -> Callable[[bytes], mp.Request]:
    def read(data: bytes) -> mp.Request:
        _exactly(0, data)
        return request

    return read


def _about_port(data: bytes) -> mp.Request:
    _exactly(8, data)
    return mp.PortStatsRequest(number_of(int.from_bytes(data[:2], "big")))


def _about_queue(data: bytes) -> mp.Request:
    _exactly(8, data)
    port, queue = struct.unpack("!H2xI", data)
    all_ports = port == number_of(0xFFFC) & 0xFFFF
    return mp.QueueStatsRequest(PortNo.ANY if all_ports else number_of(port), queue)


STATISTICS: dict[int, Callable[[bytes], mp.Request]] = {
    0: _about_nothing(mp.DescRequest()),
    1: _about_flows(mp.FlowRequest),
    2: _about_flows(mp.AggregateRequest),
    3: _about_nothing(mp.TableRequest()),
    4: _about_port,
    5: _about_queue,
    13: _about_nothing(mp.PortDescRequest()),
}


def _statistics(data: bytes) -> tuple[Message, ...]:
    _at_least(4, data)
    kind, _ = struct.unpack_from("!HH", data)
    if kind == 0xFFFF:
        return _vendor(data)
    if kind not in STATISTICS:
        raise RemoteError(f"statistics {kind}", reason(BadRequest.BAD_MULTIPART))
    return (MultipartRequest(0, STATISTICS[kind](data[4:])),)


#: By type in 1.0: what makes the messages of 1.3.
READERS: dict[int, Reader] = {
    4: _vendor,
    5: _features,
    7: _plain(GetConfigRequest()),
    9: _set_config,
    13: _packet_out,
    14: _flow_mod,
    15: _port_mod,
    16: _statistics,
    18: _plain(BarrierRequest()),
    20: _queue_config,
}
