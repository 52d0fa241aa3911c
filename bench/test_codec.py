"""What reading and writing one OpenFlow message costs in the agent: `make bench` times it."""

from typing import Any

from raicho.control.openflow import spec

from . import openflow as of

FLOW_MOD = of.flow_mod(
    {"eth_type": 0x0800, "ip_proto": 17, "ipv4_dst": (0x0A000000, 0xFF000000), "udp_dst": 53},
    of.apply(of.set_field("eth_dst", 3), of.dec_ttl(), of.output(2)),
    of.goto(4),
    priority=100,
)


def test_unpacking_a_flow_mod(benchmark: Any) -> None:
    message, xid = benchmark(spec.unpack, FLOW_MOD)
    assert (message.priority, xid) == (100, 0)


def test_packing_a_flow_mod(benchmark: Any) -> None:
    message, _ = spec.unpack(FLOW_MOD)
    assert benchmark(spec.pack, message) == FLOW_MOD
