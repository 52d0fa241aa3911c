"""Paths, edits, differences."""

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.datastore.differences import apply_change, diff
from raicho.control.datastore.fault import Invalid, NoSuchNode
from raicho.control.datastore.library import Library
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.path import Step, format_path, is_quotable, parse_path
from raicho.control.datastore.tree import (
    EMPTY,
    Tree,
    from_config,
    get,
    put,
    remove,
    to_config,
)
from raicho.control.datastore.validate import validate
from raicho.control.message.types import Change

P1 = "/raicho/port[name='p1']"
BR0 = "/raicho/bridge[name='br0']"


def test_a_path_has_names_and_keys() -> None:
    assert parse_path("/raicho/bridge[name='br0']/port[name=\"p1\"]/number") == (
        Step("raicho"),
        Step("bridge", (("name", "br0"),)),
        Step("port", (("name", "p1"),)),
        Step("number"),
    )
    assert parse_path("/") == ()


def test_prefixes_are_dropped() -> None:
    assert parse_path("/raicho:raicho/dp:port[dp:name='p1']") == parse_path(f"{P1}")


@given(st.text(max_size=5), st.sampled_from(["a", "b-c", "x.y"]))
def test_a_formatted_path_reads_back(key: str, name: str) -> None:
    path = (Step("raicho"), Step(name, (("name", key),)), Step("leaf"))
    if is_quotable(key):
        assert parse_path(format_path(path)) == path


MALFORMED = ["", "raicho", "/raicho//port", "/raicho/", "/a[b]", "/a[b=c]", "//"]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_path_is_refused(text: str) -> None:
    with pytest.raises(NoSuchNode, match="bad path"):
        parse_path(text)


def test_setting_a_leaf_makes_the_entries_on_the_way(root: Node) -> None:
    tree = put(root, EMPTY, parse_path(f"{BR0}/port[name='p1']/number"), "7")
    assert to_config(root, tree) == {
        "raicho": {"bridge": [{"name": "br0", "port": [{"name": "p1", "number": 7}]}]}
    }
    assert get(root, tree, parse_path(f"{BR0}/port[name='p1']/number")) == 7


def test_what_is_not_there_reads_as_nothing(root: Node, tree_of: Any) -> None:
    for tree in (EMPTY, tree_of({f"{BR0}": None})):
        for path in ("/raicho/port", P1, f"{P1}/mtu", f"{BR0}/port[name='p1']/number"):
            assert get(root, tree, parse_path(path)) is None
    with pytest.raises(NoSuchNode, match="say which port"):
        get(root, EMPTY, parse_path("/raicho/port/mtu"))


def test_an_edit_leaves_the_old_tree_as_it_was(root: Node, tree_of: Any) -> None:
    """D9: next may change without current."""
    old = tree_of({f"{P1}/kind": "null", f"{BR0}/fail-mode": "secure"})
    before = to_config(root, old)
    new = put(root, old, parse_path(f"{P1}/kind"), "memory")
    assert to_config(root, old) == before
    assert new["raicho"]["bridge"] is old["raicho"]["bridge"]


def test_a_deleted_entry_takes_empty_lists_with_it(root: Node, tree_of: Any) -> None:
    assert remove(root, tree_of({f"{P1}/kind": "null"}), parse_path(P1)) == EMPTY


def test_keys_are_kept_in_one_form(root: Node) -> None:
    one = put(root, EMPTY, parse_path("/raicho/worker[id='0x10']/cpu"), 1)
    assert put(root, one, parse_path("/raicho/worker[id='16']/cpu"), 1) == one


def test_entries_come_in_the_order_of_their_keys(root: Node, tree_of: Any) -> None:
    tree = tree_of({f"/raicho/worker[id='{n}']": None for n in (10, 9, 100)})
    assert [entry["id"] for entry in to_config(root, tree)["raicho"]["worker"]] == [9, 10, 100]


NOWHERE = [
    ("/raicho/brige", "did you mean bridge?"),
    ("/nowhere", "it has raicho"),
    ("/raicho/bridge/port", "say which bridge is meant"),
    ("/raicho/bridge[nme='x']", r"named bridge\[name="),
    ("/raicho/bridge[name='x'][name='y']", r"named bridge\[name="),
    ("/raicho[name='x']", "is no list"),
    (f"{P1}/kind/x", "has nothing below it"),
]


@pytest.mark.parametrize(("path", "reason"), NOWHERE)
def test_an_unknown_path_is_told_what_is_near(root: Node, path: str, reason: str) -> None:
    with pytest.raises(NoSuchNode, match=reason):
        put(root, EMPTY, parse_path(path), 1)


WRONG = [
    (f"{P1}/kind", "carrier", "enumeration", "none of af_packet, af_xdp, tap, patch, memory"),
    (f"{P1}/mtu", 67, "range", "68..65535 is right"),
    (f"{P1}/mtu", "many", "type", "no uint16"),
    (f"{P1}/mtu", True, "type", "no uint16"),
    (f"{P1}/mtu", 1.5, "type", "no uint16"),
    (f"{P1}/mtu", None, "type", "no uint16"),
    (f"{P1}/enabled", "yes", "type", "true or false"),
    (f"{P1}/device", "", "length", "1..4095"),
    (f"{P1}/device", "a\0b", "type", "characters"),
    (f"{BR0}/datapath-id", "12", "pattern", "16|sixteen digits"),
    (f"{BR0}/controller[name='c']/address", "300.1.1.1", "union", "An address, or a name"),
    (f"{BR0}/controller[name='c']/address", "not an address!", "union", "An address"),
    (f"{BR0}/controller[name='c']/port", 0, "range", "1..65535"),
    (f"{BR0}/listen[name='l']/address", "localhost", "union", "IPv4 or an IPv6"),
    (f"{BR0}/name", "other", "key", "keys do not change"),
    (P1, {"name": "p2"}, "key", "keys do not change"),
    (P1, "x", "type", "no object"),
    ("/raicho/port", {"name": "p"}, "type", "no list of entries"),
    ("/raicho/port", [{"kind": "null"}], "key", "needs its key name"),
    ("/raicho/port", ["p1"], "key", "needs its key name"),
    ("/raicho/port[name='']", None, "length", "1..64"),
    ("/raicho/port[name='a b']", None, "pattern", "A name that"),
]


@pytest.mark.parametrize(("path", "value", "rule", "right"), WRONG)
def test_a_wrong_value_is_told_the_rule_and_what_is_right(
    root: Node, path: str, value: Any, rule: str, right: str
) -> None:
    """D4: errors name path and rule."""
    with pytest.raises(Invalid, match=right) as refused:
        put(root, EMPTY, parse_path(path), value)
    (fault,) = refused.value.faults
    assert fault.rule == rule
    assert fault.path.startswith("/raicho/")


RIGHT = [
    (
        f"{BR0}/controller[name='c']/address",
        ["10.0.0.1", "2001:db8::1", "::", "::1", "ctl.example"],
    ),
    (f"{BR0}/datapath-id", ["0x1", "0000000000000001", "0xffffffffffffffff"]),
    (f"{BR0}/port[name='p']/number", [1, "1", "0xffffff00", 4294967040]),
]


@pytest.mark.parametrize(("path", "value"), [(p, v) for p, values in RIGHT for v in values])
def test_a_right_value_is_taken(root: Node, path: str, value: Any) -> None:
    put(root, EMPTY, parse_path(path), value)


def test_all_that_is_wrong_with_a_file_is_told_at_once(root: Node) -> None:
    """D4: all errors, not only the first."""
    ports = [{"name": "a", "kind": "x", "mtu": 1}, {"mtu": 9}, {"name": "a"}]
    config = {"raicho": {"prt": [], "port": ports}}
    with pytest.raises(Invalid) as refused:
        from_config(root, config)
    assert [(fault.path, fault.rule) for fault in refused.value.faults] == [
        ("/raicho/prt", "path"),
        ("/raicho/port[name='a']/kind", "enumeration"),
        ("/raicho/port[name='a']/mtu", "range"),
        ("/raicho/port", "key"),
        ("/raicho/port[name='a']", "key"),
    ]


def test_deleting_what_is_not_there_is_refused(root: Node, tree_of: Any) -> None:
    tree = tree_of({f"{P1}/kind": "null"})
    for path in ("/raicho/port[name='p2']", f"{P1}/mtu", "/raicho/bridge"):
        with pytest.raises(NoSuchNode, match="nothing to delete"):
            remove(root, tree, parse_path(path))
    with pytest.raises(Invalid, match="delete the entry"):
        remove(root, tree, parse_path(f"{P1}/name"))


def test_what_goes_comes_before_what_comes(root: Node, tree_of: Any) -> None:
    old = tree_of({f"{P1}/kind": "null", f"{BR0}/port[name='p1']/number": 1})
    new = tree_of({"/raicho/port[name='p2']/kind": "null", f"{BR0}/port[name='p2']/number": 1})
    assert diff(root, old, new) == [
        Change(f"{BR0}/port[name='p1']/number", 1, None),
        Change(f"{BR0}/port[name='p1']", {"name": "p1"}, None),
        Change(f"{P1}/kind", "null", None),
        Change(P1, {"name": "p1"}, None),
        Change("/raicho/port[name='p2']", None, {"name": "p2"}),
        Change("/raicho/port[name='p2']/kind", None, "null"),
        Change(f"{BR0}/port[name='p2']", None, {"name": "p2"}),
        Change(f"{BR0}/port[name='p2']/number", None, 1),
    ]


NAME = operator.itemgetter("name")
NAMES = st.sampled_from(["a", "b", "c"])
PORTS = st.fixed_dictionaries(
    {"name": NAMES, "kind": st.sampled_from(["null", "memory"])},
    optional={"mtu": st.integers(68, 1500), "enabled": st.booleans()},
)
BRIDGES = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "port": st.lists(
            st.fixed_dictionaries({"name": NAMES, "number": st.integers(1, 3)}),
            max_size=3,
            unique_by=NAME,
        ),
        "datapath-id": st.just("0x7"),
    },
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "port": st.lists(PORTS, max_size=3, unique_by=NAME),
        "bridge": st.lists(BRIDGES, max_size=3, unique_by=NAME),
    },
)


@given(CONFIGS, CONFIGS)
def test_a_difference_applied_gives_the_other_tree(
    root: Node, one: dict[str, Any], other: dict[str, Any]
) -> None:
    old, new = (from_config(root, {"raicho": config}) for config in (one, other))
    tree: Tree = old
    for change in diff(root, old, new):
        tree = apply_change(root, tree, change)
    assert tree == new
    assert from_config(root, to_config(root, new)) == new


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["raicho", "port", "bridge", "name", "kind", "number", "x"])
            | st.text(max_size=2),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_in_is_taken_or_refused(root: Node, config: Any) -> None:
    """D4: nothing but a refusal comes of nonsense."""
    try:
        tree = from_config(root, {"raicho": config})
    except Invalid:
        return
    assert from_config(root, to_config(root, tree)) == tree
    validate(root, tree)


@given(st.text(alphabet="/ab[]='\".:-\n ", max_size=12))
def test_whatever_is_read_as_a_path_is_taken_or_refused(text: str) -> None:
    try:
        path = parse_path(text)
    except NoSuchNode:
        return
    assert parse_path(format_path(path)) == path


def test_a_key_with_both_kinds_of_quotes_is_refused(library: Library) -> None:
    toy = """module toy { namespace "urn:toy"; prefix t; revision 2026-01-01;
        list item { key "name"; leaf name { type string; } } }"""
    root = library.extended([toy])[0].root
    assert from_config(root, {"item": [{"name": "it's"}, {"name": 'a "b"'}]})
    with pytest.raises(Invalid, match="both kinds of quotes"):
        from_config(root, {"item": [{"name": "'\""}]})
