"""Every packet is in exactly one counter at the end, whatever happens to it on its way (K11)."""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from raicho.control.openflow.spec.actions import DecNwTtl, Group, Output, PushVlan, SetQueue
from raicho.control.openflow.spec.groups import Bucket
from raicho.control.openflow.spec.instructions import ApplyActions, GotoTable, Instruction, Meter
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod, GroupMod, MeterMod, PacketOut
from raicho.control.openflow.spec.meters import DropBand
from raicho.control.openflow.spec.multipart import AggregateRequest
from raicho.control.openflow.spec.ports import PortNo
from raicho.dataplane import state
from raicho.dataplane.datapath import DONE

AGGREGATE = 2
PACKETS_PER_SECOND = 2
STEPS = 24_000
EACH = 40  # frames between two changes of the configuration
SIZES = (14, 60, 200, 1500, 9000, 9000)
ADDRESSES = bytes.fromhex("020000000001 020000000002")
HEADERS = {
    "udp": bytes.fromhex("0800 4500002e 00000000 40110000 0a000001 0a000002 1000 0035 001a 0000"),
    "dying": bytes.fromhex("0800 4500002e 00000000 01110000 0a000001 0a000003 1000 0036 001a 0000"),
    "tagged": bytes.fromhex("8100 0005 0800"),
    "unknown": bytes.fromhex("88b5"),
}
QUEUES = (
    [],
    [{"id": 1, "max-rate": 2_000_000, "limit": 20_000}],
    [{"id": 1, "priority": 3}, {"id": 2, "max-rate": 1_000_000, "limit": 5_000}],
)


def flow(*instructions: Instruction, table: int = 0, priority: int = 0, **fields: Any) -> FlowMod:
    return FlowMod(
        table_id=table, priority=priority, match=match(**fields), instructions=instructions
    )


def act(*actions: Any) -> ApplyActions:
    return ApplyActions(actions)


PIPELINE = (
    GroupMod(0, 0, 1, tuple(Bucket(actions=(Output(port),)) for port in (2, 3))),
    GroupMod(0, 1, 2, tuple(Bucket(weight=1, actions=(Output(port),)) for port in (1, 9))),
    MeterMod(0, PACKETS_PER_SECOND, 1, (DropBand(500),)),
    flow(Meter(1), act(SetQueue(1), Output(3)), priority=9, eth_type=0x0800, ip_proto=17,
         udp_dst=53),
    flow(act(DecNwTtl(), Output(4)), priority=9, eth_type=0x0800, ip_proto=17, udp_dst=54),
    flow(act(Output(PortNo.FLOOD)), priority=8, vlan_vid=0x1005),
    flow(act(Group(1), Output(PortNo.CONTROLLER)), GotoTable(1), priority=5, in_port=1),
    flow(act(PushVlan(), SetQueue(2), Output(3), Group(2)), priority=5, in_port=2),
    flow(act(Output(PortNo.CONTROLLER)), priority=5, in_port=3),
    flow(GotoTable(1)),
    flow(act(Output(1)), table=1, priority=5, in_port=1),
    flow(act(Output(2)), table=1, priority=5, in_port=4),
)  # fmt: skip


class Traffic:
    """Random frames into the ports of a switch, and how many went into which."""

    def __init__(self, rig: Any, seed: int) -> None:
        self.rig = rig
        self.random = random.Random(seed)
        self.put: Counter[Any] = Counter()  # by port; those that are closed keep their counters
        self.sent_out = 0

    def frame(self) -> bytes:
        head = ADDRESSES + self.random.choice(list(HEADERS.values()))
        size = self.random.choice(SIZES)
        return head.ljust(size, b"\0")[: max(size, 14)]

    def send(self) -> None:
        """Put a frame in somewhere; where there is no room, it was never sent."""
        name = self.random.choice(list(self.rig.switch.ports.open))
        port = self.rig.port(name)
        try:
            port.put(self.frame(), self.random.randrange(port.queues))
        except OSError:
            time.sleep(0.001)
        else:
            self.put[port] += 1
        self.take()

    def take(self) -> None:
        """Let some of what was sent leave; what finds no room is dropped."""
        port = self.rig.port(self.random.choice(list(self.rig.switch.ports.open)))
        for queue in range(port.queues):
            port.take(queue)

    def packet_out(self) -> None:
        message = PacketOut(actions=(Output(PortNo.TABLE),), data=self.frame())
        assert self.rig.apply(message) == [DONE]
        self.sent_out += 1

    def arrived(self, name: str) -> bool:
        port = self.rig.port(name)
        counters = port.counters()
        return bool(counters["rx_packets"] + counters["rx_dropped"] == self.put[port])

    def configure(self) -> None:
        """Let ports, lanes, workers and queues be others than they were."""
        draw, worker = self.random, lambda: {"worker": self.random.randrange(3)}
        ports: dict[str, Any] = {f"p{i}": {"kind": "memory"} | worker() for i in range(1, 5)}
        ports["p1"] |= {"device-queues": 2, "lane": [{"queue": 1} | worker()]}
        ports["p3"] |= {"queue": draw.choice(QUEUES)}
        numbers = {name: i for i, name in enumerate(ports, 1)}
        if draw.random() < 0.3 and self.settled("p4"):
            del ports["p4"], numbers["p4"]
        elif draw.random() < 0.3:
            del numbers[draw.choice(list(numbers))]  # it stays open, in no bridge
        users = {port["worker"] for port in ports.values()} | {
            lane["worker"] for port in ports.values() for lane in port.get("lane", ())
        }
        mode = draw.choice(("adaptive", "interrupt"))
        workers = tuple({"id": i, "mode": mode} for i in users | {0})
        self.rig.configure(ports, workers=workers, br0=numbers)
        self.put.update(dict.fromkeys(self.rig.switch.ports.open.values(), 0))

    def settled(self, name: str) -> bool:
        """Wait until a port has received all that was put in; False: nobody reads it."""
        read = name in self.rig.switch.ports.open and self.rig.switch.bridges["br0"].has_port(
            int(name[1:])
        )
        if read:
            until(lambda: self.arrived(name), f"{name} to be read")
        return bool(read)

    def counted(self, counter: str) -> int:
        """Sum a counter over all ports that there are, and were."""
        ports = {*self.put, *self.rig.switch.ports.open.values()}
        return sum(port.counters()[counter] for port in ports)


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def adds_up(totals: dict[str, int]) -> bool:
    came = totals["received"] + totals["injected"] + totals["copied"]
    return came == totals["sent"] + totals["punted"] + totals["consumed"] + totals["dropped"]


@pytest.mark.parametrize("seed", range(2))
def test_every_packet_is_in_exactly_one_counter(running_rig: Any, seed: int) -> None:
    """K11: over workers, lanes, queues, meters, groups, punts without room, ports that go."""
    rig, traffic = running_rig, Traffic(running_rig, seed)
    traffic.configure()
    assert rig.apply(*PIPELINE) == [DONE] * len(PIPELINE)
    for step in range(STEPS):
        traffic.send()
        if step % EACH == 0:
            traffic.packet_out()
            traffic.configure()
            rig.switch.dataplane.tick(rig.now)
    everything = {f"p{i}": {"kind": "memory"} for i in range(1, 5)}
    everything["p1"] |= {"device-queues": 2}
    rig.configure(everything, br0={name: i for i, name in enumerate(everything, 1)})
    for name in everything:
        until(lambda name=name: traffic.arrived(name), f"{name} to be read")
    until(lambda: adds_up(rig.totals()), "every packet to come to its end")
    assert rig.switch.dataplane.barrier(10_000)

    totals = rig.totals()
    dropped = {row["name"] for row in state.read(rig.switch, "/drops") if row["packets"]}
    assert dropped >= {"no_entry", "no_port", "in_port", "meter", "queue", "punt"}
    assert totals["injected"] == traffic.sent_out
    assert totals["received"] == traffic.counted("rx_packets")
    assert traffic.counted("rx_packets") + traffic.counted("rx_dropped") == traffic.put.total()
    assert totals["sent"] == traffic.counted("tx_packets")
    met = rig.ask(AGGREGATE, AggregateRequest(table_id=0)).packet_count
    assert met == totals["received"] + totals["injected"], "one entry of table 0 for each"
