"""What the switch says, as messages of 1.0: one function for each type of 1.3."""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..spec import messages as m
from ..spec import multipart as mp
from ..spec.match import Oxm
from ..spec.queues import MinRate
from .actions import pack_instructions
from .match import ALL, pack_match
from .ports import old_number, pack_port

VERSION = 1
HEADER = struct.Struct("!BBHI")
PART = 60000  # bytes of a part of statistics
MORE = 1
CAPABILITIES = 0x67  # bits that mean the same in both versions
ACTIONS = 0xFFF  # output to enqueue
NO_MATCH, DELETE = 0, 2  # reasons

Message = tuple[int, bytes]


def frame(kind: int, xid: int, body: bytes) -> bytes:
    """Return a whole message of 1.0."""
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), xid) + body


def features(reply: m.FeaturesReply, ports: bytes) -> Message:
    """Describe the switch, its ports included."""
    head = struct.pack(
        *("!QIB3xII", reply.datapath_id, reply.n_buffers, reply.n_tables),
        *(reply.capabilities & CAPABILITIES, ACTIONS),
    )
    return 6, head + ports


def _config(reply: m.GetConfigReply) -> Iterator[Message]:
    yield 8, struct.pack("!HH", reply.flags, reply.miss_send_len)


def _packet_in(message: m.PacketIn) -> Iterator[Message]:
    ports = (o.value for o in message.match if isinstance(o, Oxm) and o.name == "in_port")
    number = old_number(next(ports, 0))
    if number is not None:
        why = min(message.reason, 1)
        head = struct.pack("!IHHBx", message.buffer_id, message.total_len, number, why)
        yield 10, head + message.data


def _flow_removed(message: m.FlowRemoved) -> Iterator[Message]:
    yield (
        11,
        pack_match(message.match)
        + struct.pack(
            *("!QHBxIIH2xQQ", message.cookie, message.priority, min(message.reason, DELETE)),
            *(message.duration_sec, message.duration_nsec, message.idle_timeout),
            *(message.packet_count, message.byte_count),
        ),
    )


def _port_status(message: m.PortStatus) -> Iterator[Message]:
    if port := pack_port(message.desc):
        yield 12, struct.pack("!B7x", message.reason) + port


def _barrier(message: m.BarrierReply) -> Iterator[Message]:
    yield 19, b""


def _queues(message: m.QueueGetConfigReply) -> Iterator[Message]:
    number = old_number(message.port)
    body = b""
    for queue in message.queues:
        rates = [p.rate for p in queue.properties if isinstance(p, MinRate)]
        properties = b"".join(struct.pack("!HH4xH6x", 1, 16, rate) for rate in rates)
        body += struct.pack("!IH2x", queue.queue_id, 8 + len(properties)) + properties
    yield 21, struct.pack("!H6x", number or 0) + body


# Statistics: the entries of a reply, each in bytes.


def _desc(reply: mp.DescReply) -> Iterator[bytes]:
    texts = (reply.mfr_desc, reply.hw_desc, reply.sw_desc, reply.serial_num, reply.dp_desc)
    yield struct.pack("!256s256s256s32s256s", *(text.encode() for text in texts))


def _flows(reply: mp.FlowReply) -> Iterator[bytes]:
    for flow in reply.flows:
        actions = pack_instructions(flow.instructions)
        yield (
            struct.pack("!HBx", 88 + len(actions), flow.table_id)
            + pack_match(flow.match)
            + struct.pack(
                *("!IIHHH6xQQQ", flow.duration_sec, flow.duration_nsec, flow.priority),
                *(flow.idle_timeout, flow.hard_timeout, flow.cookie),
                *(flow.packet_count, flow.byte_count),
            )
            + actions
        )


def _aggregate(reply: mp.AggregateReply) -> Iterator[bytes]:
    yield struct.pack("!QQI4x", reply.packet_count, reply.byte_count, reply.flow_count)


def _tables(reply: mp.TableReply) -> Iterator[bytes]:
    for table in reply.tables:
        name = f"table{table.table_id}".encode()
        yield struct.pack(
            *("!B3x32sIIIQQ", table.table_id, name, ALL, 0x7FFFFFFF),
            *(table.active_count, table.lookup_count, table.matched_count),
        )


def _ports(reply: mp.PortStatsReply) -> Iterator[bytes]:
    for port in reply.ports:
        number = old_number(port.port_no)
        if number is not None:
            yield struct.pack(
                *("!H6xQQQQQQQQQQQQ", number, port.rx_packets, port.tx_packets),
                *(port.rx_bytes, port.tx_bytes, port.rx_dropped, port.tx_dropped),
                *(port.rx_errors, port.tx_errors, port.rx_frame_err, port.rx_over_err),
                *(port.rx_crc_err, port.collisions),
            )


def _queue_stats(reply: mp.QueueStatsReply) -> Iterator[bytes]:
    for queue in reply.queues:
        number = old_number(queue.port_no)
        if number is not None:
            counts = (queue.tx_bytes, queue.tx_packets, queue.tx_errors)
            yield struct.pack("!H2xIQQQ", number, queue.queue_id, *counts)


def _port_desc(reply: mp.PortDescReply) -> Iterator[bytes]:
    """Describe the ports as Open vSwitch does where there are more than fit the features."""
    yield from map(pack_port, reply.ports)


#: By class: the type of the statistics in 1.0, and what makes their entries.
ENTRIES: dict[type[mp.Reply], tuple[int, Callable[[Any], Iterator[bytes]]]] = {
    mp.DescReply: (0, _desc),
    mp.FlowReply: (1, _flows),
    mp.AggregateReply: (2, _aggregate),
    mp.TableReply: (3, _tables),
    mp.PortStatsReply: (4, _ports),
    mp.QueueStatsReply: (5, _queue_stats),
    mp.PortDescReply: (13, _port_desc),
}


def _statistics(message: m.MultipartReply) -> Iterator[Message]:
    """Cut the entries anew into parts: they are longer in 1.0."""
    kind, entries = ENTRIES[type(message.body)]
    parts = list(_parts(entries(message.body)))
    for i, part in enumerate(parts):
        more = message.flags & MORE or i < len(parts) - 1
        yield 17, struct.pack("!HH", kind, MORE if more else 0) + part


def _parts(entries: Iterable[bytes]) -> Iterator[bytes]:
    part = bytearray()
    for entry in entries:
        if len(part) + len(entry) > PART:
            yield bytes(part)
            part.clear()
        part += entry
    yield bytes(part)


#: By class in 1.3: what makes the messages of 1.0.
WRITERS: dict[type[m.Message], Callable[[Any], Iterator[Message]]] = {
    m.GetConfigReply: _config,
    m.PacketIn: _packet_in,
    m.FlowRemoved: _flow_removed,
    m.PortStatus: _port_status,
    m.BarrierReply: _barrier,
    m.QueueGetConfigReply: _queues,
    m.MultipartReply: _statistics,
}
