"""The bulk operations on bridges: what an OpenFlow agent asks of the dataplane.

Payloads are OpenFlow 1.3 messages and bodies, so the format of volatile state
is a published one.  Every operation answers with a code, 0xffffffff or an
error of the specification, and frames.

| operation | payload | answer |
|---|---|---|
| apply | whole messages, one after the other | a native uint32 for each |
| bundle | u32 flags (1: atomic for packets), then as apply | native uint32s: the first that \
failed, its error |
| modify | a flow-mod that modifies | as apply; where it finds nothing it adds |
| barrier | | when everything before it is in force |
| multipart | u16 type, u16 flags, body | a body for each part |
| features | | msgpack: datapath_id, n_buffers, n_tables, capabilities |
| config | u16 flags, u16 miss_send_len | |
| get_config | | u16 flags, u16 miss_send_len |
| controllers | u32: how many are connected; without one, fail-mode decides | |
| flush_fdb | u32: port number, 0 for all; u16: VLAN, if not all | u32: how many addresses \
were forgotten |
| queue_config | u32 port, 4 of padding | struct ofp_packet_queue for each queue |

`attach`, `detach` (packets and events of a bridge) and `sample` (all bridges, see sample.py)
are answered by the component itself.
"""

import asyncio
import inspect
import struct
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from .bridge import Bridge, OpenFlowError
from .datapath import DONE
from .operation import (
    BadLength,
    NoSuch,
    Operation,
    Refused,
    Reply,
    TimedOut,
    refusal,
    unpack,
)
from .switch import Switch

N_TABLES = 255
# OFPC_FLOW_STATS, TABLE_STATS, PORT_STATS, GROUP_STATS, QUEUE_STATS
CAPABILITIES = 1 | 2 | 4 | 8 | 64
BAD_FLAGS = 10 << 16 | 0  # OFPET_SWITCH_CONFIG_FAILED
BAD_COMMAND = 5 << 16 | 6  # OFPET_FLOW_MOD_FAILED
FRAG_DROP = 1
PORT_STATS = 4  # of multipart types
TABLE, COMMAND, PRIORITY, FLOW_MATCH = 24, 25, 30, 48  # in a flow-mod
ADD, MODIFY, STRICT = 0, (1, 2), 2
FLOWS, ANY = 1, 0xFFFFFFFF
BUNDLE_HEADER, ATOMIC = 4, 1
QUICK_MS, PATIENT_MS = 2, 2000

REFUSALS = Refused, OpenFlowError

Answer = Sequence[bytes]
Run = Callable[["Operations", Bridge, bytes], Answer | Awaitable[Answer]]

CONFIG, COUNT, QUEUES = struct.Struct("!HH"), struct.Struct("!I"), struct.Struct("!I4x")
KIND = struct.Struct("!HH")  # type and flags of a multipart request, in front of its body


def now_ms() -> int:
    """Return the clock of timeouts: monotonic milliseconds, as the workers read it."""
    return time.monotonic_ns() // 1_000_000


class Operations:
    """The operations, on the bridges of one switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def run(self, op: str, bridge: str, payload: bytes) -> Reply | Awaitable[Reply]:
        """Do one of OPERATIONS on a bridge; return a code, what is wrong, and frames."""
        try:
            answer = OPERATIONS[op].run(self, self.bridge(bridge), payload)
        except REFUSALS as error:
            return refusal(op, error)
        return self._end(op, answer) if inspect.isawaitable(answer) else (DONE, "", answer)

    async def _end(self, op: str, answer: Awaitable[Answer]) -> Reply:
        try:
            return DONE, "", await answer
        except REFUSALS as error:
            return refusal(op, error)

    def bridge(self, name: str) -> Bridge:
        """Return a bridge by its name; raise NoSuch."""
        if name not in self._switch.bridges:
            raise NoSuch(f"no bridge {name!r}")
        return self._switch.bridges[name]

    def _apply(self, bridge: Bridge, payload: bytes) -> Answer:
        """Apply flow-, group-, meter-, table- and port-mods and packet-outs."""
        return (bridge.apply(payload, now_ms()),)

    def _modify(self, bridge: Bridge, payload: bytes) -> Answer:
        """Modify flows as OpenFlow 1.0 means it: what finds nothing adds."""
        if len(payload) < FLOW_MATCH + 8:
            raise BadLength(f"{len(payload)} bytes are no flow-mod")
        if payload[COMMAND] not in MODIFY:
            raise OpenFlowError(BAD_COMMAND)
        about = struct.pack("!B3xII20x", payload[TABLE], ANY, ANY) + payload[FLOW_MATCH:]
        if not _finds(bridge, about, payload):
            payload = payload[:COMMAND] + bytes([ADD]) + payload[COMMAND + 1 :]
        return (bridge.apply(payload, now_ms()),)

    def _bundle(self, bridge: Bridge, payload: bytes) -> Answer:
        """Apply messages, all or none."""
        if len(payload) < BUNDLE_HEADER:
            raise BadLength(f"{len(payload)} bytes are no flags of {BUNDLE_HEADER} and messages")
        atomic = bool(int.from_bytes(payload[:BUNDLE_HEADER], "big") & ATOMIC)
        failed, code = bridge.apply_bundle(payload[BUNDLE_HEADER:], atomic, now_ms())
        return (struct.pack("=II", failed, code),)

    def _barrier(self, bridge: Bridge, payload: bytes) -> Answer | Awaitable[Answer]:
        """Wait until all before it is in force."""
        # Workers usually pass at once; only if not is it worth another thread.
        return () if self._switch.dataplane.barrier(QUICK_MS) else self._wait_for_workers()

    async def _wait_for_workers(self) -> Answer:
        if await asyncio.to_thread(self._switch.dataplane.barrier, PATIENT_MS):
            return ()
        raise TimedOut(f"a worker did not pass within {PATIENT_MS} ms")

    def _multipart(self, bridge: Bridge, payload: bytes) -> Answer:
        """List flows, groups, meters, ports, queues, or their counters."""
        kind, _ = unpack(KIND, payload[: KIND.size])
        if kind == PORT_STATS:
            self._switch.ports.refresh_counters()
        return bridge.multipart(kind, payload[KIND.size :], now_ms())

    def _features(self, bridge: Bridge, payload: bytes) -> Answer:
        """Say what the switch is able to do."""
        features = {
            "datapath_id": bridge.datapath_id,
            "n_buffers": 0,
            "n_tables": N_TABLES,
            "capabilities": CAPABILITIES,
        }
        return (msgspec.msgpack.encode(features),)

    def _config(self, bridge: Bridge, payload: bytes) -> Answer:
        """Set how fragments are handled, and how much of a packet-in is wanted."""
        flags, miss_send_len = unpack(CONFIG, payload)
        if flags > FRAG_DROP:  # reassembly is not offered
            raise OpenFlowError(BAD_FLAGS)
        bridge.frag_mode, bridge.miss_send_len = flags, miss_send_len
        return ()

    def _get_config(self, bridge: Bridge, payload: bytes) -> Answer:
        """Say how that is set."""
        return (CONFIG.pack(bridge.frag_mode, bridge.miss_send_len),)

    def _controllers(self, bridge: Bridge, payload: bytes) -> Answer:
        """Note how many controllers are connected: without one, fail-mode decides."""
        bridge.set_controllers(*unpack(COUNT, payload))
        return ()

    def _flush_fdb(self, bridge: Bridge, payload: bytes) -> Answer:
        """Forget the addresses that were learned, behind a port or in a VLAN, or all."""
        if len(payload) not in (4, 6):
            raise BadLength(f"{len(payload)} bytes are no port and perhaps a VLAN, 4 or 6")
        number, vlan = int.from_bytes(payload[:4], "big"), payload[4:]
        which = int.from_bytes(vlan, "big") if vlan else None
        return (COUNT.pack(bridge.flush_fdb(number, now_ms(), which)),)

    def _queue_config(self, bridge: Bridge, payload: bytes) -> Answer:
        """Describe the queues of a port."""
        return (bridge.describe_queues(*unpack(QUEUES, payload)),)


OPERATIONS: dict[str, Operation[Run]] = {
    "apply": Operation("openflow/flow", ("add", "del", "bulk"), Operations._apply),
    "modify": Operation("openflow/flow", ("add",), Operations._modify),
    "bundle": Operation("openflow/flow", ("add", "del", "bulk"), Operations._bundle),
    "barrier": Operation("openflow/flow", ("bulk",), Operations._barrier),
    "multipart": Operation("openflow/flow", ("get", "stat", "bulk"), Operations._multipart),
    "features": Operation("openflow/switch", ("get",), Operations._features),
    "config": Operation("openflow/switch", ("add",), Operations._config),
    "get_config": Operation("openflow/switch", ("get",), Operations._get_config),
    "controllers": Operation("openflow/switch", ("add",), Operations._controllers),
    "flush_fdb": Operation("l2/fdb", ("del", "bulk"), Operations._flush_fdb),
    "queue_config": Operation("qos/queue", ("get",), Operations._queue_config),
}


def _finds(bridge: Bridge, about: bytes, flow_mod: bytes) -> bool:
    """Return whether a flow-mod that modifies has something to modify."""
    size = int.from_bytes(flow_mod[FLOW_MATCH + 2 : FLOW_MATCH + 4], "big")
    match = flow_mod[FLOW_MATCH : FLOW_MATCH + (size + 7) // 8 * 8]
    try:
        parts = bridge.multipart(FLOWS, about, now_ms())
    except OpenFlowError:
        return True  # what is wrong with it is found out when it is applied
    if flow_mod[COMMAND] != STRICT:
        return any(parts)
    wanted = flow_mod[PRIORITY : PRIORITY + 2]
    return any(_holds(part, wanted, match) for part in parts)


def _holds(part: bytes, priority: bytes, match: bytes) -> bool:
    """Return whether flow statistics have an entry of that priority with just that match."""
    at = 0
    while at < len(part):
        here = part[at + FLOW_MATCH : at + FLOW_MATCH + len(match)]
        if part[at + 12 : at + 14] == priority and here == match:
            return True
        at += int.from_bytes(part[at : at + 2], "big")
    return False
