"""Triggers: exactly those who asked hear of exactly what they asked for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.datastore.differences import diff
from raicho.control.datastore.fault import Invalid
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.tree import EMPTY
from raicho.control.datastore.triggers import MAX_TRIGGERS, Triggers
from raicho.control.message import CallError, Trigger, Triggered

P1, P2, BR0 = "/raicho/port[name='p1']", "/raicho/port[name='p2']", "/raicho/bridge[name='br0']"
ALL = ["create", "write", "delete", "read"]
PLACES = {
    "table": "/raicho/port",
    "row": P1,
    "column": "/raicho/port/mtu",
    "cell": f"{P1}/mtu",
}
TWO_PORTS = {f"{P1}/kind": "null", f"{P1}/mtu": 1500, f"{P2}/kind": "null"}


@pytest.fixture
def triggers(root: Node) -> Triggers:
    triggers = Triggers()
    triggers.set(root, "me", [Trigger(name, path, ALL) for name, path in PLACES.items()])
    return triggers


def told(triggers: Triggers, root: Node, old: Any, new: Any) -> list[tuple[str, str, str]]:
    """Return trigger, occasion and path of what is told."""
    changes = diff(root, old, new)
    heard = triggers.changed(root, old, new, changes, "tx", 7)
    return [(event.trigger, event.on, event.path) for _, event in heard]


def test_each_kind_of_place_hears_of_what_is_made(
    root: Node, tree_of: Any, triggers: Triggers
) -> None:
    """D8: create, in the order of the changes."""
    assert told(triggers, root, EMPTY, tree_of(TWO_PORTS)) == [
        ("table", "create", P1),
        ("row", "create", P1),
        ("column", "create", f"{P1}/mtu"),
        ("cell", "create", f"{P1}/mtu"),
        ("table", "create", P2),
    ]


def test_a_write_is_one_notification_for_a_row_however_many_cells_it_changes(
    root: Node, tree_of: Any, triggers: Triggers
) -> None:
    """D8: write."""
    old = tree_of(TWO_PORTS)
    new = tree_of(TWO_PORTS | {f"{P1}/mtu": 1400, f"{P1}/enabled": False, f"{P2}/mtu": 9000})
    assert sorted(told(triggers, root, old, new)) == [
        ("cell", "write", f"{P1}/mtu"),
        ("column", "create", f"{P2}/mtu"),
        ("column", "write", f"{P1}/mtu"),
        ("row", "write", P1),
        ("table", "write", P1),
        ("table", "write", P2),
    ]


def test_what_goes_is_told_with_what_it_was(root: Node, tree_of: Any, triggers: Triggers) -> None:
    """D8: delete, with old and new value, txid and revision."""
    old, new = tree_of(TWO_PORTS), tree_of({f"{P2}/kind": "null"})
    heard = {
        event.trigger: event
        for _, event in triggers.changed(root, old, new, diff(root, old, new), "tx", 7)
    }
    row = {"name": "p1", "kind": "null", "mtu": 1500}
    assert heard["row"] == Triggered("row", "delete", P1, row, None, "tx", 7)
    assert heard["table"] == Triggered("table", "delete", P1, row, None, "tx", 7)
    assert heard["cell"] == Triggered("cell", "delete", f"{P1}/mtu", 1500, None, "tx", 7)
    assert heard["column"].old == 1500


def test_a_row_inside_a_row_is_a_write_of_the_outer_one(root: Node, tree_of: Any) -> None:
    triggers = Triggers()
    inner = f"{BR0}/port[name='p1']"
    places = ["/raicho/bridge", "/raicho/bridge/port", "/raicho/bridge/port/number", inner]
    triggers.set(root, "me", [Trigger(path, path, ALL) for path in places])
    old, new = tree_of({f"{BR0}/name": "br0"}), tree_of({f"{inner}/number": 3})
    assert sorted(told(triggers, root, old, new)) == [
        ("/raicho/bridge", "write", BR0),
        ("/raicho/bridge/port", "create", inner),
        ("/raicho/bridge/port/number", "create", f"{inner}/number"),
        (inner, "create", inner),
    ]


def test_only_the_occasions_that_were_asked_for(root: Node, tree_of: Any) -> None:
    triggers = Triggers()
    triggers.set(root, "me", [Trigger(on, P1, [on]) for on in ALL])  # type: ignore[list-item]
    old, new = tree_of(TWO_PORTS), tree_of(TWO_PORTS | {f"{P1}/mtu": 1400})
    assert told(triggers, root, EMPTY, old) == [("create", "create", P1)]
    assert told(triggers, root, old, new) == [("write", "write", P1)]
    assert told(triggers, root, new, EMPTY) == [("delete", "delete", P1)]
    assert [e.trigger for _, e in triggers.read(parse_path(P1), 1)] == ["read"]


READS = [
    ("/", {"table", "row", "column", "cell"}),
    ("/raicho/port", {"table", "row", "column", "cell"}),
    (P1, {"table", "row", "column", "cell"}),
    (P2, {"table", "column"}),
    (f"{P1}/mtu", {"table", "row", "column", "cell"}),
    (f"{P1}/kind", {"table", "row"}),
    (f"{P2}/mtu", {"table", "column"}),
    ("/raicho/bridge", set()),
]


@pytest.mark.parametrize(("path", "who"), READS)
def test_a_read_is_told_to_whose_place_it_meets(
    triggers: Triggers, path: str, who: set[str]
) -> None:
    """D8: read, once for each trigger."""
    heard = [event for _, event in triggers.read(parse_path(path), 3)]
    assert sorted(event.trigger for event in heard) == sorted(who)
    assert all((e.on, e.path, e.revision) == ("read", path, 3) for e in heard)


def test_setting_replaces_and_dropping_leaves_nothing(
    root: Node, tree_of: Any, triggers: Triggers
) -> None:
    triggers.set(root, "other", [Trigger("x", "/raicho/port", ["create"])])
    triggers.set(root, "me", [])
    assert told(triggers, root, EMPTY, tree_of(TWO_PORTS)) == [
        ("x", "create", P1),
        ("x", "create", P2),
    ]
    triggers.drop("other")
    assert (len(triggers), triggers._changes.below, triggers._reads.below) == (0, {}, {})


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/raicho/prot", "did you mean port"),
        ("/raicho/port/name", "never changes; watch the row"),
        ("/raicho/port[x='1']", "is named port"),
    ],
)
def test_a_trigger_that_could_never_fire_is_refused_and_nothing_is_changed(
    root: Node, triggers: Triggers, path: str, reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        triggers.set(root, "me", [Trigger("good", P2, ALL), Trigger("bad", path, ALL)])
    assert len(triggers) == len(PLACES)


def test_there_is_a_bound(root: Node, triggers: Triggers) -> None:
    many = [Trigger("x", P1, ALL)] * (MAX_TRIGGERS - len(PLACES) + 1)
    with pytest.raises(CallError, match="room for 100000 triggers"):
        triggers.set(root, "other", many)


names = st.sampled_from(["p1", "p2", "p3"])
leaves = st.sampled_from([("mtu", 1000), ("mtu", 2000), ("worker", 1), ("enabled", False)])
ports = st.dictionaries(names, st.lists(leaves, max_size=3), max_size=3)
places = st.lists(
    st.one_of(
        st.sampled_from(["/raicho", "/raicho/port", "/raicho/port/mtu", "/raicho/port/worker"]),
        names.map("/raicho/port[name='{}']".format),
        st.builds("/raicho/port[name='{}']/{}".format, names, st.sampled_from(["mtu", "worker"])),
    ),
    max_size=6,
    unique=True,
)


@given(before=ports, after=ports, places=places, on=st.sets(st.sampled_from(ALL[:3]), min_size=1))
def test_it_tells_what_a_look_at_everything_would(
    root: Node, tree_of: Any, before: Any, after: Any, places: list[str], on: set[str]
) -> None:
    """D8: against the obvious version."""
    old, new = (tree_of(cells_of(side)) for side in (before, after))
    triggers = Triggers()
    wanted = sorted(on)
    triggers.set(root, "me", [Trigger(p, p, wanted) for p in places])  # type: ignore[arg-type]
    assert sorted(told(triggers, root, old, new)) == sorted(
        (place, occasion, path)
        for place in places
        for path, was, now in objects(place, cells_of(before), cells_of(after))
        if (occasion := kind_of(was, now)) in on
    )


def cells_of(side: Any) -> dict[str, Any]:
    return {
        f"/raicho/port[name='{name}']/{leaf}": value
        for name, given in side.items()
        for leaf, value in [("kind", "null"), *given]
    }


def objects(place: str, old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return every row or cell that a place is about, with its value before and after."""
    row = r"/raicho/port[name='{}']"
    rows = [row.format(name) for name in ("p1", "p2", "p3")]
    _, _, column = place.partition("/raicho/port/")
    paths = [place]
    if place == "/raicho/port":
        paths = rows
    elif column:
        paths = [f"{path}/{column}" for path in rows]
    return [(path, inside(path, old), inside(path, new)) for path in paths]


def inside(path: str, cells: dict[str, Any]) -> Any:
    return {p: v for p, v in cells.items() if p == path or p.startswith((path + "/", path + "["))}


def kind_of(was: Any, now: Any) -> str | None:
    if was == now:
        return None
    return "write" if was and now else "create" if now else "delete"
