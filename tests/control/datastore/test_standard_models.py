"""The models that operators have: IETF's and OpenConfig's, as they are published."""

from pathlib import Path
from typing import Any

import pytest

from raicho.control.datastore import Datastore
from raicho.control.datastore.fault import Invalid, SchemaError
from raicho.control.datastore.interchange import to_ietf
from raicho.control.datastore.library import Library, library_of, shipped_modules
from raicho.control.datastore.nodes import Node, describe, locate
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.tree import from_config
from raicho.control.datastore.validate import validate
from raicho.control.datastore.yang import read_module
from raicho.control.message import ControlClient
from raicho.control.message.datastore import (
    CommitSession,
    Describe,
    Edit,
    GetConfig,
    Register,
    Set,
)

from .models import ietf, openconfig
from .test_service import house

INTERFACES = ("ietf-interfaces", "iana-if-type", "ietf-ip")
OURS = """module our-interfaces {
  yang-version 1.1; namespace "urn:our-interfaces"; prefix our;
  import ietf-interfaces { prefix if; }
  import iana-if-type { prefix ianaift; }
  revision 2026-01-01;
  augment "/if:interfaces/if:interface" {
    when "derived-from-or-self(if:type, 'ianaift:ethernetCsmacd')";
    container poll { presence "It is polled."; leaf core { type uint8; mandatory true; } }
  }
}"""


@pytest.fixture(scope="module")
def library(library: Library) -> Library:
    return library.extended([*ietf(*INTERFACES), OURS])[0]


@pytest.fixture(scope="module")
def root(library: Library) -> Node:
    return library.root


def eth(**leaves: object) -> dict[str, Any]:
    return {"name": "eth0", "type": "iana-if-type:ethernetCsmacd", **leaves}


def faults(root: Node, config: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        found = validate(root, from_config(root, config))
    except Invalid as invalid:
        found = list(invalid.faults)
    return [(fault.path, fault.rule) for fault in found]


def of_interface(root: Node, **leaves: object) -> list[tuple[str, str]]:
    told = faults(root, {"ietf-interfaces:interfaces": {"interface": [eth(**leaves)]}})
    top = "/interfaces/interface[name='eth0']"
    return [(path.removeprefix(top), rule) for path, rule in told]


def test_the_models_of_interfaces_of_the_ietf_are_read(root: Node) -> None:
    """D7: RFC 8343, RFC 8344, and the types of interfaces that IANA keeps."""
    interface = locate(root, parse_path("/interfaces/interface"))
    assert interface.children["ipv4"].module == "ietf-ip"
    assert interface.children["poll"].module == "our-interfaces"
    kind = describe(interface.children["type"])["type"]
    assert kind["base"] == "identityref"
    assert {"iana-if-type:l2vlan", "iana-if-type:tunnel"} < set(kind["values"])


def test_an_interface_is_checked_as_they_say(root: Node) -> None:
    """D4, D7."""
    address = {"ip": "192.0.2.1", "prefix-length": 24}
    assert of_interface(root, **{"ietf-ip:ipv4": {"mtu": 1500, "address": [address]}}) == []
    assert of_interface(root, ipv6={"autoconf": {}, "address": []}) == []
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"type": "ietf-interfaces:interface-type"}, "/type", "identityref"),
        ({"ipv4": {"mtu": 67}}, "/ipv4/mtu", "range"),
        ({"oper-status": "up"}, "/oper-status", "config"),
        ({"ipv4": {"address": [{"ip": "192.0.2.1"}]}}, "/ipv4/address[ip='192.0.2.1']", "choice"),
        (
            {"ipv4": {"address": [address | {"netmask": "255.0.0.0"}]}},
            "/ipv4/address[ip='192.0.2.1']/netmask",
            "choice",
        ),
        ({"ipv6": {"dup-addr-detect-transmits": -1}}, "/ipv6/dup-addr-detect-transmits", "range"),
        ({"openconfig-if-ip:ipv4": {}}, "/ipv4", "path"),
        ({"poll": {}}, "/poll/core", "mandatory"),
        ({"type": "iana-if-type:l2vlan", "poll": {"core": 1}}, "/poll", "when"),
    ]
    for leaves, path, rule in wrong:
        assert (path, rule) in of_interface(root, **leaves), leaves
    assert faults(root, {"interfaces": {"interface": [{"name": "eth0"}]}}) == [
        ("/interfaces/interface[name='eth0']/type", "mandatory")
    ]


async def test_our_augment_comes_by_registration_and_is_a_setting_like_others(
    tmp_path: Path,
) -> None:
    """D6, D7, K5: by two components, one of which augments what the other brought."""
    path = "/ietf-interfaces:interfaces/interface[name='eth0']"
    async with house(tmp_path) as h:
        await h.datastore()
        client: ControlClient = h.client
        await client.call(Register("ietf", "1", ietf(*INTERFACES)), 60)
        registered = await client.call(Register("ours", "1", [OURS], [], ["/interfaces"]), 60)
        assert registered.modules == {"our-interfaces": "accepted"}
        ops = [Set(path, eth()), Set(f"{path}/our-interfaces:poll/core", 3)]
        await client.call(Edit("s", list(ops)), 20)
        await client.call(CommitSession("s"), 20)
        config = await client.call(GetConfig(ietf=True))
        described = await client.call(Describe(f"{path}/our-interfaces:poll"))
    assert config.data == {
        "ietf-interfaces:interfaces": {
            "interface": [eth(**{"our-interfaces:poll": {"core": 3}})],
        }
    }
    assert described.node["presence"] is True


async def test_a_host_may_do_without_features(tmp_path: Path) -> None:
    """Every feature is on but those that the datastore is started without."""
    off = "ietf-ip:ipv4-non-contiguous-netmasks,ietf-interfaces:if-mib"
    async with house(tmp_path) as h:
        bootstrap = h.bootstrap("datastore")
        bootstrap.options["without_features"] = off
        await h.add(Datastore(bootstrap))
        await h.client.call(Register("ietf", "1", ietf(*INTERFACES)), 60)
        described = await h.client.call(Describe("/interfaces/interface"))
    interface = described.node["children"]
    address = interface["ipv4"]["children"]["address"]
    assert "if-index" not in interface
    assert list(address["children"]) == ["ip", "prefix-length", "origin"]
    assert address["choices"][0]["cases"] == {"prefix-length": ["prefix-length"]}


# OpenConfig.

OC_INTERFACE: dict[str, Any] = {
    "name": "eth0",
    "config": {"name": "eth0", "type": "iana-if-type:ethernetCsmacd", "mtu": 9000},
    "hold-time": {"config": {"up": 100}},
    "subinterfaces": {"subinterface": [{"index": 0, "config": {"index": 0}}]},
}


#: What gives others identities and groupings, and whose own nodes nobody asked for: openconfig-bgp
#: has /bgp/global/config/as, without which no configuration would be right.
ONLY_IMPORTED = {"ietf-interfaces", "openconfig-bgp"}


def openconfig_root(library: Library, *names: str) -> Node:
    texts = [*openconfig(*names), *ietf("ietf-inet-types", "iana-if-type")]
    imports = [text for text in texts if read_module(text).name in ONLY_IMPORTED]
    return library.extended([text for text in texts if text not in imports], imports)[0].root


@pytest.fixture(scope="module")
def oc(plain_library: Library) -> Node:
    return openconfig_root(plain_library, "openconfig-interfaces")


@pytest.fixture(scope="module")
def plain_library() -> Library:
    return library_of(shipped_modules(), [])


def test_interfaces_of_openconfig_are_read_and_checked(oc: Node) -> None:
    """D7: ietf-interfaces gives it an identity, and is not there itself."""
    assert oc.children["interfaces"].module == "openconfig-interfaces"

    def told(**leaves: object) -> list[tuple[str, str]]:
        interface = OC_INTERFACE | leaves
        found = faults(oc, {"openconfig-interfaces:interfaces": {"interface": [interface]}})
        return [(p.removeprefix("/interfaces/interface[name='eth0']"), r) for p, r in found]

    config = OC_INTERFACE["config"]
    assert told() == []
    assert told(config=config | {"name": "eth1"}) == [("/name", "leafref")]
    assert told(config={"name": "eth0"}) == [("/config/type", "mandatory")]
    assert told(config=config | {"type": "ethernetCsmacd "}) == [("/config/type", "identityref")]
    assert told(config=config | {"mtu": 65536}) == [("/config/mtu", "range")]
    assert told(state={"name": "eth0"}) == [("/state", "config")]
    assert told(subinterfaces={"subinterface": [{"index": 0}]}) == []  # by its default
    assert told(subinterfaces={"subinterface": [{"index": 1}]}) == [
        ("/subinterfaces/subinterface[index='1']/index", "leafref")
    ]


def test_what_is_configured_by_openconfig_is_told_in_its_names(oc: Node) -> None:
    """RFC 7951; what it says is read again as the same."""
    tree = from_config(oc, {"interfaces": {"interface": [OC_INTERFACE]}})
    told = to_ietf(oc, tree)
    assert told == {"openconfig-interfaces:interfaces": {"interface": [OC_INTERFACE]}}
    assert from_config(oc, told) == tree


def test_network_instances_of_openconfig_are_read_and_checked(plain_library: Library) -> None:
    """D7: 100 modules, with patterns in POSIX's form and references with conditions."""
    root = openconfig_root(plain_library, "openconfig-network-instance", "openconfig-if-ip")
    instance = {
        "name": "red",
        "config": {"name": "red", "type": "openconfig-network-instance-types:L3VRF"},
        "interfaces": {
            "interface": [
                {"id": "a", "config": {"id": "a", "interface": "eth0", "subinterface": 0}}
            ]
        },
    }
    config: dict[str, Any] = {
        "openconfig-interfaces:interfaces": {"interface": [OC_INTERFACE]},
        "openconfig-network-instance:network-instances": {"network-instance": [instance]},
    }
    assert faults(root, config) == []
    instance["interfaces"]["interface"][0]["config"]["subinterface"] = 1  # type: ignore[index]
    told = faults(root, config)
    assert told[0][0].endswith("/interface[id='a']/config/subinterface")
    assert told[0][1] == "leafref"


def test_a_fault_of_a_published_module_is_refused_with_its_place(library: Library) -> None:
    """One of OpenConfig with the prefix of another module in a default, as some releases had."""
    text = """module old { namespace "urn:old"; prefix old; import iana-if-type { prefix ift; }
      import ietf-interfaces { prefix if; } revision 2018-01-01;
      leaf type { type identityref { base if:interface-type; } default "if:ethernetCsmacd"; } }"""
    with pytest.raises(SchemaError) as refused:
        library.extended([text])
    assert refused.value.path.startswith("old.yang:3")
