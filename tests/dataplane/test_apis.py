"""What the dataplane says can be asked of it (G10, K19)."""

from pathlib import Path
from typing import Any

import pytest

from raicho.control.message import Get
from raicho.dataplane import apis, sample, state
from raicho.dataplane.operation import BAD_TYPE
from raicho.dataplane.service import LISTENING

from .test_escalation import tree
from .test_service import house

ROWS = apis.rows(LISTENING)

# Per-protocol APIs, and what each has beside the configuration (K19).
WANTED = {
    "l2/fdb": {"del", "get", "stat", "bulk"},
    "l3/route": {"add", "del", "get", "bulk", "stat"},
    "l3/next-hop": {"add", "del", "get", "bulk", "stat"},
    "l3/neighbour": {"add", "del", "get", "bulk", "stat"},
    "l3/tree": {"add", "del", "get", "bulk", "stat"},
    "l3/router": {"get", "stat", "bulk"},
    "nat/session": {"del", "get", "bulk", "stat"},
    "nat/forward": {"add", "del", "get", "bulk", "stat"},
    "openflow/flow": {"add", "del", "get", "bulk", "stat"},
    "qos/queue": {"get", "stat", "bulk"},
    "packet": {"add", "del", "send"},
}


@pytest.mark.parametrize(("api", "verbs"), WANTED.items(), ids=WANTED)
def test_each_protocol_has_an_api(api: str, verbs: set[str]) -> None:
    """G10, K19."""
    assert {verb for row in ROWS if row["api"] == api for verb in row["verbs"]} == verbs


def test_each_operation_says_what_it_does() -> None:
    assert [row for row in ROWS if not row["text"] or not row["verbs"]] == []


def test_every_name_is_one_of_a_view_or_of_counters() -> None:
    assert apis.NAMES.keys() - {*state.VIEWS, *sample.SETS, *sample.BULKY} == set()


def with_a_bridge() -> dict[str, Any]:
    found = tree()
    found["raicho"]["bridge"] = [{"name": "br0"}]
    return found


async def test_what_is_listed_is_answered(tmp_path: Path) -> None:
    """G10."""
    async with house(tmp_path, with_a_bridge) as home:
        await home.configure()
        rows: list[dict[str, Any]] = (await home.control.call(Get("/api"))).data
        bulk = {row["operation"] for row in rows if row["by"] == "bulk"}
        assert bulk == {row["operation"] for row in ROWS if row["by"] == "bulk"}
        codes = {op: (await home.ask(op))[0] for op in bulk}
        assert BAD_TYPE not in codes.values()
        for op in ("no such thing", "", "APPLY"):
            assert (await home.ask(op))[0] == BAD_TYPE
        for row in rows:
            if row["by"] == "Get":
                assert (await home.control.call(Get(row["operation"]))).data is not None
