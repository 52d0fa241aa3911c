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


def test_two_routers_cannot_await_zebra_at_one_place() -> None:
    """F10: but in two namespaces, or at two ports."""
    same = routers_of(tree(r1={"interface": HOST}, r2={"interface": HOST}))
    assert list(clashes(same)) == [
        (
            "/raicho/router[name='r2']/routing/fpm-port",
            "router r1 listens there in the same namespace",
        )
    ]
    other = tree(r1={"interface": HOST}, r2={"interface": HOST, "routing": {"fpm-port": 2621}})
    assert not list(clashes(routers_of(other)))
    apart = tree(r1={"interface": HOST}, r2={"interface": HOST, "host-namespace": "os"})
    assert not list(clashes(routers_of(apart)))
