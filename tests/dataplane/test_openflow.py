"""Every bulk operation, and every way it can fail."""

import struct
from typing import Any

import msgspec
import pytest

from raicho.control.openflow.spec import pack
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.messages import FlowMod, PacketOut
from raicho.dataplane import state
from raicho.dataplane.datapath import DONE
from raicho.dataplane.openflow import Operations
from raicho.dataplane.operation import TimedOut, reply

from .conftest import answer_of

FRAME = bytes.fromhex("0200000000020200000000019999") + bytes(46)
BAD_REQUEST, BAD_TYPE, BAD_MULTIPART, BAD_LEN = 1, 1, 2, 6
FLOW_MOD_FAILED, BAD_COMMAND = 5, 6
SWITCH_CONFIG_FAILED = 10


@pytest.fixture
def ask(rig: Any) -> Any:
    """Give a way to do an operation on a bridge with two ports."""
    rig.configure({"p1": "memory", "p2": "memory"}, br0={"p1": 1, "p2": 2, "datapath-id": "0x2a"})
    operations = Operations(rig.switch)

    def ask(op: str, payload: bytes = b"") -> tuple[int, list[bytes]]:
        return answer_of(operations, op, payload)

    return ask


def error(kind: int, code: int) -> tuple[int, list[bytes]]:
    return kind << 16 | code, []


def test_apply_answers_for_each_message(ask: Any) -> None:
    """F13: one bad message among good ones costs only itself."""
    good, bad = pack(FlowMod()), pack(FlowMod(table_id=255))
    code, [results] = ask("apply", good + bad + good)
    assert code == DONE
    assert memoryview(results).cast("I").tolist() == [DONE, 5 << 16 | 2, DONE]


def test_apply_of_nothing_has_no_results(ask: Any) -> None:
    assert ask("apply") == (DONE, [b""])


@pytest.mark.parametrize("payload", [b"x", b"\4\16\0\7xxx", b"\4\16\0\x7f" + bytes(52)])
def test_apply_stops_where_no_message_is(ask: Any, payload: bytes) -> None:
    """Whoever sent it sees that there are fewer results than messages."""
    code, [results] = ask("apply", pack(FlowMod()) + payload)
    assert code == DONE
    assert memoryview(results).cast("I").tolist() == [DONE]


def test_a_message_that_is_not_for_tables_is_a_bad_type(ask: Any) -> None:
    _, [results] = ask("apply", bytes([4, 0, 0, 8, 0, 0, 0, 0]))
    assert memoryview(results).cast("I").tolist() == [BAD_REQUEST << 16 | BAD_TYPE]


def test_a_packet_out_leaves(rig: Any, ask: Any) -> None:
    ask("apply", pack(PacketOut(actions=(Output(2),), data=bytes(60))))
    rig.turn()
    assert rig.take("p2") == [bytes(60)]
    assert rig.totals()["injected"] == 1


def test_barrier(rig: Any, ask: Any) -> None:
    assert ask("barrier") == (DONE, [])
    rig.configure({"p1": "memory"}, br0={"p1": 1})
    assert ask("barrier") == (DONE, [])


def test_a_barrier_that_no_worker_passes_times_out(
    rig: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packet sent before it is never taken: nobody runs the worker."""
    monkeypatch.setattr("raicho.dataplane.openflow.PATIENT_MS", 5)
    ask("apply", pack(PacketOut(actions=(Output(2),), data=bytes(60))))
    assert ask("barrier") == (TimedOut.code, [])
    rig.turn()
    assert ask("barrier") == (DONE, [])


@pytest.mark.parametrize("kind", [3, 7, 13])
def test_multipart_answers_with_parts(ask: Any, kind: int) -> None:
    code, parts = ask("multipart", struct.pack("!HH", kind, 0))
    assert code == DONE
    assert parts


def test_a_long_answer_has_parts_of_whole_entries(rig: Any, ask: Any) -> None:
    for vlan in range(2000):
        rig.flow(2, vlan_vid=0x1000 | vlan)
    every = bytes([255, 0, 0, 0]) + b"\xff" * 8 + bytes(20) + bytes([0, 1, 0, 4, 0, 0, 0, 0])
    code, parts = ask("multipart", struct.pack("!HH", 1, 0) + every)
    assert code == DONE
    assert len(parts) > 1
    entries = 0
    for part in parts:
        assert len(part) <= 65000
        while part:
            part = part[int.from_bytes(part[:2], "big") :]
            entries += 1
    assert entries == 2000


def test_port_statistics_take_over_what_devices_counted(rig: Any, ask: Any) -> None:
    rig.flow(2, in_port=1)
    rig.put("p1")
    rig.turn()
    _, [body] = ask("multipart", struct.pack("!HH", 4, 0) + b"\xff" * 4 + bytes(4))
    rows = {struct.unpack_from("!I", body, at)[0]: at for at in range(0, len(body), 112)}
    assert struct.unpack_from("!QQ", body, rows[1] + 8) == (1, 0)
    assert struct.unpack_from("!QQ", body, rows[2] + 8) == (0, 1)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", BAD_LEN),
        (b"\0\0\0", BAD_LEN),
        (b"\0\1\0\0", BAD_LEN),
        (b"\x77\x77\0\0", BAD_MULTIPART),
    ],
)
def test_a_wrong_multipart_request_is_an_error(ask: Any, payload: bytes, code: int) -> None:
    assert ask("multipart", payload) == error(BAD_REQUEST, code)


def test_features(ask: Any) -> None:
    code, [frame] = ask("features")
    features = msgspec.msgpack.decode(frame)
    assert code == DONE
    assert features["datapath_id"] == 42
    assert (features["n_buffers"], features["n_tables"]) == (0, 255)
    assert features["capabilities"] & 0xF == 0xF


def test_config_is_kept_over_commits(rig: Any, ask: Any) -> None:
    assert ask("get_config") == (DONE, [struct.pack("!HH", 0, 128)])
    assert ask("config", struct.pack("!HH", 1, 200)) == (DONE, [])
    rig.configure({"p1": "memory"}, br0={"p1": 1})
    assert ask("get_config") == (DONE, [struct.pack("!HH", 1, 200)])


def test_a_config_that_cannot_be_changes_nothing(ask: Any) -> None:
    assert ask("config", b"\0\0\0") == error(BAD_REQUEST, BAD_LEN)
    for flags in (2, 3, 4, 0xFFFF):
        payload = struct.pack("!HH", flags, 64)
        assert ask("config", payload) == error(SWITCH_CONFIG_FAILED, 0)
    assert ask("get_config") == (DONE, [struct.pack("!HH", 0, 128)])


def number(value: int) -> bytes:
    return struct.pack("!I", value)


def test_without_a_controller_a_standalone_bridge_learns(rig: Any) -> None:
    """K16: fail-standalone: the tables wait until somebody controls them again."""
    ports = {"p1": "memory", "p2": "memory", "p3": "memory"}
    numbers = {"p1": 1, "p2": 2, "p3": 3}
    rig.configure(ports, br0={**numbers, "fail-mode": "standalone"})
    bridge, operations = rig.switch.bridges["br0"], Operations(rig.switch)

    def tell(op: str, value: int) -> tuple[int, Any]:
        return answer_of(operations, op, number(value))

    def send(port: str, frame: bytes) -> dict[str, list[bytes]]:
        rig.put(port, frame)
        rig.turn()
        return {name: frames for name in ports if (frames := rig.take(name))}

    assert bridge.standalone
    assert send("p1", FRAME) == {"p2": [FRAME], "p3": [FRAME]}
    back = FRAME[6:12] + FRAME[:6] + FRAME[12:]
    assert send("p2", back) == {"p1": [back]}
    learned = {(row["mac"], row["number"]) for row in state.read(rig.switch, "/fdb")}
    assert learned == {("02:00:00:00:00:01", 1), ("02:00:00:00:00:02", 2)}
    assert tell("controllers", 1) == (DONE, [])
    assert not bridge.standalone
    assert send("p1", FRAME) == {}
    assert tell("controllers", 0) == (DONE, [])
    assert send("p1", FRAME) == {"p2": [FRAME]}
    assert tell("flush_fdb", 2) == (DONE, [number(1)])
    assert tell("flush_fdb", 0) == (DONE, [number(1)])
    assert send("p1", FRAME) == {"p2": [FRAME], "p3": [FRAME]}


@pytest.mark.parametrize("op", ["controllers", "flush_fdb"])
def test_a_number_of_another_length_is_refused(ask: Any, op: str) -> None:
    assert ask(op, b"\0\0\1") == error(BAD_REQUEST, BAD_LEN)


def test_only_a_flow_mod_that_modifies_is_modified_by(ask: Any) -> None:
    """What is wrong is named: the length of one that is cut short, the command of one that adds."""
    whole = pack(FlowMod())
    assert ask("modify", whole[:55]) == error(BAD_REQUEST, BAD_LEN)
    assert ask("modify", whole) == error(FLOW_MOD_FAILED, BAD_COMMAND)


def test_a_defect_of_an_operation_is_not_taken_for_a_bad_payload() -> None:
    def defect() -> list[bytes]:
        return [struct.pack("!B", 256)]

    with pytest.raises(struct.error):
        reply("defect", defect)
