"""The agent's configuration: what it refuses, and what it says then."""

from typing import Any

import pytest

from raicho.control.openflow.settings import (
    Bridge,
    Controller,
    Fault,
    Listen,
    PacketInLimit,
    Tls,
    settings_of,
)

CONTROLLER = "/raicho/bridge[name='br0']/controller[name='c1']"
LISTEN = "/raicho/bridge[name='br0']/listen[name='l1']"


def tree(**bridge: Any) -> dict[str, Any]:
    return {"raicho": {"bridge": [{"name": "br0", **bridge}]}}


def controller(**leaves: Any) -> dict[str, Any]:
    return tree(controller=[{"name": "c1", **leaves}])


def test_a_whole_configuration_is_understood() -> None:
    config = tree(
        **{"datapath-id": "1", "port": [{"name": "p1", "number": 1}]},
        controller=[{"name": "c1", "address": "10.0.0.1", "max-backoff": 4, "inactivity-probe": 0}],
        listen=[{"name": "l1", "address": "::1", "port": 6654}],
    )
    assert settings_of(config) == {
        "br0": Bridge(
            "br0",
            (Controller("c1", "10.0.0.1", max_backoff=4, inactivity_probe=0),),
            (Listen("l1", "::1", 6654),),
        )
    }


@pytest.mark.parametrize("config", [{}, {"raicho": {}}, {"raicho": {"port": []}}])
def test_nothing_is_a_configuration(config: dict[str, Any]) -> None:
    assert settings_of(config) == {}


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "fe80::1", "controller.example.net", "sdn-1", "localhost.", "a" * 63, "_x.y"],
)
def test_addresses_that_may_be(address: str) -> None:
    settings = settings_of(controller(address=address))
    assert settings["br0"].controller[0].address == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "it is empty"),
        ("300.1.2.3", "it is no IPv4 address"),
        ("10.0.0", "it is no IPv4 address"),
        ("10.0.0.1:6653", "it is no IPv6 address, and the port has a leaf of its own"),
        ("fe80:::1", "it is no IPv6 address, and the port has a leaf of its own"),
        ("not an address!", "it is neither an IP address nor a host name"),
        ("-x.example", "it is neither an IP address nor a host name"),
        ("a..b", "it is neither an IP address nor a host name"),
        ("a" * 64, "it is neither an IP address nor a host name"),
        ("0.0.0.0", "it names no single host"),
        ("::", "it names no single host"),
        ("224.0.0.1", "it names no single host"),
        ("ff02::1", "it names no single host"),
    ],
)
def test_an_address_that_is_nonsense_is_named(address: str, why: str) -> None:
    """The leaf, the value and the reason."""
    with pytest.raises(Fault) as caught:
        settings_of(controller(address=address))
    assert caught.value.path == f"{CONTROLLER}/address"
    assert caught.value.reason == f"{address!r} is no address of a controller: {why}"


@pytest.mark.parametrize(
    ("config", "path", "reason"),
    [
        (controller(address="h", port=0), f"{CONTROLLER}/port", "0 is no TCP port"),
        (controller(address="h", port=65536), f"{CONTROLLER}/port", "65536 is no TCP port"),
        (controller(address="h", protocol="tls"), f"{CONTROLLER}/protocol", "tls needs private-"),
        (controller(address="h", protocol="udp"), "/raicho/bridge[name='br0']", "Invalid enum"),
        (tree(listen=[{"name": "l1", "address": "here"}]), f"{LISTEN}/address", "'here' is no IP"),
        (controller(address=5), "/raicho/bridge[name='br0']", "Expected `str`"),
    ],
)
def test_other_nonsense_is_named_too(config: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(Fault, match=reason) as caught:
        settings_of(config)
    assert caught.value.path == path


def test_versions_are_those_that_are_named_or_all() -> None:
    """F9."""
    assert settings_of(tree())["br0"].versions == (1, 4)
    assert settings_of(tree(**{"openflow-version": ["1.3"]}))["br0"].versions == (4,)
    with pytest.raises(Fault, match=r"'1.4' is not spoken; 1.0, 1.3 are") as caught:
        settings_of(tree(**{"openflow-version": ["1.4"]}))
    assert caught.value.path == "/raicho/bridge[name='br0']/openflow-version"


def test_packet_in_limits_are_understood() -> None:
    limit = settings_of(tree(**{"packet-in-limit": {"rate": 5, "port-rate": 2}}))["br0"]
    assert limit.packet_in_limit == PacketInLimit(rate=5, port_rate=2)


def test_tls_is_understood_with_its_files() -> None:
    files = {"private-key": "/k", "certificate": "/c", "ca-certificate": "/a"}
    row = {"name": "c1", "address": "h", "protocol": "tls"}
    settings = settings_of(tree(tls=files, controller=[row]))["br0"]
    assert settings.controller[0].protocol == "tls"
    assert settings.tls == Tls("/k", "/c", "/a")


def test_two_bridges_cannot_listen_in_one_place() -> None:
    row = {"name": "l1", "address": "127.0.0.1", "port": 6653}
    config = {"raicho": {"bridge": [{"name": n, "listen": [row]} for n in ("br0", "br1")]}}
    with pytest.raises(Fault, match=r"127.0.0.1:6653 is taken by /raicho/bridge\[name='br0'\]"):
        settings_of(config)
