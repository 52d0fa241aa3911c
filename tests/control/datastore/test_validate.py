"""Whole configurations against the schema."""

from typing import Any

import pytest

from raicho.control.datastore.defaults import with_defaults
from raicho.control.datastore.library import Library
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.tree import from_config, get, put
from raicho.control.datastore.validate import validate
from raicho.control.datastore.xpath import BadExpression, compile_expression

GOOD: dict[str, Any] = {
    "raicho": {
        "port": [
            {"name": "p1", "kind": "af_packet", "device": "veth1"},
            {"name": "p2", "kind": "memory"},
        ],
        "bridge": [
            {
                "name": "br0",
                "port": [{"name": "p1", "number": 1}, {"name": "p2", "number": 2}],
                "controller": [{"name": "c", "address": "192.0.2.1"}],
            }
        ],
    }
}
BR0 = "/raicho/bridge[name='br0']"


@pytest.fixture
def good(root: Node) -> Any:
    return from_config(root, GOOD)


def test_a_good_configuration_has_no_fault(root: Node, good: Any) -> None:
    assert validate(root, good) == []
    assert validate(root, {}) == []


BAD = [
    ({f"{BR0}/port[name='p9']/number": 9}, f"{BR0}/port[name='p9']/name", "leafref", "p1, p2"),
    ({f"{BR0}/port[name='p1']/number": 2}, f"{BR0}/port[name='p2']/number", "unique", "p1"),
    ({"/raicho/port[name='p3']": None}, "/raicho/port[name='p3']/kind", "mandatory", "kind"),
    ({"/raicho/port[name='p4']/kind": "pcap"}, "/raicho/port[name='p4']", "must", "needs a device"),
    (
        {f"{BR0}/controller[name='d']": None},
        f"{BR0}/controller[name='d']/address",
        "mandatory",
        "must be set",
    ),
    (
        {f"{BR0}/listen[name='a']": None, f"{BR0}/listen[name='b']/port": 6653},
        f"{BR0}/listen[name='b']/address",
        "unique",
        "127.0.0.1 6653",
    ),
]


@pytest.mark.parametrize(("edits", "path", "rule", "reason"), BAD)
def test_a_fault_names_path_rule_and_what_would_be_right(
    root: Node, good: Any, edits: dict[str, Any], path: str, rule: str, reason: str
) -> None:
    """D4, D6: what is not right by itself is told with its place."""
    for place, value in edits.items():
        good = put(root, good, parse_path(place), value)
    faults = validate(root, good)
    assert [(fault.path, fault.rule) for fault in faults] == [(path, rule)]
    assert reason in faults[0].reason


def test_all_faults_are_told(root: Node, good: Any) -> None:
    for edits, *_ in BAD:
        for place, value in edits.items():
            good = put(root, good, parse_path(place), value)
    assert {fault.rule for fault in validate(root, good)} == {
        "leafref", "unique", "mandatory", "must",
    }  # fmt: skip


def test_two_bridges_may_number_their_ports_alike(root: Node, good: Any) -> None:
    tree = put(root, good, parse_path("/raicho/bridge[name='br1']/port[name='p2']/number"), 1)
    assert validate(root, tree) == []


def test_defaults_fill_what_is_not_set(root: Node, good: Any) -> None:
    filled = with_defaults(root, put(root, good, parse_path("/raicho/port[name='p1']/worker"), 3))
    assert get(root, filled, parse_path("/raicho/port[name='p1']/worker")) == 3
    assert get(root, filled, parse_path("/raicho/port[name='p2']/worker")) == 0
    assert get(root, filled, parse_path("/raicho/port[name='p2']/enabled")) is True
    assert get(root, filled, parse_path(f"{BR0}/controller[name='c']/port")) == 6653
    assert get(root, filled, parse_path("/raicho/port[name='p2']/mtu")) is None


TOY = """
module toy {
  yang-version 1.1; namespace "urn:toy"; prefix t; revision 2026-01-01;
  container toy {
    must "not(a = b) or count(item) = 0" { error-message "a and b must differ"; }
    leaf mode { type enumeration { enum on; enum off; } default "off"; }
    leaf speed { when "../mode = 'on'"; type uint8; default "5"; }
    leaf need { when "../mode = 'on'"; type uint8; mandatory true; }
    leaf a { type uint8; }
    leaf b { type uint8; }
    leaf-list tag { type string; min-elements 0; max-elements 2; }
    leaf main { type leafref { path "../item/inner/id"; } }
    list item {
      key "x y"; max-elements 3; unique "inner/id";
      leaf x { type uint8; }
      leaf y { type boolean; }
      container inner { leaf id { type int8; } }
      leaf peer { type leafref { path "../../item/x"; } }
    }
  }
}"""


@pytest.fixture(scope="module")
def toy(library: Library) -> Node:
    return library.extended([TOY])[0].root


def faults(toy: Node, **toys: Any) -> list[tuple[str, str]]:
    return [(f.path, f.rule) for f in validate(toy, from_config(toy, {"toy": toys}))]


def test_when_decides_about_defaults_and_what_is_mandatory(toy: Node) -> None:
    assert "speed" not in with_defaults(toy, {})["toy"]
    assert with_defaults(toy, from_config(toy, {"toy": {"mode": "on"}}))["toy"]["speed"] == 5
    assert faults(toy, mode="on") == [("/toy/need", "mandatory")]
    assert faults(toy, mode="off", speed=3) == [("/toy/speed", "when")]


def test_must_looks_at_more_than_one_leaf(toy: Node) -> None:
    item = [{"x": 1, "y": True}]
    assert faults(toy, a=1, b=1) == []
    assert faults(toy, a=1, b=2, item=item) == []
    assert faults(toy, a=1, b=1, item=item) == [("/toy", "must")]


def test_keys_of_several_leaves_and_counts(toy: Node) -> None:
    items = [{"x": n, "y": n % 2 == 0} for n in range(4)]
    assert faults(toy, item=items) == [("/toy/item", "max-elements")]
    tree = put(toy, {}, parse_path("/toy/item[y='true'][x='1']/peer"), 2)
    assert [str(f) for f in validate(toy, tree)] == [
        "/toy/item[x='1'][y='true']/peer: '2' does not exist at ../../item/x; there is 1"
    ]


def test_unique_and_leafref_go_into_containers(toy: Node) -> None:
    items = [{"x": n, "y": True, "inner": {"id": -1}} for n in (1, 2)]
    assert faults(toy, item=items, main=-1) == [("/toy/item[x='2'][y='true']/inner", "unique")]
    assert faults(toy, item=items[:1], main=1) == [("/toy/main", "leafref")]


def test_leaf_lists_are_set_whole_or_one_by_one(toy: Node) -> None:
    tree = put(toy, {}, parse_path("/toy/tag"), ["a", "b"])
    tree = put(toy, tree, parse_path("/toy/tag[.='c']"), None)
    assert get(toy, tree, parse_path("/toy/tag")) == ("a", "b", "c")
    assert [f.rule for f in validate(toy, tree)] == ["max-elements"]


@pytest.mark.parametrize(
    "text",
    [
        "a[1]",
        "a[count(b)]",
        "a + b",
        "position()",
        "not()",
        "not(a, b)",
        "a |  b",
        "",
        "a or",
        "(a",
        "$x",
        "//a",
        "a::b",
        "*",
    ],
)
def test_expressions_outside_the_subset_are_refused(text: str) -> None:
    with pytest.raises(BadExpression):
        compile_expression(text)
