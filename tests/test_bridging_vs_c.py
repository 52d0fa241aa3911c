"""NORMAL, its VLANs and its addresses against the oracle, on random ports and frames (P1, K19)."""

import os
from random import Random

import pytest
from oracle import bridging, wire
from oracle.actions import Output, PushVlan, SetField
from oracle.bridging import Learning
from oracle.fields import PRESENT
from oracle.headers import HEADER_ACTIONS
from oracle.match import Apply, Entry
from oracle.subject import Subject

N_PORTS, FRAMES, BRIDGES = 4, 60, 150
NORMAL = 0xFFFFFFFA
RETAGGED = 2  # the port whose frames the tables give another tag first
FIRST_SEED = int(os.environ.get("RAICHO_ORACLE_SEED", "0"))
RETAG = (PushVlan(0x8100), SetField("vlan_vid", PRESENT | 10))


def with_normal() -> Subject:
    """Return a switch whose tables end in NORMAL."""
    subject = Subject(N_PORTS)
    output = Output(NORMAL)
    entries = [
        Entry(0, 1, {"in_port": (RETAGGED, 0xFFFFFFFF)}, (Apply((*RETAG, output)),)),
        Entry(0, 0, {}, (Apply((output,)),)),
    ]
    messages = b"".join(map(wire.flow_mod, entries))
    assert set(subject.apply(messages)) == {0xFFFFFFFF}
    return subject


def as_the_tables_make_it(where: int, frame: bytes, pipeline: str) -> bytes:
    if where == RETAGGED and pipeline == "openflow":
        for action in RETAG:
            frame = HEADER_ACTIONS[type(action)](frame, action)
    return frame


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 3))
def test_a_bridge_forwards_as_the_oracle_says(seed: int) -> None:
    rng, subject = Random(seed), with_normal()
    n_out = n_dropped = 0
    for _ in range(BRIDGES):
        ports = {n: bridging.port(rng) for n in range(1, N_PORTS + 1)}
        fixed = bridging.fixed(rng, N_PORTS)
        pipelines = {n: rng.choice(("openflow", "bridge")) for n in ports}
        oracle = Learning(ports, fixed)
        subject.bridge(ports, fixed, pipelines)
        for i in range(FRAMES):
            if i == FRAMES // 2:
                oracle.change(1, bridging.port(rng))
                subject.bridge(oracle.ports, fixed, pipelines, afresh=False)
            where, frame = rng.randrange(1, N_PORTS + 1), bridging.frame(rng)
            seen = as_the_tables_make_it(where, frame, pipelines[where])
            wanted = oracle.receive(where, seen)
            sent, _ = subject.send(where, frame)
            assert sorted(sent) == sorted(wanted), (oracle.ports, fixed, where, frame.hex())
            n_out += len(sent)
            n_dropped += not sent
    assert n_out > BRIDGES * FRAMES / 2
    assert n_dropped > BRIDGES
