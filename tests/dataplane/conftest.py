"""What tests of the dataplane share: a switch that moves when told to, a network namespace."""

import asyncio
import ctypes
import inspect
import os
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import pytest
from system.needs import find, missing

from raicho.control.openflow.spec import Message, pack, pack_part, unpack
from raicho.control.openflow.spec.actions import Action, Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod
from raicho.control.openflow.spec.multipart import Request
from raicho.dataplane import state
from raicho.dataplane.config import read
from raicho.dataplane.datapath import DONE
from raicho.dataplane.openflow import Operations
from raicho.dataplane.operation import Reply
from raicho.dataplane.switch import Switch
from raicho.dataplane.worker import former_totals

# Tests of an extension are there if it is: building without it is no defect to be told of.
collect_ignore = [] if find_spec("raicho.dataplane.dpdk") else ["test_dpdk.py"]

LEAVES = {"datapath-id", "max-flows", "fail-mode", "pipeline"}
CLONE_NEWNET = 0x40000000
FRAME = bytes.fromhex("0200000000020200000000010800") + bytes(50)


def tree(
    ports: Mapping[str, str | dict[str, Any]] | None = None,
    *,
    workers: tuple[dict[str, Any], ...] = (),
    **bridges: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a configuration: ports by name with a kind or more, bridges with numbers by port.

    What is among the numbers and named like a leaf of a bridge is one.
    """
    rows = {n: {"kind": p} if isinstance(p, str) else p for n, p in (ports or {}).items()}
    return {
        "raicho": {
            "port": [{"name": name, **row} for name, row in rows.items()],
            "worker": list(workers),
            "bridge": [_bridge(name, bridge) for name, bridge in bridges.items()],
        }
    }


def _bridge(name: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    leaves = {leaf: numbers[leaf] for leaf in LEAVES & numbers.keys()}
    members = [{"name": k, "number": v} for k, v in numbers.items() if k not in LEAVES]
    return {"name": name, "port": members, **leaves}


class Rig:
    """A switch without threads; packets move when `turn` is called, and time by `now`.

    Or with them, and packets move by themselves.
    """

    def __init__(self, *, threads: bool = False) -> None:
        self.now = 1_000_000
        self.switch = Switch(self.now, threads=threads)

    def configure(self, *args: Any, **bridges: Any) -> None:
        """Let a configuration take effect; arguments are those of `tree`."""
        self.switch.commit(self.switch.prepare(read(tree(*args, **bridges))), self.now)

    def apply(self, *messages: Message, bridge: str = "br0") -> list[int]:
        """Apply messages; return a code each."""
        payload = b"".join(map(pack, messages))
        codes = self.switch.bridges[bridge].apply(payload, self.now)
        return memoryview(codes).cast("I").tolist()

    def flow(self, to: int, *, bridge: str = "br0", **fields: Any) -> None:
        """Add a flow that sends what matches to a port."""
        mod = FlowMod(match=match(**fields), instructions=(ApplyActions((Output(to),)),))
        assert self.apply(mod, bridge=bridge) == [DONE]

    def act(self, *actions: Action, bridge: str = "br0", **settings: Any) -> None:
        """Add a flow with these actions."""
        mod = FlowMod(instructions=(ApplyActions(actions),), **settings)
        assert self.apply(mod, bridge=bridge) == [DONE]

    def ask(self, kind: int, request: Request, bridge: str = "br0") -> Any:
        """Ask for a multipart of one part; return its body."""
        [body] = self.switch.bridges[bridge].multipart(kind, pack_part(request), self.now)
        size = 16 + len(body)
        header = bytes([4, 19]) + size.to_bytes(2, "big") + bytes(4)
        return unpack(header + kind.to_bytes(2, "big") + bytes(6) + body)[0].body

    def put(self, port: str, frame: bytes = FRAME, queue: int = 0) -> None:
        self.port(port).put(frame, queue)

    def take(self, port: str) -> list[bytes]:
        """Take all that a port has sent."""
        return list(iter(self.port(port).take, None))

    def port(self, name: str) -> Any:
        return self.switch.ports.open[name]

    def turn(self) -> None:
        """Let every worker do a few rounds."""
        for runner in list(self.switch.runners.values()) * 2:
            runner.worker.rounds(1 << 32, at_most=4)
        self.switch.dataplane.tick(self.now)

    def statuses(self, bridge: str = "br0") -> list[tuple[int, int]]:
        """Take the port-statuses: reason and number of each."""
        told = self.switch.bridges[bridge].events()
        messages = b"".join(messages for kind, messages in told if kind == "port_status")
        statuses = [unpack(messages[i : i + 80])[0] for i in range(0, len(messages), 80)]
        return [(status.reason, status.desc.port_no) for status in statuses]

    def totals(self) -> dict[str, Any]:
        """Sum what all workers count, also those that are gone; drops are one number."""
        totals = [runner.worker.totals() for runner in self.switch.runners.values()]
        totals.append(former_totals(self.switch.dataplane))
        dropped = sum(sum(each.pop("drops").values()) for each in totals)
        return {k: sum(each[k] for each in totals) for k in totals[0]} | {"dropped": dropped}

    def snapshot(self) -> Any:
        """Describe everything that a configuration could change."""
        bridges = self.switch.bridges
        flows = {name: bridge.multipart(1, ALL_FLOWS, self.now) for name, bridge in bridges.items()}
        files = len(os.listdir("/proc/self/fd"))
        return state.read(self.switch, ""), flows, self.switch.config, files


def answer_of(operations: Operations, op: str, payload: bytes) -> tuple[int, list[bytes]]:
    """Do an operation on br0; return its code and frames."""
    told = operations.run(op, "br0", payload)

    async def end() -> Reply:
        return await told if inspect.isawaitable(told) else told

    code, _, frames = asyncio.run(end())
    return code, list(frames)


# A request for all flows, as a multipart body: every table, port and group.
ALL_FLOWS = bytes([255, 0, 0, 0]) + b"\xff" * 8 + bytes(4 + 16) + bytes([0, 1, 0, 4, 0, 0, 0, 0])


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Give a switch without ports."""
    rig = Rig()
    yield rig
    rig.switch.close()


@pytest.fixture
def running_rig() -> Iterator[Rig]:
    """Give a switch without ports whose workers run."""
    rig = Rig(threads=True)
    yield rig
    rig.switch.close()


def ip(*arguments: str) -> None:
    """Run ip(8) in the network namespace that the test is in."""
    subprocess.run([find("ip") or "ip", *arguments], check=True)


@pytest.fixture
def namespace() -> Iterator[Any]:
    """Put the test into a network namespace of its own; give a way to run ip(8) there."""
    if reason := missing():
        pytest.skip(reason)
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        assert not libc.unshare(CLONE_NEWNET), os.strerror(ctypes.get_errno())
        try:
            for scope in ("all", "default"):
                with open(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "w") as silence:
                    silence.write("1")
            yield ip
        finally:
            assert not libc.setns(before.fileno(), CLONE_NEWNET)


@pytest.fixture
def make_tree() -> Any:
    """Give the way to write a configuration down."""
    return tree
