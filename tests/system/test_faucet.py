"""Faucet 1.10 runs a network of four hosts on the switch (K17)."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from .conftest import short_folder
from .faucet import GUARDED, Host, Network, build
from .lab import Lab, wait_until
from .needs import missing
from .packages import environment_of
from .pinging import Pinging, ping, reached
from .switch import CONTROLLER_PORT


@pytest.fixture(scope="module", params=["Open vSwitch", "GenericTFM"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """The network, for Faucet's plain pipeline and for the one that it sets with table features."""
    if reason := missing("ping", "ovs-ofctl"):
        pytest.skip(reason)
    environment_of("faucet")
    with short_folder() as folder, Lab() as lab:
        yield build(lab, folder, request.param)


def _wait_reached(source: Host, address: str) -> None:
    wait_until(lambda: reached(source.space, address), f"{source.space.name} to reach {address}")


def test_hosts_reach_each_other_inside_vlans_and_between_them(network: Network) -> None:
    """Over IPv4 and IPv6; host 4 is behind a tag."""
    for source, target in permutations(network.hosts, 2):
        for address in (target.ipv4, target.ipv6):
            _wait_reached(source, address)
            counted = ping(source.space, address, "-c", "5", "-i", "0.01")
            assert counted.lost == 0, f"{source.number} -> {address}"
    assert network.faucet.complaints() == []


def test_the_router_answers_pings_and_counts_hops(network: Network) -> None:
    """The virtual addresses are those of the controller; routed packets lose one of their TTL."""
    h1, _, h3, _ = network.hosts
    for address in ("10.0.100.254", "fc00::1:254"):
        _wait_reached(h1, address)
    _wait_reached(h1, h3.ipv4)
    assert "ttl=63" in h1.space.run("ping", "-c", "1", h3.ipv4)
    assert "ttl=64" in h1.space.run("ping", "-c", "1", network.hosts[1].ipv4)


def test_the_acl_denies_until_its_configuration_allows(network: Network) -> None:
    """Only what it names: the same host has another address; others reach the guarded one."""
    h1, h2, h3, _ = network.hosts
    _wait_reached(h1, h2.ipv4)
    _wait_reached(h3, GUARDED)
    assert ping(h1.space, GUARDED, "-c", "5", "-i", "0.05", "-w", "1").answered == 0
    network.faucet.configure(allow=True)
    network.faucet.read_again()
    _wait_reached(h1, GUARDED)
    network.faucet.configure(allow=False)
    network.faucet.read_again()
    wait_until(lambda: not reached(h1.space, GUARDED), "the ACL to deny again")
    _wait_reached(h1, h2.ipv4)
    assert network.faucet.complaints() == []


def test_flows_stay_while_the_controller_is_away_and_after_its_restart_all_goes_on(
    network: Network,
) -> None:
    """No ping is lost without a controller. The new one starts by deleting all flows, its own way
    of setting up a switch: what is lost there is printed.
    """
    h1, h2, h3, h4 = network.hosts
    for source, target in ((h1, h2), (h4, h3), (h1, h3)):
        _wait_reached(source, target.ipv4)
    before = network.flows()
    network.faucet.end()
    with Pinging(h1.space, h2.ipv4) as near, Pinging(h4.space, h3.ipv4) as tagged:
        wait_until(lambda: min(near.counted.sent, tagged.counted.sent) >= 200, "pings")
    assert (near.counted.lost, tagged.counted.lost) == (0, 0)
    assert network.flows() == before
    with Pinging(h1.space, h2.ipv4) as pings:
        network.faucet.start()
        network.faucet.wait_for("Cold start configuring DP")
        _wait_reached(h1, h3.ipv4)
    print(f"{pings.counted.lost} of {pings.counted.sent} pings lost while Faucet wrote its flows")
    assert pings.counted.answered > 0
    for source, target in permutations(network.hosts, 2):
        _wait_reached(source, target.ipv4)
    assert network.faucet.complaints() == []


def test_table_features_that_faucet_writes_are_those_of_the_tables(network: Network) -> None:
    """Its pipeline for "GenericTFM" names and narrows each table; the other one writes none."""
    target = f"tcp:127.0.0.1:{CONTROLLER_PORT + 1}"
    tool = ("ovs-ofctl", "-O", "OpenFlow13", "dump-table-features", target)
    shown = network.switch.inside.run(*tool)
    named = {"port_acl", "vlan", "eth_src", "ipv4_fib", "ipv6_fib", "vip", "eth_dst", "flood"}
    found = {name for name in named if f'"{name}"' in shown or f"({name})" in shown}
    assert found == (named if network.faucet.hardware == "GenericTFM" else set()), shown[:2000]
