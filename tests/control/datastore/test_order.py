"""Lists that their user orders: the order is configuration like all else (RFC 7950, 7.7.7)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.bus import Bus
from raicho.control.cli.document import Document, write
from raicho.control.datastore.differences import apply_change, content, diff, undone
from raicho.control.datastore.fault import Invalid, NoSuchNode
from raicho.control.datastore.interchange import to_ietf
from raicho.control.datastore.nodes import Node, locate
from raicho.control.datastore.path import Step, format_path, parse_path
from raicho.control.datastore.sessions import Clash, Session
from raicho.control.datastore.tree import EMPTY, Tree, from_config, to_config
from raicho.control.datastore.validate import validate
from raicho.control.datastore.yang import compile_schema, read_module
from raicho.control.message import Change, Delete, Follower, Move, Restore, Set
from raicho.control.message.datastore import CommitSession, Op
from raicho.control.message.path import lies_below
from raicho.control.message.types import is_order

from .test_service import House, Participant, house

MODULE = """module rules { yang-version 1.1; namespace "urn:rules"; prefix r;
  revision 2026-01-01;
  container rules {
    list rule { key name; ordered-by user;
      leaf name { type string; } leaf action { type string; default pass; }
      list match { key "a b"; ordered-by user; leaf a { type uint8; } leaf b { type string; } }
    }
    leaf-list hop { type string; ordered-by user; }
    list heap { key name; leaf name { type string; } }
  } }"""
RULE, HOP = "/rules/rule[name='{}']", "/rules/hop[.='{}']"
NAMES = st.sampled_from("abcde")
A, B, C = map(RULE.format, "abc")


@pytest.fixture(scope="module")
def rules() -> Node:
    module = read_module(MODULE)
    return compile_schema({module.name: module})


def edited(root: Node, tree: Tree, *ops: Op) -> Tree:
    return Session(tree, tree).edited(root, list(ops)).next


def names(config: Any) -> list[str]:
    return [rule["name"] for rule in config["rules"]["rule"]]


def order(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@pytest.fixture
def tree(rules: Node) -> Tree:
    return from_config(rules, {"rules": {"rule": order(*"cab"), "hop": list("zxy")}})


@pytest.mark.parametrize(
    ("where", "beside", "expected"),
    [("first", "", "bca"), ("last", "", "cab"), ("before", A, "cba"), ("after", C, "cba")],
)
def test_an_entry_is_moved(rules: Node, tree: Tree, where: Any, beside: str, expected: str) -> None:
    """D4: first, last, before or after another one; what it holds goes with it."""
    tree = edited(rules, tree, Set(f"{B}/action", "drop"))
    moved = to_config(rules, edited(rules, tree, Move(B, where, beside)))
    assert names(moved) == list(expected)
    assert {"name": "b", "action": "drop"} in moved["rules"]["rule"]
    assert names(to_config(rules, tree)) == list("cab"), "the tree before is as it was"


def test_a_value_of_a_leaf_list_is_moved(rules: Node, tree: Tree) -> None:
    tree = edited(rules, tree, Move(HOP.format("y"), "before", HOP.format("x")))
    assert to_config(rules, tree)["rules"]["hop"] == list("zyx")


def test_one_edit_inserts_at_a_place(rules: Node, tree: Tree) -> None:
    """Set and Move: whoever reads sees the entry where it belongs or not at all."""
    new = RULE.format("n")
    tree = edited(rules, tree, Set(new, {"action": "drop"}), Move(new, "after", C))
    assert names(to_config(rules, tree)) == list("cnab")


def test_delete_and_set_give_the_order_of_what_is_set(rules: Node, tree: Tree) -> None:
    """And a merge keeps the places of what is there."""
    given = {"rule": order(*"bdc")}
    merged = edited(rules, tree, Set("/rules", given))
    assert names(to_config(rules, merged)) == list("cabd")
    replaced = edited(rules, tree, Delete("/rules/rule"), Set("/rules", given))
    assert names(to_config(rules, replaced)) == list("bdc")


@pytest.mark.parametrize(
    ("move", "path", "rule"),
    [
        (Move("/rules/heap[name='h']", "first"), "/rules/heap[name='h']", "ordered-by"),
        (Move("/rules/rule", "first"), "/rules/rule", "ordered-by"),
        (Move("/", "first"), "/", "ordered-by"),
        (Move(A, "before"), A, "ordered-by"),
        (Move(A, "first", B), A, "ordered-by"),
        (Move(A, "after", HOP.format("x")), A, "ordered-by"),
        (Move(RULE.format("n"), "first"), RULE.format("n"), "path"),
        (Move(A, "before", RULE.format("n")), RULE.format("n"), "path"),
    ],
    ids=lambda value: getattr(value, "path", None),
)
def test_what_cannot_be_moved_is_refused(
    rules: Node, tree: Tree, move: Move, path: str, rule: str
) -> None:
    tree = edited(rules, tree, Set("/rules/heap[name='h']", {}))
    with pytest.raises(Invalid) as refusal:
        edited(rules, tree, move)
    (fault,) = refusal.value.faults
    assert (fault.path, fault.rule) == (path, rule)


def test_what_lies_below_a_path_is_told_as_in_the_whole(rules: Node, tree: Tree) -> None:
    """Wherever that is; a step means every entry that has the keys that it names."""
    tree = edited(
        rules,
        tree,
        *(Set(f"{rule}/match[a='{a}'][b='{b}']") for rule in (A, B) for a in (3, 1) for b in "yx"),
        Set("/rules/heap[name='c']"),
    )
    whole = list(content(rules, tree))
    assert any(is_order(change.new) for change in whole)
    named = {parse_path(change.path)[:n] for change in whole for n in range(9)}
    bare = {tuple(Step(step.name) for step in path) for path in named}
    first = {(*(Step(step.name, step.keys[:1]) for step in path),) for path in named}
    other = {parse_path(path) for path in (HOP.format("z"), "/rules/rule[name='z']")}
    for top in named | bare | first | other | {(*path, Step("name")) for path in named if path}:
        try:
            locate(rules, top)
        except NoSuchNode:
            continue
        below = [change for change in whole if lies_below(parse_path(change.path), top)]
        assert list(content(rules, tree, top)) == below, format_path(top)


def test_a_move_is_one_change_and_nothing_else_differs(rules: Node, tree: Tree) -> None:
    moved = edited(rules, tree, Move(B, "first"))
    assert diff(rules, tree, moved) == [Change("/rules/rule", order(*"cab"), order(*"bca"))]
    assert validate(rules, moved) == []


MOVES = st.tuples(st.sampled_from(["first", "last", "before", "after"]), NAMES)
STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "match", "delete", "move"]), NAMES, MOVES),
    min_size=1,
    max_size=12,
)


def matches(name: str) -> list[dict[str, Any]]:
    """Return what is in another order than that of the keys."""
    return [{"a": number, "b": name} for number in (2, 1)]


def applied(root: Node, tree: Tree, model: list[str], steps: Any) -> tuple[Tree, list[str]]:
    """Return a tree after steps, and a list of names after the same."""
    model = list(model)
    for what, name, (where, other) in steps:
        path, is_there = RULE.format(name), name in model
        if what in ("set", "match"):
            value = {"set": {"action": what}, "match": {"match": matches(other)}}[what]
            tree = edited(root, tree, Set(path, value))
            model += [] if is_there else [name]
        elif what == "delete" and is_there:
            tree = edited(root, tree, Delete(path))
            model.remove(name)
        elif what == "move" and is_there and (where in ("first", "last") or other in model):
            beside = "" if where in ("first", "last") else RULE.format(other)
            tree = edited(root, tree, Move(path, where, beside))
            if name != other or not beside:
                model.remove(name)
                places = {"first": 0, "last": len(model)}
                at = places.get(where)
                model.insert(model.index(other) + (where == "after") if at is None else at, name)
    return tree, model


def test_what_is_taken_back_is_gone_with_its_order(rules: Node) -> None:
    """D4: an entry that holds a list which its user orders does not come back."""
    new = edited(rules, EMPTY, Set(A, {"match": matches("x")}))
    assert undone(rules, new, diff(rules, EMPTY, new)) == EMPTY
    assert undone(rules, EMPTY, diff(rules, new, EMPTY)) == new


@given(STEPS, STEPS)
def test_order_is_kept_through_edits_differences_and_texts(
    rules: Node, first: Any, second: Any
) -> None:
    """D2, D4: as by a list; changes lead there and back; what is written is read."""
    old, model = applied(rules, EMPTY, [], first)
    new, model = applied(rules, old, model, second)
    config = to_config(rules, new)
    assert names(config) == model if model else config == {}
    changes = diff(rules, old, new)
    there = old
    for change in changes:
        there = apply_change(rules, there, change)
    for one, other in (there, new), (undone(rules, new, changes), old):
        assert diff(rules, one, other) == []
        assert to_config(rules, one) == to_config(rules, other)
    for written in (to_config, to_ietf):
        read = from_config(rules, Document(write(written(rules, new))).data)
        assert diff(rules, read, new) == []


@given(STEPS, STEPS)
def test_sessions_that_both_change_an_order_clash(rules: Node, mine: Any, theirs: Any) -> None:
    """D9: and where one of them does not, its changes meet the order of the other."""
    base = from_config(rules, {"rules": {"rule": order(*"cab")}})
    next_, _ = applied(rules, base, list("cab"), mine)
    current, model = applied(rules, base, list("cab"), theirs)
    orders = [
        {c.path: c.new for c in diff(rules, base, tree)}.get("/rules/rule", "same")
        for tree in (next_, current)
    ]
    try:
        session = Session(base, next_).rebased(rules, current)
    except Clash:
        return
    assert "same" in orders
    order_now = names(to_config(rules, session.next)) if session.next else []
    expected = names(to_config(rules, next_)) if orders[1] == "same" and next_ else model
    assert order_now == (expected if next_ else [])


async def joined(h: House) -> Participant:
    """Return a participant that brought the rules and subscribed to them."""
    participant = Participant(h.bootstrap("filter"), ["/rules"], [MODULE])
    await h.add(participant)
    await h.until(lambda: participant.state_of_health == "ready")
    return participant


async def test_order_goes_through_commit_participant_file_and_copy(tmp_path: Path) -> None:
    """D2, D4, D9: also after the datastore was started again, and back to an earlier revision."""
    async with house(tmp_path) as h:
        await h.add(Bus(h.bootstrap("bus")))
        store = await h.datastore()
        filter_ = await joined(h)
        heard: list[tuple[int, list[Change]]] = []
        follower = Follower(
            zmq.Context.instance(),
            f"ipc://{tmp_path}/bus.sub",
            h.client,
            "/rules",
            lambda revision, changes: heard.append((revision, changes)),
            look=0.2,
        )
        try:
            await h.commit(Set("/rules", {"rule": order(*"cab")}))
            assert names(filter_.config) == list("cab")
            result = await h.commit(Move(B, "first"))
            assert result.changes == [Change("/rules/rule", order(*"cab"), order(*"bca"))]
            assert filter_.seen[-2] == ("prepare", result.txid[:5], ["/rules/rule"])
            assert names(filter_.config) == list("bca")
            assert names(await h.config()) == list("bca")
            await h.until(lambda: follower.revision == 2)
            assert follower.cells["/rules/rule"] == order(*"bca")
            assert heard[-1] == (2, result.changes)
        finally:
            follower.close()
        await h.kill(store)
        store = await h.datastore()
        assert names(await h.config()) == list("bca"), "it was kept on disk"
        async with asyncio.timeout(60):
            while not (await h.entry("filter")).synchronised:
                await asyncio.sleep(0.05)
        await h.client.call(Restore("back", 1))
        await h.client.call(CommitSession("back"), 60)
        assert names(await h.config()) == names(filter_.config) == list("cab")
        await h.commit(Delete("/rules"))
        assert not store.store.archive.cells, "the order is gone with the list"
