"""Random messages: valid ones, ones that are wrong in one way, and ones with bytes changed."""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

from oracle import actions as act
from oracle import wire
from oracle.match import Apply, Goto, Meter, Write, WriteMetadata

from .model import (
    ADD,
    ALL_GROUPS,
    ALL_METERS,
    ALL_TABLES,
    ANY,
    CHECK_OVERLAP,
    DELETE,
    DELETE_STRICT,
    INDIRECT,
    MODIFY,
    MODIFY_STRICT,
    SEND_FLOW_REM,
    Does,
    Flow,
    FlowMod,
    GroupMod,
    Match,
    MeterMod,
    Mod,
)

METER_MOD, MULTIPART, BARRIER, EXPERIMENTER = 29, 18, 20, 4
PORTS = (1, 2, 3, 4)
CONTROLLER = 0xFFFFFFFD
TABLES = (0, 0, 0, 1, 2, 200)
FAST_FAILOVER = 3
IPV4, ARP, TCP, UDP = 0x0800, 0x0806, 6, 17
FULL16, FULL8, FULL32 = 0xFFFF, 0xFF, 0xFFFFFFFF
ONF, BUNDLE_CONTROL, BUNDLE_ADD = 0x4F4E4600, 2300, 2301
OPEN, COMMIT = 0, 4


class Stream:
    """Draws from few values, so that messages meet what others left."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def _often(self, share: float) -> bool:
        return self.random.random() < share

    # Values.

    def mod(self) -> Mod:
        """Draw a message; most are about flows."""
        make = self.random.choices((self.flow_mod, self.group_mod, self.meter_mod), (12, 3, 1))[0]
        return make()

    def flow_mod(self) -> FlowMod:
        commands = (ADD, MODIFY, MODIFY_STRICT, DELETE, DELETE_STRICT)
        command = self.random.choices(commands, (20, 3, 3, 1, 4))[0]
        table = ALL_TABLES if self._often(0.02) else self.random.choice(TABLES)
        flags = self.random.choice((0, 0, SEND_FLOW_REM, 4, 8, 16))
        flags |= CHECK_OVERLAP if self._often(0.1) else 0
        match = {} if self._often(0.05) else self.match()
        deletes = command in (DELETE, DELETE_STRICT)
        does = Does(b"") if deletes else self.does(table, packet_set=False)
        flow = Flow(table, self.random.randrange(4), match, self.random.randrange(8), flags, does)
        mod = FlowMod(command, flow, self.random.choice((0, 0, 0, 1, 7)))
        if command == ADD or not self._often(0.3):
            return mod
        return replace(
            mod,
            out_port=self.random.choice((ANY, *PORTS)),
            out_group=self.random.choice((ANY, ANY, 1, 2, 3)),
        )

    def match(self) -> Match:
        """Draw a match whose fields have what they need."""
        match: dict[str, tuple[int, int]] = {}
        if self._often(0.5):
            match["in_port"] = self.random.choice(PORTS), FULL32
        if self._often(0.3):
            match["eth_dst"] = self._masked(48, (0, 0xFFFFFFFFFFFF, 0xFFFF))
        kind = self.random.choice((None, ARP, IPV4, IPV4, IPV4))
        if kind:
            match["eth_type"] = kind, FULL16
        if kind == IPV4:
            self._ipv4(match)
        return {name: row for name, row in match.items() if row[1]}

    def _ipv4(self, match: dict[str, tuple[int, int]]) -> None:
        for name in ("ipv4_src", "ipv4_dst"):
            match[name] = self._masked(32, (0, 0, 0xFFFFFFFF, 0xFFFFFF00, 0x000000FF))
        protocol = self.random.choice((None, TCP, UDP))
        if protocol:
            match["ip_proto"] = protocol, FULL8
            if self._often(0.5):
                name = {TCP: "tcp_dst", UDP: "udp_dst"}[protocol]
                match[name] = self._masked(16, (FULL16,))

    def _masked(self, bits: int, masks: Sequence[int]) -> tuple[int, int]:
        mask = self.random.choice(masks)
        value = self.random.choice((0, 1, 2, 0x0A000001, 0x0A000102, (1 << bits) - 1))
        return value & mask & ((1 << bits) - 1), mask

    def does(self, table: int, packet_set: bool) -> Does:
        """Draw instructions; some name what is not there."""
        meter = self.random.choice((0, 0, 0, 1, 2, 3))
        goto = self.random.choice((0, 0, table + 1, table + 1, 250, 1)) & 0xFF
        first, second = self._actions(), self._actions()
        instructions = [Meter(meter)] if meter else []
        parts = [wire.pack_instruction(each) for each in instructions]
        parts.append(wire.pack_instruction(Apply(tuple(first))))
        if self._often(0.4):
            parts.append(wire.pack_instruction(Write(tuple(once(second)))))
        else:
            second = []
        if self._often(0.2):
            parts.append(wire.pack_instruction(WriteMetadata(self.random.randrange(4), 3)))
        if goto:
            parts.append(wire.pack_instruction(Goto(goto)))
        named = [*first, *once(second)]
        return Does(b"".join(parts), ports_of(named), groups_of(named), meter, goto)

    def _actions(self) -> list[act.Action]:
        drawn: list[act.Action] = []
        for _ in range(self.random.randrange(4)):
            port = self.random.choice((*PORTS, CONTROLLER, 77))
            drawn.append(
                self.random.choice(
                    (
                        act.Output(port, 0xFFFF),
                        act.SetField("eth_src", self.random.randrange(4)),
                        act.Group(self.random.randrange(1, 8)),
                        act.PushVlan(0x8100),
                        act.SetQueue(self.random.randrange(3)),
                    )
                )
            )
        return drawn

    def group_mod(self) -> GroupMod:
        command = self.random.choices((0, 1, 2), (4, 4, 1))[0]
        number = self.random.randrange(1, 8)
        if command == 2:
            return GroupMod(command, ALL_GROUPS if self._often(0.1) else number)
        kind = self.random.randrange(4)
        n = 1 if kind == INDIRECT and self._often(0.8) else self.random.randrange(4)
        return GroupMod(command, number, kind, tuple(self._bucket(kind) for _ in range(n)))

    def _bucket(self, kind: int) -> Does:
        chosen = once(self._actions())
        packed = wire.pack_actions(chosen)
        watch = self.random.choice(PORTS) if kind == FAST_FAILOVER else ANY
        head = struct.pack("!HHII4x", 16 + len(packed), self.random.randrange(5), watch, ANY)
        return Does(head + packed, ports_of(chosen), groups_of(chosen))

    def meter_mod(self) -> MeterMod:
        command = self.random.choices((0, 1, 2), (4, 3, 1))[0]
        number = self.random.randrange(1, 4)
        if command == 2:
            return MeterMod(command, ALL_METERS if self._often(0.1) else number)
        rates = (self.random.randrange(1, 1 << 20) for _ in range(self.random.randrange(3)))
        bands = b"".join(struct.pack("!HHII4x", 1, 16, rate, 10) for rate in rates)
        return MeterMod(command, number, self.random.choice((1, 2, 9)), bands)

    # Packets.

    def frame(self) -> bytes:
        """Draw a frame that some of the matches meet, or a few bytes that mean nothing."""
        if self._often(0.1):
            return self.random.randbytes(self.random.randrange(14, 200))
        addresses = [self.random.choice((0, 1, 2, 0x0A000001, 0x0A000102)) for _ in range(2)]
        protocol = self.random.choice((TCP, UDP, 1))
        ip = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0, 64, protocol, 0, *addresses)
        ports = struct.pack("!HH", *(self.random.choice((0, 1, 2)) for _ in range(2)))
        kind = self.random.choice((IPV4, IPV4, ARP))
        mac = self.random.choice((1, 2)).to_bytes(6, "big")
        return mac + bytes(6) + struct.pack("!H", kind) + ip + ports + bytes(22)

    def packet_out(self, xid: int) -> bytes:
        to = self.random.choice((0xFFFFFFF9, *PORTS))
        sent = wire.packet_out(self.frame(), self.random.choice(PORTS), [act.Output(to)])
        return numbered(sent, xid)

    # Bytes.

    def garbled(self, message: bytes) -> bytes:
        """Change a few bytes behind the header, or cut; the length stays right."""
        data = bytearray(message)
        for _ in range(self.random.randrange(1, 4)):
            data[self.random.randrange(8, len(data))] = self.random.choice(
                (0, 1, 0xFF, self.random.randrange(256))
            )
        if self._often(0.3):
            del data[self.random.randrange(8, len(data)) :]
        data[2:4] = len(data).to_bytes(2, "big")
        return bytes(data)


def once(actions: Sequence[act.Action]) -> list[act.Action]:
    """Leave one action of each kind: a set has no more. Only the last is in it."""
    return list({type(each): each for each in actions}.values())


def ports_of(actions: Sequence[act.Action]) -> tuple[int, ...]:
    return tuple(each.port for each in actions if isinstance(each, act.Output))


def groups_of(actions: Sequence[act.Action]) -> tuple[int, ...]:
    return tuple(each.group_id for each in actions if isinstance(each, act.Group))


def numbered(message: bytes, xid: int) -> bytes:
    """Give a message its number."""
    return message[:4] + xid.to_bytes(4, "big") + message[8:]


def _pack_flow_mod(mod: FlowMod) -> bytes:
    flow = mod.flow
    body = struct.pack(
        *("!QQBBHHHIIIH2x", flow.cookie, mod.cookie_mask, flow.table, mod.command, 0, 0),
        *(flow.priority, ANY, mod.out_port, mod.out_group, flow.flags),
    )
    return wire.message(wire.FLOW_MOD, body + wire.pack_match(flow.match) + flow.does.wire)


def _pack_group_mod(mod: GroupMod) -> bytes:
    head = struct.pack("!HBxI", mod.command, mod.kind, mod.number)
    buckets = b"".join(bucket.wire for bucket in mod.buckets)
    return wire.message(wire.GROUP_MOD, head + buckets)


def _pack_meter_mod(mod: MeterMod) -> bytes:
    return wire.message(
        METER_MOD, struct.pack("!HHI", mod.command, mod.flags, mod.number) + mod.bands
    )


_PACKERS: dict[type[Mod], Callable[..., bytes]] = {
    FlowMod: _pack_flow_mod,
    GroupMod: _pack_group_mod,
    MeterMod: _pack_meter_mod,
}


def pack(mod: Mod, xid: int) -> bytes:
    """Put a message into bytes."""
    return numbered(_PACKERS[type(mod)](mod), xid)


def bundle(mods: Sequence[Mod], ident: int, xid: int, flags: int) -> list[bytes]:
    """Write the messages of a bundle: opened, filled, committed."""

    def control(do: int) -> bytes:
        body = struct.pack("!IIIHH", ONF, BUNDLE_CONTROL, ident, do, flags)
        return wire.message(EXPERIMENTER, body, xid)

    adds = [
        wire.message(
            EXPERIMENTER,
            struct.pack("!III2xH", ONF, BUNDLE_ADD, ident, flags) + pack(mod, number),
            number,
        )
        for number, mod in enumerate(mods, xid + 1)
    ]
    return [control(OPEN), *adds, control(COMMIT)]
