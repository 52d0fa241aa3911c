"""Ports on devices of DPDK; where raicho was built without it, nothing here is collected."""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raicho.control.openflow.spec.actions import Group, Output, PushVlan, SetQueue
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import Bucket, GroupMod
from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.datapath import DONE
from raicho.dataplane.dpdk import KIND
from raicho.dataplane.port import Port
from raicho.dataplane.switch import Switch

from .conftest import FRAME, Rig

CAPTURE = struct.Struct("<IHHiIII")  # of a pcap file, and of each frame in it
RECORD = struct.Struct("<IIII")
IN_PORT = 0xFFFFFFF8
ALL = 0  # of the types of groups
BUFFERS = 4608  # that a device with one queue has
LOOP = {"kind": "dpdk", "device": "net_ring0"}  # what is sent comes in again
SILENT = {"kind": "dpdk", "device": "net_null0,no-rx=1"}
ENDLESS = {"kind": "dpdk", "device": "net_null0,size=60"}


@pytest.fixture(autouse=True, scope="module")
def started() -> None:
    """Start DPDK: it stays, so that what a test opens can be told from it."""
    Port(KIND, "first", "net_null99").close()


def _frames(n: int, size: int = 60) -> list[bytes]:
    return [FRAME[:14] + i.to_bytes(4, "big") + bytes(size - 18) for i in range(n)]


def _write(path: Path, frames: list[bytes]) -> Path:
    records = (RECORD.pack(0, 0, len(frame), len(frame)) + frame for frame in frames)
    path.write_bytes(CAPTURE.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    return path


def _read(path: Path) -> list[bytes]:
    data, at, frames = path.read_bytes(), CAPTURE.size, []
    while at < len(data):
        at += RECORD.size
        size = RECORD.unpack_from(data, at - RECORD.size)[2]
        frames.append(data[at : at + size])
        at += size
    return frames


def _turn_until(rig: Rig, true: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        rig.turn()


def _balanced(rig: Rig) -> bool:
    totals = rig.totals()
    assert set(totals) >= {"received", "sent", "dropped"}
    return bool(totals["received"] == totals["sent"] + totals["dropped"])


# Frames come and go.


def test_a_frame_goes_out_by_a_device_and_comes_in_by_it(rig: Rig) -> None:
    rig.configure({"a": "memory", "d": LOOP, "b": "memory"}, br0={"a": 1, "d": 2, "b": 3})
    rig.flow(2, in_port=1)
    rig.flow(3, in_port=2)
    frames = _frames(500)
    for frame in frames:
        rig.put("a", frame)
    _turn_until(rig, lambda: rig.port("b").counters()["tx_packets"] == len(frames))
    assert rig.take("b") == frames
    size = sum(map(len, frames))
    counted = {name: n for name, n in rig.port("d").counters().items() if n}
    wanted = {"rx_packets": 500, "rx_bytes": size, "tx_packets": 500, "tx_bytes": size}
    assert counted == wanted
    assert _balanced(rig)


def test_frames_between_devices_are_all_there_and_in_order(rig: Rig, tmp_path: Path) -> None:
    """More of them than there are buffers."""
    frames = _frames(3 * BUFFERS)
    came, went = _write(tmp_path / "in.pcap", frames), tmp_path / "out.pcap"
    rig.configure(
        {
            "in": {"kind": "dpdk", "device": f"net_pcap0,rx_pcap={came}"},
            "out": {"kind": "dpdk", "device": f"net_pcap1,tx_pcap={went}"},
        },
        br0={"in": 1, "out": 2},
    )
    rig.flow(2, in_port=1)
    _turn_until(rig, lambda: rig.port("out").counters()["tx_packets"] == len(frames))
    assert rig.port("in").counters()["rx_packets"] == len(frames)
    assert _balanced(rig)
    rig.configure()
    assert _read(went) == frames


def test_what_is_dropped_gives_its_buffer_back(rig: Rig) -> None:
    rig.configure({"d": ENDLESS}, br0={"d": 1})
    _turn_until(rig, lambda: rig.totals()["received"] > 3 * BUFFERS)
    assert rig.totals()["dropped"] == rig.totals()["received"]
    assert rig.port("d").link().up
    assert rig.port("d").counters()["rx_dropped"] == 0


def test_tags_grow_in_front_of_a_frame_where_it_lies(rig: Rig, tmp_path: Path) -> None:
    frames = _frames(10)
    came, went = _write(tmp_path / "in.pcap", frames), tmp_path / "out.pcap"
    device = f"net_pcap0,rx_pcap={came},tx_pcap={went}"
    rig.configure({"d": {"kind": "dpdk", "device": device}, "m": "memory"}, br0={"d": 1, "m": 2})
    rig.act(Output(2), PushVlan(0x8100), Output(2), Output(IN_PORT))
    _turn_until(rig, lambda: rig.port("d").counters()["tx_packets"] == len(frames))
    rig.configure()
    assert _read(went) == [f[:12] + b"\x81\x00\x00\x00" + f[12:] for f in frames]


def test_a_group_sends_one_frame_to_many(rig: Rig) -> None:
    ports = {"a": "memory", "d": LOOP, "s": SILENT, "b": "memory"}
    rig.configure(ports, br0={"a": 1, "d": 2, "s": 3, "b": 4})
    buckets = tuple(Bucket(actions=(Output(port),)) for port in (3, 4))
    assert rig.apply(GroupMod(0, ALL, 1, buckets)) == [DONE]
    rig.flow(2, in_port=1)
    rig.act(Group(1), match=match(in_port=2))
    for frame in _frames(50):
        rig.put("a", frame)
    _turn_until(rig, lambda: rig.port("b").counters()["tx_packets"] == 50)
    assert rig.take("b") == _frames(50)
    assert rig.port("s").counters()["tx_packets"] == 50


def test_frames_longer_than_a_buffer_go_and_come(rig: Rig) -> None:
    ports = {"a": "memory", "d": LOOP | {"mtu": 9000}, "b": "memory"}
    rig.configure(ports, br0={"a": 1, "d": 2, "b": 3})
    rig.flow(2, in_port=1)
    rig.flow(3, in_port=2)
    frames = [bytes(FRAME[:14]) + os.urandom(size - 14) for size in (2048, 2049, 5000, 9014)]
    for frame in frames:
        rig.put("a", frame)
    _turn_until(rig, lambda: rig.port("b").counters()["tx_packets"] == len(frames))
    assert rig.take("b") == frames


def test_a_frame_longer_than_the_device_takes_is_dropped_and_counted(rig: Rig) -> None:
    rig.configure({"a": "memory", "d": SILENT}, br0={"a": 1, "d": 2})
    rig.flow(2, in_port=1)
    rig.put("a", FRAME + bytes(1500))
    rig.turn()
    counters = rig.port("d").counters()
    assert (counters["tx_packets"], counters["tx_dropped"]) == (0, 1)
    assert _balanced(rig)


def test_what_a_full_device_does_not_take_is_dropped_and_counted(rig: Rig) -> None:
    """What comes out of the ring goes into it again, and there is always more."""
    rig.configure({"a": "memory", "d": LOOP}, br0={"a": 1, "d": 2})
    rig.flow(2, in_port=1)
    rig.act(Output(IN_PORT), match=match(in_port=2))
    for _ in range(40):
        for frame in _frames(100):
            rig.put("a", frame)
        rig.turn()
    assert rig.port("d").counters()["tx_dropped"] > 0
    assert _balanced(rig)


# Devices that the kernel has the other side of.


def _raw(interface: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((interface, 0))
    raw.settimeout(0.02)
    return raw


def _heard(raw: socket.socket, frame: bytes) -> bool:
    try:
        return raw.recv(4096) == frame
    except TimeoutError:
        return False


@pytest.fixture(params=["net_af_packet0,iface=eth1", "net_tap0,iface=far1"])
def wire(request: Any, namespace: Any) -> str:
    """Give a device whose other side is the interface far1, if it has been opened."""
    if "iface=eth1" in request.param:
        namespace("link", "add", "eth1", "type", "veth", "peer", "name", "far1")
        namespace("link", "set", "eth1", "up")
    return str(request.param)


def test_frames_pass_between_a_device_and_the_kernel(wire: str, namespace: Any, rig: Rig) -> None:
    rig.configure({"m": "memory", "d": {"kind": "dpdk", "device": wire}}, br0={"m": 1, "d": 2})
    namespace("link", "set", "far1", "up")
    rig.flow(2, in_port=1)
    rig.flow(1, in_port=2)
    there, back = _frames(2)
    with _raw("far1") as raw:
        rig.put("m", there)
        _turn_until(rig, lambda: _heard(raw, there))
        raw.send(back)
        _turn_until(rig, lambda: back in rig.take("m"))
    rig.configure()


# Opening and closing.


WRONG = {
    "no such driver": ("net_nothing0", 'DPDK has no device "net_nothing0": '),
    "no such card": ("0000:fe:1f.7", 'DPDK has no device "0000:fe:1f.7": '),
    "no such interface": (
        "net_af_packet0,iface=absent0",
        'DPDK has no device "net_af_packet0,iface=absent0": ',
    ),
    "no such file": (
        "net_pcap0,rx_pcap=/absent/file",
        'DPDK has no device "net_pcap0,rx_pcap=/absent/file": ',
    ),
    "an argument that no driver knows": (
        "net_null0,colour=red",
        'DPDK has no device "net_null0,colour=red": ',
    ),
}


@pytest.mark.parametrize(("device", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_device_is_refused_and_changes_nothing(rig: Rig, device: str, text: str) -> None:
    """T1: the error says what DPDK says, and the process lives."""
    rig.configure({"a": "memory", "d": LOOP}, br0={"a": 1, "d": 2})
    before = rig.snapshot()
    bad = {"kind": "dpdk", "device": device}
    with pytest.raises(BadConfig) as refused:
        rig.configure({"a": "memory", "d": LOOP, "x": bad}, br0={"a": 1, "d": 2, "x": 3})
    assert refused.value.path == "/raicho/port[name='x']/device"
    assert refused.value.reason.startswith(text)
    assert len(refused.value.reason) > len(text), "and why"
    assert rig.snapshot() == before


def test_a_configuration_of_before_waits_for_its_device(rig: Rig, make_tree: Any) -> None:
    wanted = make_tree({"d": {"kind": "dpdk", "device": "net_nothing0"}}, br0={"d": 1})
    rig.switch.commit(rig.switch.prepare(read(wanted), lenient=True), rig.now)
    assert list(rig.switch.ports.missing) == ["d"]


def test_a_dry_run_leaves_the_device_free(rig: Rig, make_tree: Any) -> None:
    rig.switch.abort(rig.switch.prepare(read(make_tree({"d": LOOP}))))
    Port(KIND, "d", "net_ring0").close()


def test_a_device_has_one_port(rig: Rig, make_tree: Any) -> None:
    twice = {"d": LOOP, "e": LOOP | {"device": "net_ring0,nodeaction=net_ring0:0:CREATE"}}
    with pytest.raises(BadConfig, match="net_ring0 is the device of port d already"):
        read(make_tree(twice))
    port = Port(KIND, "d", "net_ring0")
    with pytest.raises(OSError, match="in use by another port already"):
        Port(KIND, "e", "net_ring0")
    port.close()


def test_a_port_opens_again_and_again() -> None:
    for _ in range(100):
        port = Port(KIND, "d", "net_ring0")
        assert port.link().up
        port.close()


def test_another_mtu_opens_the_device_again(rig: Rig) -> None:
    rig.configure({"d": LOOP | {"mtu": 2000}}, br0={"d": 1})
    assert rig.port("d").link().mtu == 2000
    rig.configure({"d": LOOP | {"mtu": 3000}}, br0={"d": 1})
    assert rig.port("d").link().mtu == 3000
    before = rig.port("d")
    with pytest.raises(BadConfig, match='"net_null0" takes an MTU of 46 to 65535, not 40'):
        rig.configure({"d": LOOP | {"mtu": 3000}, "e": _null(mtu=40)}, br0={"d": 1})
    with pytest.raises(BadConfig, match="takes an MTU of"):
        rig.configure({"d": LOOP | {"mtu": 40}}, br0={"d": 1})
    assert rig.port("d") is before, "what could never be leaves it open"
    assert before.link().mtu == 3000


def _null(**leaves: Any) -> dict[str, Any]:
    return {"kind": "dpdk", "device": "net_null0", **leaves}


def test_a_port_that_is_disabled_is_down(rig: Rig) -> None:
    rig.configure({"d": LOOP}, br0={"d": 1})
    rig.configure({"d": LOOP | {"enabled": False}}, br0={"d": 1})
    link = rig.port("d").link()
    assert (link.up, link.admin_up) == (False, False)
    rig.configure({"d": LOOP}, br0={"d": 1})
    assert rig.port("d").link().up


def test_a_port_may_go_while_its_packets_wait_elsewhere(rig: Rig) -> None:
    slow = {"kind": "memory", "queue": [{"id": 1, "max-rate": 1}]}
    ports = {"a": "memory", "d": LOOP, "b": slow}
    rig.configure(ports, br0={"a": 1, "d": 2, "b": 3})
    rig.flow(2, in_port=1)
    rig.act(SetQueue(1), Output(3), match=match(in_port=2))
    for frame in _frames(100):
        rig.put("a", frame)
    _turn_until(rig, lambda: rig.port("d").counters()["rx_packets"] == 100)
    rig.configure({"a": "memory", "b": slow}, br0={"a": 1, "b": 3})
    rig.configure(ports, br0={"a": 1, "d": 2, "b": 3})
    rig.put("a", FRAME)
    _turn_until(rig, lambda: rig.port("d").counters()["rx_packets"] == 1)
    rig.configure({"a": "memory"}, br0={"a": 1})
    rig.turn()
    assert _balanced(rig)
    Port(KIND, "d", "net_ring0").close()


# Queues of a device.


def test_the_queues_of_a_device_belong_to_one_port() -> None:
    port = Port(KIND, "d", "net_ring0", queues=2)
    assert port.link().up
    with pytest.raises(OSError, match="in use by another port already"):
        Port(KIND, "d2", "net_ring0", queues=2)
    port.close()
    Port(KIND, "d2", "net_ring0", queues=2).close()


def test_a_queue_that_is_not_there_is_refused() -> None:
    with pytest.raises(OSError, match='"net_ring0" has at most 16 queues, not 17'):
        Port(KIND, "d", "net_ring0", queues=17)


def test_queues_of_a_device_forward_each_for_itself(rig: Rig) -> None:
    """A worker each; what one of them sends comes back by its own queue."""
    d = {"kind": "dpdk", "device": "net_ring0", "device-queues": 2}
    ports = {
        "a": "memory",
        "b": {"kind": "memory", "worker": 1},
        "c": "memory",
        "d": d | {"lane": [{"queue": 1, "worker": 1}]},
    }
    rig.configure(ports, workers=({"id": 1},), br0={"a": 1, "b": 2, "c": 3, "d": 4})
    rig.flow(4, in_port=1)
    rig.flow(4, in_port=2)
    rig.flow(3, in_port=4)
    frames = _frames(5 * BUFFERS)
    got: list[bytes] = []
    for i in range(0, len(frames), 100):
        for n, frame in enumerate(frames[i : i + 100]):
            rig.put("ab"[n % 2], frame)
        rig.turn()
        got += rig.take("c")
    _turn_until(rig, lambda: got.extend(rig.take("c")) or len(got) == len(frames))
    assert sorted(got) == sorted(frames)
    received = [runner.worker.totals()["received"] for runner in rig.switch.runners.values()]
    assert received == [len(frames), len(frames)]


# Threads and the process.


@pytest.fixture
def running() -> Iterator[Switch]:
    switch = Switch(0)
    yield switch
    switch.close()


def test_workers_forward_and_end(running: Switch, make_tree: Any, tmp_path: Path) -> None:
    """A worker that joined DPDK leaves it again, as often as it likes."""
    frames = _frames(BUFFERS)
    came, went = _write(tmp_path / "in.pcap", frames), tmp_path / "out.pcap"
    ports = {
        "in": {"kind": "dpdk", "device": f"net_pcap0,rx_pcap={came}", "worker": 1},
        "out": {"kind": "dpdk", "device": f"net_pcap1,tx_pcap={went}", "worker": 1},
    }
    for _ in range(3):
        bridge = {"fail-mode": "standalone", "out": 2, "in": 1}  # out is there when in is read
        tree = make_tree(ports, workers=({"id": 1},), br0=bridge)
        running.commit(running.prepare(read(tree)), 0)
        out = running.ports.open["out"]
        end = time.monotonic() + 20
        while out.counters()["tx_packets"] < len(frames):
            assert time.monotonic() < end
            time.sleep(0.01)
        running.commit(running.prepare(read(make_tree())), 0)
        assert _read(went) == frames


START = """
import os
from raicho.dataplane.dpdk import KIND
from raicho.dataplane.port import Port

def state():
    lines = open("/proc/self/status").read().splitlines()
    masks = dict(line.split(":") for line in lines if line.startswith("Sig"))
    signals = [int(masks[each], 16) & 0x7FFFFFFF for each in ("SigBlk", "SigIgn", "SigCgt")]
    return os.sched_getaffinity(0), signals

before = state()
Port(KIND, "d", "net_null0").close()
assert state() == before, (before, state())
print(os.getpid())
"""


def test_starting_leaves_the_process_and_the_host_as_they_were() -> None:
    """DPDK would bind the thread to a processor, and leave a folder."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert not done.returncode, done.stderr
    assert done.stderr == ""
    pid = done.stdout.strip()
    assert not Path(f"/var/run/dpdk/raicho-{pid}").exists()
