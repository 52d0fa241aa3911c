"""What a participant is shown."""

from typing import Any

import pytest

from raicho.control.datastore.differences import diff
from raicho.control.datastore.fault import NoSuchNode
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.scope import changes_seen, config_seen, scope_of
from raicho.control.datastore.tree import EMPTY, from_config

DATAPLANE = ["/raicho/port", "/raicho/worker", "/raicho/bridge"]


@pytest.fixture
def tree(tree_of: Any) -> Any:
    return tree_of(
        {
            "/raicho/port[name='p1']/kind": "null",
            "/raicho/bridge[name='br0']/port[name='p1']/number": 1,
            "/raicho/bridge[name='br0']/controller[name='c']/address": "::1",
            "/raicho/bridge[name='br1']": None,
            "/raicho/log/component[name='bus']/level": "debug",
        }
    )


def paths(root: Node, tree: Any, subscriptions: list[str], modules: set[str]) -> list[str]:
    scope = scope_of(root, subscriptions, modules)
    return [change.path for change in changes_seen(root, scope, diff(root, EMPTY, tree))]


def test_what_another_module_adds_is_not_shown(root: Node, tree: Any) -> None:
    """The dataplane takes no part in a change of a controller."""
    seen = paths(root, tree, DATAPLANE, {"raicho-dataplane"})
    assert "/raicho/bridge[name='br0']/port[name='p1']/number" in seen
    assert not any("controller" in path or "log" in path for path in seen)
    config = config_seen(root, scope_of(root, DATAPLANE, {"raicho-dataplane"}), tree)
    assert config["raicho"]["bridge"] == [
        {"name": "br0", "port": [{"name": "p1", "number": 1}]},
        {"name": "br1"},
    ]


def test_what_its_own_module_adds_is_shown(root: Node, tree: Any) -> None:
    scope = scope_of(root, ["/raicho/bridge"], {"raicho-openflow"})
    assert config_seen(root, scope, tree)["raicho"]["bridge"][0] == {
        "name": "br0",
        "port": [{"name": "p1", "number": 1}],
        "controller": [{"name": "c", "address": "::1"}],
    }


def test_the_way_to_a_deep_subscription_has_keys_only(root: Node, tree: Any) -> None:
    scope = scope_of(root, ["/raicho/bridge/controller"], {"raicho-openflow"})
    assert config_seen(root, scope, tree) == {
        "raicho": {"bridge": [{"name": "br0", "controller": [{"name": "c", "address": "::1"}]}]}
    }


def test_a_subscription_may_name_one_entry(root: Node, tree: Any) -> None:
    assert paths(root, tree, ["/raicho/log/component[name='bus']"], set()) == [
        "/raicho/log/component[name='bus']",
        "/raicho/log/component[name='bus']/level",
    ]
    assert paths(root, tree, ["/raicho/log/component[name='dataplane']"], set()) == []


def test_the_root_shows_everything(root: Node, tree: Any) -> None:
    assert len(paths(root, tree, ["/"], set())) == 10


def test_an_unknown_subscription_is_refused(root: Node) -> None:
    with pytest.raises(NoSuchNode, match="did you mean bridge"):
        scope_of(root, ["/raicho/bridges"], set())


@pytest.mark.parametrize(
    "subscriptions", [["/"], DATAPLANE, ["/raicho/log"], ["/raicho/bridge/port"]]
)
@pytest.mark.parametrize("modules", [set(), {"raicho-openflow"}, {"raicho-dataplane"}])
def test_what_is_shown_is_what_its_changes_from_nothing_lead_to(
    root: Node, tree: Any, subscriptions: list[str], modules: set[str]
) -> None:
    """Beside the keys that lie on the way, which have no change of their own."""
    scope = scope_of(root, subscriptions, modules)
    told = changes_seen(root, scope, diff(root, EMPTY, tree))
    shown = from_config(root, config_seen(root, scope, tree))
    assert {change.path for change in told} <= {each.path for each in diff(root, EMPTY, shown)}
    assert changes_seen(root, scope, diff(root, EMPTY, shown)) == told
