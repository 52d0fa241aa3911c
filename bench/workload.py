"""Rules and the packets that meet them, from a seed: what every pipeline benchmark runs on.

A workload is a value: flows as concatenated OpenFlow messages, frames as one array of equal
rows. The same seed gives the same bytes on every machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import openflow as of
from .openflow import Bytes

Numbers = NDArray[np.uint64]

FRAME_SIZE = 60  # 64 on the wire, with the checksum that the device adds
IN_PORT, OUT_PORT = 1, 2
IPV4, UDP = 0x0800, 17
PREFIX_LENGTHS = (8, 12, 16, 20, 24, 28, 32)  # squared: the 49 masks
ROUTER = 0x020000000001
VLAN, VID_PRESENT = 100, 0x1000  # OFPVID_PRESENT
FORWARD = of.apply(of.output(OUT_PORT))

# Where a field stands in a frame: offset, size.
ETH_DST, ETH_SRC, IP_SRC, IP_DST = (0, 6), (6, 6), (26, 4), (30, 4)
UDP_SRC, UDP_DST = (34, 2), (36, 2)


@dataclass(frozen=True, slots=True)
class Workload:
    """Flows to write first, frames to send, and flow-mods to go on writing meanwhile."""

    name: str
    rules: bytes
    n_rules: int
    frames: Bytes  # one row each
    churn: tuple[bytes, ...] = ()  # messages to write one after the other, again and again
    once: bool = False  # every packet is to be new to whom it meets
    floor: bool = False  # the plain C pipeline does the same work


@dataclass(frozen=True, slots=True)
class Flows:
    """The header values of many flows, by column."""

    src: Numbers
    dst: Numbers
    sport: Numbers
    dport: Numbers


def _frame_template(tag: bytes) -> bytes:
    """A 60-byte UDP frame with a right IPv4 length and TTL 64; no UDP checksum."""
    ethernet = bytes.fromhex("020000000001 020000000002") + tag + bytes.fromhex("0800")
    ip_size = FRAME_SIZE - len(ethernet)
    ip = bytes([0x45, 0]) + ip_size.to_bytes(2) + bytes.fromhex("0000 0000 40 11 0000")
    udp = bytes(4) + (ip_size - 20).to_bytes(2) + bytes(2)
    frame = ethernet + ip + bytes(8) + udp
    return frame + bytes(FRAME_SIZE - len(frame))


def frames_of(flows: Flows, tag: bytes = b"") -> Bytes:
    """Make one frame for each flow, IPv4 checksum included; 'tag' goes before the Ethernet type."""
    columns = {IP_SRC: flows.src, IP_DST: flows.dst, UDP_SRC: flows.sport, UDP_DST: flows.dport}
    frames = of.stamp(
        _frame_template(tag),
        {at + len(tag): (size, values) for (at, size), values in columns.items()},
    )
    ip = frames[:, 14 + len(tag) : 34 + len(tag)]
    words = ip.astype(np.uint32).reshape(len(frames), 10, 2)
    total = (words[:, :, 0] << 8 | words[:, :, 1]).sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    ip[:, 10], ip[:, 11] = check >> 8, check & 0xFF
    return frames


def _numbers(rng: np.random.Generator, bits: int, count: int) -> Numbers:
    return rng.integers(0, 1 << bits, count, dtype=np.uint64)


def random_flows(rng: np.random.Generator, count: int) -> Flows:
    """Draw flows that are all different: their sources are."""
    first = int(rng.integers(0, 1 << 24))
    sources = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(first)) & (
        np.uint64(0xFFFFFFFF)
    )
    return Flows(
        sources, _numbers(rng, 32, count), _numbers(rng, 16, count), _numbers(rng, 16, count)
    )


def _shuffled(rng: np.random.Generator, frames: Bytes) -> Bytes:
    return frames[rng.permutation(len(frames))]


def exact_rules(flows: Flows, instruction: bytes = FORWARD) -> bytes:
    """Write one 5-tuple rule for each flow."""
    fields = {
        "eth_type": IPV4,
        "ip_proto": UDP,
        "ipv4_src": 0,
        "ipv4_dst": 0,
        "udp_src": 0,
        "udp_dst": 0,
    }
    values = {
        "ipv4_src": (4, flows.src),
        "ipv4_dst": (4, flows.dst),
        "udp_src": (2, flows.sport),
        "udp_dst": (2, flows.dport),
    }
    columns = {of.value_offset(fields, name): column for name, column in values.items()}
    return of.many(of.flow_mod(fields, instruction, priority=100), columns)


def wildcard(rng: np.random.Generator, flows: int) -> tuple[bytes, int, Bytes]:
    """One rule that every IPv4 packet meets."""
    rule = of.flow_mod({"eth_type": IPV4}, FORWARD, priority=1)
    return rule, 1, _shuffled(rng, frames_of(random_flows(rng, flows)))


def exact(rng: np.random.Generator, flows: int) -> tuple[bytes, int, Bytes]:
    """As many 5-tuple rules as flows."""
    drawn = random_flows(rng, flows)
    return exact_rules(drawn), flows, _shuffled(rng, frames_of(drawn))


def _mask(length: int) -> int:
    return 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF


def prefixes(rng: np.random.Generator, count: int, flows: int) -> tuple[bytes, int, Bytes]:
    """Routes by destination, the longer one first, most of them /24 as in real tables."""
    lengths = rng.choice(
        [16, 20, 22, 23, 24, 28, 32], count, p=[0.05, 0.1, 0.1, 0.1, 0.5, 0.1, 0.05]
    )
    chosen: dict[tuple[int, int], None] = {}
    for address, length in zip(_numbers(rng, 32, count).tolist(), lengths.tolist(), strict=True):
        chosen[address & _mask(length), length] = None
    rules = [
        of.flow_mod(
            {"eth_type": IPV4, "ipv4_dst": (address, _mask(length))}, FORWARD, priority=length
        )
        for address, length in chosen
    ]
    routes = np.array(list(chosen), dtype=np.uint64)[rng.integers(0, len(chosen), flows)]
    drawn = random_flows(rng, flows)
    host = (np.uint64(1) << (np.uint64(32) - routes[:, 1])) - np.uint64(1)
    meet = Flows(drawn.src, routes[:, 0] | drawn.dst & host, drawn.sport, drawn.dport)
    return b"".join(rules), len(rules), frames_of(meet)


def _masked_rules(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """Draw rules as rows of source, its length, destination, its length: 49 masks in all."""
    lengths = np.array(PREFIX_LENGTHS, dtype=np.uint64)
    which = np.arange(count) % len(lengths) ** 2
    src_len, dst_len = lengths[which // len(lengths)], lengths[which % len(lengths)]
    keep = np.array([_mask(length) for length in range(33)], dtype=np.uint64)
    src = _numbers(rng, 32, count) & keep[src_len.astype(int)]
    dst = _numbers(rng, 32, count) & keep[dst_len.astype(int)]
    return np.stack([src, src_len, dst, dst_len], axis=1)


def _masked_message(row: list[int], priority: int) -> bytes:
    src, src_len, dst, dst_len = row
    fields: dict[str, int | tuple[int, int]] = {
        "eth_type": IPV4,
        "ipv4_src": (src, _mask(src_len)),
        "ipv4_dst": (dst, _mask(dst_len)),
    }
    return of.flow_mod(fields, FORWARD, priority=priority)


def masks(rng: np.random.Generator, count: int, flows: int) -> tuple[bytes, int, Bytes]:
    """Rules in 49 masks with priorities of their own; each flow meets at least one of them."""
    table = _masked_rules(rng, count)
    priorities = rng.integers(1, 1000, count).tolist()
    rules = b"".join(map(_masked_message, table.tolist(), priorities))
    hit = table[rng.integers(0, count, flows)]
    drawn = random_flows(rng, flows)
    one = np.uint64(1)
    src_host = (one << (np.uint64(32) - hit[:, 1])) - one
    dst_host = (one << (np.uint64(32) - hit[:, 3])) - one
    meet = Flows(
        hit[:, 0] | drawn.src & src_host, hit[:, 2] | drawn.dst & dst_host, drawn.sport, drawn.dport
    )
    return rules, count, frames_of(meet)


def masks_churn(rng: np.random.Generator, count: int = 5_000) -> tuple[bytes, ...]:
    """Flow-mods that add rules to the 49 masks and take each away again."""
    add = [_masked_message(row, 500) for row in _masked_rules(rng, count).tolist()]
    remove = [message[:25] + bytes([4]) + message[26:] for message in add]  # DELETE_STRICT
    return tuple(message for pair in zip(add, remove, strict=True) for message in pair)


def deep(rng: np.random.Generator, flows: int, hosts: int = 1_000) -> tuple[bytes, int, Bytes]:
    """Eight tables: VLAN, ACL, source, destination, routes, next hop, egress ACL, output."""
    drawn = random_flows(rng, flows)
    macs = np.uint64(0x020000010000) + np.arange(hosts, dtype=np.uint64)
    nets = np.unique(drawn.dst >> np.uint64(12))  # /20 routes that cover every flow
    rules = [
        of.flow_mod(
            {"in_port": IN_PORT, "vlan_vid": VLAN | VID_PRESENT}, of.goto(1), table=0, priority=1
        ),
        *(
            of.flow_mod(
                {"eth_type": IPV4, "ip_proto": 6, "ipv4_src": (address, 0xFFFFFF00)},
                table=1,
                priority=10,
            )
            for address in (_numbers(rng, 24, 500) << np.uint64(8)).tolist()
        ),
        of.flow_mod({}, of.goto(2), table=1),
        *(of.flow_mod({"eth_src": mac}, of.goto(3), table=2, priority=1) for mac in macs.tolist()),
        of.flow_mod({"eth_dst": ROUTER}, of.goto(4), table=3, priority=1),
        *(
            of.flow_mod(
                {"eth_type": IPV4, "ipv4_dst": (net << 12, 0xFFFFF000)},
                of.apply(of.dec_ttl()),
                of.goto(5),
                table=4,
                priority=20,
            )
            for net in nets.tolist()
        ),
        of.flow_mod({}, of.apply(of.set_field("eth_dst", 0x020000000003)), of.goto(6), table=5),
        of.flow_mod({}, of.goto(7), table=6),
        of.flow_mod({}, FORWARD, table=7),
    ]
    frames = frames_of(drawn, tag=bytes([0x81, 0, 0, VLAN]))
    sources = macs[rng.integers(0, hosts, flows)].astype(">u8").view(np.uint8).reshape(flows, 8)
    frames[:, 6:12] = sources[:, 2:]
    return b"".join(rules), len(rules), frames


Make = Callable[[np.random.Generator], tuple[bytes, int, Bytes]]

# Their order is part of the seed of each: a new one goes to the end.
WORKLOADS: dict[str, Make] = {
    "1 rule, 1 flow": lambda rng: wildcard(rng, 1),
    "1 wildcard rule, 100k flows": lambda rng: wildcard(rng, 100_000),
    "10k exact rules, 10k flows": lambda rng: exact(rng, 10_000),
    "100k exact rules, 100k flows": lambda rng: exact(rng, 100_000),
    "1M exact rules, 1M flows": lambda rng: exact(rng, 1_000_000),
    "10k prefixes, 100k flows": lambda rng: prefixes(rng, 10_000, 100_000),
    "10k rules in 49 masks, 100k flows": lambda rng: masks(rng, 10_000, 100_000),
    "49 masks under 10k flow-mods/s": lambda rng: masks(rng, 10_000, 100_000),
    "49 masks, every packet a new flow": lambda rng: masks(rng, 10_000, 1_000_000),
    "8 tables, 10k flows": lambda rng: deep(rng, 10_000),
    "1k exact rules, 1k flows": lambda rng: exact(rng, 1_000),
}
CHURNED = "49 masks under 10k flow-mods/s"
NEW = "49 masks, every packet a new flow"
FLOORS = tuple(f"{size} exact rules, {size} flows" for size in ("1k", "10k", "100k", "1M"))


def make(name: str, seed: int) -> Workload:
    """Make a workload by its name."""
    rng = np.random.default_rng([seed, list(WORKLOADS).index(name)])
    rules, n_rules, frames = WORKLOADS[name](rng)
    churn = masks_churn(rng) if name == CHURNED else ()
    floor = name in ("1 rule, 1 flow", *FLOORS)
    frames = np.ascontiguousarray(frames)
    return Workload(name, rules, n_rules, frames, churn, once=name == NEW, floor=floor)


def at_rest(workload: Workload) -> Workload:
    """The same while nobody changes its rules."""
    return replace(workload, churn=())
