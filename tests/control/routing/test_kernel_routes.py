"""Which of the kernel's routes are taken."""

from ipaddress import ip_network

import pytest

from raicho.control.message.routes import Hop, Kind
from raicho.control.routing.events import NO_TABLE, Route
from raicho.control.routing.kernel_routes import LOCAL_TABLE, MAIN, KernelRoutes

BOOT, BGP = 3, 186
ONE, TWO = Hop(Kind.GATEWAY, 3, bytes([10, 0, 1, 2])), Hop(Kind.GATEWAY, 3, bytes([10, 0, 1, 3]))


def route(
    prefix: str = "198.51.100.0/24",
    *hops: Hop,
    removed: bool = False,
    table: int = MAIN,
    protocol: int = BOOT,
    metric: int = 0,
) -> Route:
    network = ip_network(prefix)
    address = network.network_address.packed
    key = bytes([network.version, network.prefixlen]) + address.ljust(16, b"\0")
    return Route(removed, key, table, protocol, metric, 0, hops or (ONE,))


def test_the_least_metric_wins_and_the_next_one_follows_it() -> None:
    routes = KernelRoutes(MAIN, with_zebra=False)
    far, near = route(metric=20), route(metric=10)
    assert routes.take(far) == far
    assert routes.take(near) == near
    assert routes.take(far) == near
    assert routes.take(near._replace(removed=True)) == far
    gone = far._replace(removed=True)
    assert routes.take(gone) == gone


def test_labels_are_taken_whatever_table_the_router_has() -> None:
    """P4: a namespace has one table of them."""
    label = Route(False, bytes([20, 20, 0, 0, 0, 100]) + bytes(12), NO_TABLE, BOOT, 0, 0, (ONE,))
    assert KernelRoutes(1000, with_zebra=False).take(label) == label
    assert KernelRoutes(1000, with_zebra=False).take(route()) is None


def test_the_ways_of_a_route_may_go_one_by_one() -> None:
    """IPv6: what is left is the route."""
    routes = KernelRoutes(MAIN, with_zebra=False)
    both = route("2001:db8::/32", ONE, TWO)
    routes.take(both)
    first = route("2001:db8::/32", ONE, removed=True)
    assert routes.take(first) == route("2001:db8::/32", TWO)
    second = route("2001:db8::/32", TWO, removed=True)
    assert routes.take(second) == second


def test_addresses_of_the_host_come_first() -> None:
    routes = KernelRoutes(MAIN, with_zebra=False)
    own = route("10.255.0.1/32", Hop(Kind.LOCAL), table=LOCAL_TABLE, protocol=2)
    assert routes.take(own) == own
    assert routes.take(route("10.255.0.1/32")) == own


@pytest.mark.parametrize(
    "ignored",
    [
        route(table=100),
        route(protocol=BGP),
        route("127.0.0.0/8", table=LOCAL_TABLE),
        route("::1/128"),
        route("fe80::/64"),
        route("ff02::/16"),
        route("224.0.0.0/4"),
    ],
)
def test_what_means_nothing_to_a_router_is_left_out(ignored: Route) -> None:
    assert KernelRoutes(MAIN, with_zebra=False).take(ignored) is None


def test_zebras_own_are_taken_where_that_is_wanted() -> None:
    of_zebra, elsewhere = route(protocol=BGP), route(protocol=BGP, table=100)
    assert KernelRoutes(MAIN, with_zebra=True).take(of_zebra) == of_zebra
    assert KernelRoutes(100, with_zebra=True).take(elsewhere) == elsewhere
