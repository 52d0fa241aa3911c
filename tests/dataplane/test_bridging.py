"""What bridges do by themselves, as configured: read, refused, in force, shown."""

from typing import Any

import pytest

from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.templates import (
    TemplateCommand,
    TemplateFailed,
    TemplateMod,
    message,
)
from raicho.dataplane import state
from raicho.dataplane.bridging import PLAIN, Bridging, FixedMac, Multicast
from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.datapath import DONE

from .conftest import FRAME

ALL = ((0, 4095),)
MAC = "02:00:00:00:00:09"


def tree(member: dict[str, Any] | None = None, **bridge: Any) -> dict[str, Any]:
    """Write a bridge with ports p1, as *member* has it, and p2."""
    ports = [{"name": f"p{n}", "kind": "memory"} for n in (1, 2)]
    members = [{"name": "p1", "number": 1, **(member or {})}, {"name": "p2", "number": 2}]
    return {"raicho": {"port": ports, "bridge": [{"name": "br0", "port": members, **bridge}]}}


@pytest.mark.parametrize(
    ("leaves", "how"),
    [
        ({}, PLAIN),
        ({"vlan": 7}, Bridging("access", 7, ((7, 7),))),
        ({"vlan-mode": "access", "vlan": 7}, Bridging("access", 7, ((7, 7),))),
        ({"trunk": ["5", "10..12"]}, Bridging("trunk", 0, ((5, 5), (10, 12)))),
        (
            {"vlan-mode": "native-tagged", "vlan": 7, "trunk": ["5"]},
            Bridging("native-tagged", 7, ((5, 5), (7, 7))),
        ),
        (
            {"vlan-mode": "native-untagged", "vlan": 7},
            Bridging("native-untagged", 7, (*ALL, (7, 7))),
        ),
        ({"isolated": True, "max-macs": 5}, Bridging(isolated=True, max_macs=5)),
        (
            {"multicast-router": "never", "fast-leave": True},
            Bridging(router="never", leaves_at_once=True),
        ),
    ],
)
def test_a_port_takes_part_as_it_is_told(leaves: dict[str, Any], how: Bridging) -> None:
    assert read(tree(leaves)).bridges["br0"].ports["p1"].bridging == how


def test_the_pipeline_of_a_port_goes_before_that_of_its_bridge() -> None:
    ports = read(tree({"pipeline": "openflow"}, pipeline="bridge")).bridges["br0"].ports
    assert [ports[name].pipeline for name in ("p1", "p2")] == ["openflow", "bridge"]


@pytest.mark.parametrize(
    ("member", "bridge", "path", "reason"),
    [
        ({"trunk": ["9..5"]}, {}, "/port[name='p1']/trunk", "9..5 is no range"),
        ({"trunk": ["4096"]}, {}, "/port[name='p1']/trunk", "4096 is no range"),
        (
            {"pipeline": "template:4294967295"},
            {},
            "/port[name='p1']/pipeline",
            "4294967295 is no number of a template",
        ),
        (
            {"vlan": 7},
            {"static-mac": [{"vlan": 8, "mac": MAC, "port": "p1"}]},
            f"/static-mac[vlan='8'][mac='{MAC}']/port",
            "port p1 is not in VLAN 8",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(
    member: dict[str, Any], bridge: dict[str, Any], path: str, reason: str
) -> None:
    """F15."""
    with pytest.raises(BadConfig) as refused:
        read(tree(member, **bridge))
    assert refused.value.path == f"/raicho/bridge[name='br0']{path}"
    assert reason in refused.value.reason


def test_what_is_set_is_in_force_and_shown(rig: Any) -> None:
    """G3, K19: addresses, multicast groups and ports."""
    fixed = [{"vlan": 0, "mac": MAC, "port": "p2"}, {"vlan": 3, "mac": MAC}]
    wanted = tree(
        {"isolated": True},
        **{"static-mac": fixed, "mac-ageing": 60, "max-macs": 100, "pipeline": "bridge"},
        multicast={"snooping": True, "unknown": "routers"},
    )
    config = read(wanted)
    assert config.bridges["br0"].macs.fixed == (FixedMac(0, MAC, "p2"), FixedMac(3, MAC))
    assert config.bridges["br0"].multicast == Multicast(True, False, "routers")
    rig.switch.commit(rig.switch.prepare(config), rig.now)
    rows = [
        (row["vlan"], row["mac"], row["port"], row["static"])
        for row in state.read(rig.switch, "/fdb")
    ]
    assert rows == [(0, MAC, "p2", True), (3, MAC, None, True)]
    row = state.read(rig.switch, "/bridge[name='br0']")
    assert (row["mac-ageing"], row["max-macs"], row["pipeline"]) == (60, 100, "bridge")
    assert row["multicast"] == row["multicast"] | {"snooping": True, "groups": 0}
    frame = bytes.fromhex(MAC.replace(":", "")) + bytes.fromhex("020000000001") + bytes(50)
    rig.put("p1", frame)
    rig.turn()
    assert rig.take("p2") == [frame]
    assert {row["port"] for row in state.read(rig.switch, "/fdb")} == {"p1", "p2", None}


def define(rig: Any, to: int, *, anew: bool = False, parameters: int = 0) -> list[int]:
    command = TemplateCommand.MODIFY if anew else TemplateCommand.ADD
    actions = (ApplyActions((Output(to),)),)
    return rig.apply(message(TemplateMod(command, 7, parameters, "mine", actions)))  # type: ignore[no-any-return]


def passes(rig: Any, to: str) -> bool:
    rig.put("p1", FRAME)
    rig.turn()
    taken = {name: rig.take(name) for name in ("p2", "p3")}
    return taken[to] == [FRAME] and sum(map(len, taken.values())) == 1


def test_a_port_is_bound_to_a_program_that_a_controller_defines(rig: Any) -> None:
    """F7, G9: whichever of port and template is there first; a switch that starts anew waits."""
    ports = {f"p{i}": "memory" for i in (1, 2, 3)}
    rig.configure(ports, br0={"pipeline": "template:7", "p1": 1, "p2": 2, "p3": 3})

    def members() -> list[tuple[Any, ...]]:
        row = state.read(rig.switch, "/bridge[name='br0']")
        return [(port["pipeline"], port["closed"]) for port in row["port"]]

    assert members() == [("template:7", True)] * 3
    assert not passes(rig, "p2")
    [worker] = rig.switch.runners.values()
    assert worker.worker.totals()["drops"]["no_program"] == 1
    assert define(rig, 2) == [DONE]
    assert members() == [("template:7", False)] * 3
    assert passes(rig, "p2")
    assert define(rig, 3, anew=True) == [DONE]
    assert passes(rig, "p3")
    assert define(rig, 3, anew=True, parameters=1) == [0xFFFF << 16 | TemplateFailed.BAD_ARGUMENTS]
    assert rig.apply(message(TemplateMod(TemplateCommand.DELETE, 7))) == [
        0xFFFF << 16 | TemplateFailed.IN_USE
    ]
    rig.configure(ports, br0={"pipeline": "bridge", "p1": 1, "p2": 2, "p3": 3})
    assert rig.apply(message(TemplateMod(TemplateCommand.DELETE, 7))) == [DONE]
