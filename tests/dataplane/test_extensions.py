"""Kinds of ports that come from extensions, which not every build has."""

import sys
from typing import Any

import pytest

from raicho.dataplane.config import BadConfig
from raicho.dataplane.port import Kind, Port


def test_a_kind_whose_extension_is_not_here_says_what_is_missing(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1: nothing changes, the process lives, and the operator knows what to install."""
    monkeypatch.setitem(sys.modules, "raicho.dataplane.dpdk", None)
    before = rig.snapshot()
    with pytest.raises(BadConfig, match=r"no ports of kind dpdk here .*libdpdk-dev") as refused:
        rig.configure({"p1": {"kind": "dpdk", "device": "net_null0"}})
    assert refused.value.path == "/raicho/port[name='p1']/kind"
    assert rig.snapshot() == before


def test_a_kind_that_is_always_there_can_be_had_by_its_name() -> None:
    kind = Kind("memory")
    assert kind.name == "memory"
    port = Port(kind, "p1")
    assert (port.kind, port.name) == ("memory", "p1")
    with pytest.raises(ValueError, match="no such kind of port: 'none'"):
        Kind("none")
