"""What of a configuration matters to routing."""

from typing import Any

from raicho.control.routing.settings import Interface, Router, Routing, clashes, routers_of


def tree(**routers: dict[str, Any]) -> dict[str, Any]:
    return {"raicho": {"router": [{"name": name, **row} for name, row in routers.items()]}}


HOST = [{"name": "eth1", "host": True, "port": "p1"}]


def test_a_router_without_a_host_side_is_none_of_ours() -> None:
    config = tree(
        r1={"interface": HOST, "host-namespace": "os", "routing": {"restart-time": 7}},
        r2={"interface": [{"name": "eth2", "port": "p2"}]},
        r3={},
    )
    interfaces = (Interface("eth1", host=True),)
    assert routers_of(config) == {"r1": Router("r1", "os", interfaces, Routing(restart_time=7))}
    assert routers_of({}) == {}


def test_two_routers_cannot_have_one_table_of_one_zebra() -> None:
    """F10: but two tables, or in two namespaces, or at two ports."""
    same = routers_of(tree(r1={"interface": HOST}, r2={"interface": HOST}))
    assert list(clashes(same)) == [
        (
            "/raicho/router[name='r2']/routing/table",
            "router r1 has this table of the zebra that connects there",
        )
    ]
    for other in (
        {"routing": {"table": 10}},
        {"routing": {"fpm-port": 2621}},
        {"host-namespace": "os"},
    ):
        rows = tree(r1={"interface": HOST}, r2={"interface": HOST, **other})
        assert not list(clashes(routers_of(rows)))
