"""The wrappers: what they refuse, what keeps what alive, and that counters add up."""

import gc
import random
import threading
from typing import Any

import pytest

from raicho.control.openflow.spec import pack
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod, PacketOut
from raicho.control.openflow.spec.ports import PortNo
from raicho.dataplane.bridge import OpenFlowError
from raicho.dataplane.datapath import DONE, MAX_WORKERS, Dataplane
from raicho.dataplane.port import MemoryPort, Port

FRAME = bytes.fromhex("0200000000020200000000010800") + bytes(50)
TO_2 = pack(FlowMod(instructions=(ApplyActions((Output(2),)),)))


def bridged(*ports: Port, packets: int = 256) -> tuple[Any, Any, Any]:
    """Return a dataplane, its worker and a bridge with *ports* numbered from 1."""
    dataplane = Dataplane()
    worker = dataplane.add_worker(0, packets=packets)
    bridge = dataplane.add_bridge("br0", 1, 0)
    for number, port in enumerate(ports, 1):
        bridge.attach(port, number, 0, 0)
    return dataplane, worker, bridge


# What is refused.


@pytest.mark.parametrize(
    ("number", "worker", "text"),
    [
        (0, 0, "port number 0 is not in 1..0xffffff00"),
        (0xFFFFFF01, 0, "port number 4294967041 is not in"),
        (1, 0, "port number 1 is taken"),
        (2, 1, "there is no worker 1"),
    ],
)
def test_a_port_that_cannot_be_attached_is_refused(number: int, worker: int, text: str) -> None:
    _, _, bridge = bridged(Port("null", "a"))
    port = Port("null", "b")
    with pytest.raises(ValueError, match=text):
        bridge.attach(port, number, worker, 0)
    bridge.attach(port, 0xFFFFFF00, 0, 0)
    assert bridge.has_port(0xFFFFFF00)


def test_a_port_is_in_one_bridge() -> None:
    port = Port("null", "a")
    dataplane, _, bridge = bridged(port)
    other = dataplane.add_bridge("br1", 2, 0)
    with pytest.raises(ValueError, match="port a is in a bridge already"):
        other.attach(port, 1, 0, 0)
    bridge.detach(1)
    other.attach(port, 1, 0, 0)


def test_a_port_that_does_not_exist_is_a_key_error() -> None:
    _, _, bridge = bridged()
    for call in (
        bridge.detach,
        bridge.refresh_link,
        bridge.port_state,
        lambda number: bridge.set_enabled(number, False),
    ):
        with pytest.raises(KeyError, match="no port 9"):
            call(9)


def test_a_worker_number_is_used_once_and_below_the_limit() -> None:
    dataplane, worker, _ = bridged()
    with pytest.raises(ValueError, match="worker 0: the number is taken"):
        dataplane.add_worker(0)
    with pytest.raises(ValueError, match=f"the highest is {MAX_WORKERS - 1}"):
        dataplane.add_worker(MAX_WORKERS)
    worker.close()
    dataplane.add_worker(0, packets=64)


@pytest.mark.parametrize(
    ("kind", "name", "device", "text"),
    [
        ("carrier", "a", "", "no such kind of port: 'carrier'"),
        ("null", "n" * 64, "", "the name of a port has at most 63 bytes"),
        ("af_packet", "a", "d" * 256, "the device of a port has at most 255 bytes"),
        ("af_packet", "a", "lo\0", "has no zero byte"),
    ],
)
def test_a_port_that_makes_no_sense_is_refused(
    kind: str, name: str, device: str, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        Port(kind, name, device)


def test_a_port_on_a_missing_device_says_which() -> None:
    with pytest.raises(OSError, match='no interface "absent0"'):
        Port("af_packet", "a", "absent0")


def test_a_request_for_statistics_that_is_wrong_is_an_error_of_the_specification() -> None:
    _, _, bridge = bridged()
    with pytest.raises(OpenFlowError, match="1/2") as error:
        bridge.multipart(0x7777, b"", 0)
    assert error.value.code == 1 << 16 | 2


# What keeps what alive.


def test_what_is_in_use_is_not_closed() -> None:
    port = MemoryPort("memory", "a")
    _, worker, bridge = bridged(port)
    with pytest.raises(RuntimeError, match="port a is in a bridge"):
        port.close()
    with pytest.raises(RuntimeError, match="worker 0 polls 1 queues of ports"):
        worker.close()
    bridge.close()
    port.close()
    worker.close()


def test_what_is_closed_says_so_and_closing_again_does_nothing() -> None:
    port = MemoryPort("memory", "a")
    _, worker, bridge = bridged(port)
    bridge.close()
    calls = [bridge.events, bridge.tables, lambda: bridge.n_flows, lambda: bridge.apply(b"", 0)]
    for each in (port, worker):
        each.close()
    calls += [port.take, port.link, lambda: port.put(b"x"), lambda: port.set_admin(True)]
    calls += [worker.run, worker.round, worker.stop, worker.punts, worker.totals]
    for call in calls:
        with pytest.raises(ValueError, match="is closed"):
            call()
    for each in (port, worker, bridge):
        each.close()
    assert port.counters()["rx_packets"] == 0


@pytest.mark.parametrize("seed", range(20))
def test_dropping_references_in_any_order_is_safe(seed: int) -> None:
    """A bridge holds its ports and workers, and all of them hold the dataplane."""
    ports = [MemoryPort("memory", f"p{i}") for i in range(3)]
    dataplane, worker, bridge = bridged(*ports)
    bridge.apply(TO_2, 0)
    ports[0].put(FRAME)
    worker.round()
    held: list[Any] = [dataplane, worker, bridge, *ports]
    held[0:0] = [held]  # and the collector finds a cycle
    del dataplane, worker, bridge, ports
    random.Random(seed).shuffle(held)
    while len(held) > 1 and held[-1] is not held:
        held.pop()
    del held
    gc.collect()


def test_a_bridge_that_is_dropped_while_its_worker_runs_takes_its_ports_out_first() -> None:
    port = MemoryPort("memory", "a")
    port.loop([FRAME])
    _, worker, bridge = bridged(port, Port("null", "b"))
    bridge.apply(TO_2, 0)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while not worker.totals()["sent"]:
        pass
    with pytest.raises(RuntimeError, match="still runs"):
        worker.close()
    del bridge
    port.close()
    worker.stop()
    thread.join()
    worker.close()


def test_a_worker_that_was_stopped_runs_again() -> None:
    dataplane, worker, _ = bridged()
    for _ in range(3):
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert dataplane.barrier(10_000)
        worker.stop()
        thread.join()


def test_a_worker_that_runs_is_not_run_by_another_thread_too() -> None:
    port = MemoryPort("memory", "a")
    port.loop([FRAME])
    _, worker, bridge = bridged(port)
    thread = threading.Thread(target=worker.run)
    thread.start()
    while not worker.totals()["received"]:
        pass
    with pytest.raises(RuntimeError, match="worker 0 has a thread of its own"):
        worker.round()
    worker.stop()
    thread.join()
    bridge.close()


# What packets do.


def test_what_was_applied_is_in_force_after_a_barrier() -> None:
    """With a real thread: the packet that follows the barrier takes the new way."""
    ports = [MemoryPort("memory", f"p{i}") for i in range(3)]
    dataplane, worker, bridge = bridged(*ports)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        for turn in range(200):
            out = 1 + turn % 2
            bridge.apply(pack(FlowMod(instructions=(ApplyActions((Output(out + 1),)),))), 0)
            assert dataplane.barrier(10_000)
            ports[0].put(FRAME)
            while not (frame := ports[out].take()):
                pass
            assert frame == FRAME
            assert ports[3 - out].take() is None
    finally:
        worker.stop()
        thread.join()


def test_a_port_added_disabled_lets_nothing_through() -> None:
    ports = [MemoryPort("memory", f"p{i}") for i in range(2)]
    _, worker, bridge = bridged(ports[1])
    bridge.attach(ports[0], 2, 0, 0, enabled=False)
    bridge.apply(pack(FlowMod(instructions=(ApplyActions((Output(1),)),))), 0)
    assert bridge.port_state(2)["config"] == 1
    ports[0].put(FRAME)
    worker.round()
    assert ports[1].take() is None
    assert worker.totals()["drops"]["port_no_recv"] == 1


def test_punts_are_taken_in_portions_and_the_descriptor_stays_readable() -> None:
    port = MemoryPort("memory", "a")
    _, worker, bridge = bridged(port)
    to_controller = Output(PortNo.CONTROLLER)
    bridge.apply(pack(FlowMod(instructions=(ApplyActions((to_controller,)),))), 0)
    for _ in range(5):
        port.put(FRAME)
    worker.round()
    taken = [len(worker.punts(2).get(bridge.index, [])) for _ in range(4)]
    assert taken == [2, 2, 1, 0]
    assert worker.totals()["punted"] == 5


@pytest.mark.parametrize("seed", range(5))
def test_every_packet_is_counted_once(seed: int) -> None:
    """K11, M13: received + injected + copied == sent + punted + consumed + drops."""
    rng = random.Random(seed)
    ports = [MemoryPort("memory", f"p{i}") for i in range(1, 4)]
    _, worker, bridge = bridged(*ports, packets=64)
    choices = [1, 2, 3, 9, PortNo.IN_PORT, PortNo.FLOOD, PortNo.ALL, PortNo.CONTROLLER]
    for port in range(1, 4):
        outputs = tuple(Output(to) for to in rng.choices(choices, k=rng.randint(0, 4)))
        mod = FlowMod(match=match(in_port=port), instructions=(ApplyActions(outputs),))
        assert bridge.apply(pack(mod), 0) == DONE.to_bytes(4, "little") or not outputs
    put = 0
    for _ in range(200):
        rng.choice(ports).put(FRAME + bytes(rng.randint(0, 1000)))
        put += 1
        if rng.random() < 0.2:
            actions = (Output(rng.choice([1, 2, 3, PortNo.ALL])),)
            bridge.apply(pack(PacketOut(actions=actions, data=FRAME)), 0)
        if rng.random() < 0.2:
            worker.round()
    worker.rounds(1 << 32, at_most=20)
    totals = worker.totals()
    ways_in = totals["received"] + totals["injected"] + totals["copied"]
    ways_out = totals["sent"] + totals["punted"] + totals["consumed"]
    assert totals["received"] == put
    assert ways_in == ways_out + sum(totals["drops"].values())
    assert totals["sent"] == sum(port.counters()["tx_packets"] for port in ports)
