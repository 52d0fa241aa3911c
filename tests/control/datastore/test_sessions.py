"""Sessions that meet."""

from typing import Any

import pytest

from raicho.control.datastore.differences import diff
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.sessions import Clash, Session
from raicho.control.datastore.tree import EMPTY
from raicho.control.message.datastore import Delete, Set
from raicho.control.message.types import Change

P1, BR0 = "/raicho/port[name='p1']", "/raicho/bridge[name='br0']"


@pytest.fixture
def base(tree_of: Any) -> Any:
    return tree_of({f"{P1}/kind": "null", f"{BR0}/port[name='p1']/number": 1})


def edited(root: Node, base: Any, *ops: Set | Delete) -> Session:
    return Session(base, base).edited(root, list(ops))


def test_edits_to_different_places_are_both_kept(root: Node, base: Any) -> None:
    first = edited(root, base, Set(f"{P1}/mtu", 1500))
    second = edited(root, base, Set(f"{BR0}/fail-mode", "standalone")).rebased(root, first.next)
    assert diff(root, base, second.next) == [
        Change(f"{P1}/mtu", None, 1500),
        Change(f"{BR0}/fail-mode", None, "standalone"),
    ]


CLASHES = [
    ([Set(f"{P1}/mtu", 1500)], [Set(f"{P1}/mtu", 1400)]),
    ([Set(f"{P1}/mtu", 1500)], [Set(f"{P1}/mtu", 1500)]),
    ([Delete(P1), Delete(f"{BR0}/port[name='p1']")], [Set(f"{P1}/mtu", 1400)]),
    ([Set(f"{P1}/mtu", 1400)], [Delete(P1)]),
    ([Delete(BR0)], [Set(f"{BR0}/controller[name='c']/address", "::1")]),
    ([Set(f"{BR0}/controller[name='c']/address", "::1")], [Delete("/raicho/bridge")]),
    ([Set("/raicho/worker[id='1']")], [Set("/raicho/worker[id='1']/cpu", 1)]),
]


@pytest.mark.parametrize(("first", "second"), CLASHES)
def test_the_second_to_change_the_same_place_gets_a_conflict(
    root: Node, base: Any, first: list[Any], second: list[Any]
) -> None:
    """D9: never a merge by luck."""
    winner = edited(root, base, *first)
    with pytest.raises(Clash, match="another session"):
        edited(root, base, *second).rebased(root, winner.next)


def test_an_edit_that_fails_leaves_the_session_as_it_was(root: Node) -> None:
    session = edited(root, EMPTY, Set(f"{P1}/kind", "null"))
    with pytest.raises(Exception, match="mtu"):
        session.edited(root, [Set(f"{P1}/enabled", False), Set(f"{P1}/mtu", 1)])
    assert session == edited(root, EMPTY, Set(f"{P1}/kind", "null"))
