"""Configurations as immutable trees.

A container is a dict by name, a list a dict by the texts of its keys, an entry
a dict that holds its key leaves, a leaf-list a tuple.  No dict of a tree is
ever changed: an edit copies the dicts from the root to the place and shares
the rest, so that keeping an old tree costs nothing.  Empty containers and lists
do not exist, but for containers with presence.  Dicts keep their order, which means
something only in lists that their user orders (order.py).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .choices import rivals
from .fault import Fault, Invalid, NoSuchNode
from .nodes import Kind, Node, check_module, child_of, locate, walk
from .path import ROOT, Path, Step, format_path, is_quotable
from .values import BadValue, canonical, text

Tree = Mapping[str, Any]
Key = tuple[str, ...]
Write = Callable[[Node, Any, bool], Any]

EMPTY: Tree = {}


def get(root: Node, tree: Tree, path: Path) -> Any:
    """Return what lies at *path*: a dict, dict of entries, tuple or leaf; None if nothing."""
    here: Any = tree
    for at, (step, node) in enumerate(walk(root, path)):
        here = here.get(step.name) if here else None
        if step.keys and here is not None:
            here = _member(node, here, step, path[: at + 1])
        elif node.kind is Kind.LIST and not step.keys and at + 1 < len(path):
            raise _unnamed(node, path[: at + 1])
    return here


def _member(node: Node, here: Any, step: Step, path: Path) -> Any:
    name = name_of(node, step, path)
    if node.kind is Kind.LEAF_LIST:
        return name if name in here else None
    return here.get(name)


def name_of(node: Node, step: Step, path: Path) -> Any:
    """Return the key of an entry or the value of a leaf-list that *step* names."""
    return (_item if node.kind is Kind.LEAF_LIST else key_of)(node, step, path)


def key_of(node: Node, step: Step, path: Path) -> Key:
    """Return the key of the entry that *step* names, or raise Invalid."""
    if node.kind is not Kind.LIST:
        raise NoSuchNode(Fault(format_path(path), "path", f"{node.name} is no list"))
    given = dict(step.keys)
    if set(given) != set(node.keys) or len(given) != len(step.keys):
        wanted = "".join(f"[{key}='...']" for key in node.keys)
        reason = f"an entry of {node.name} is named {node.name}{wanted}"
        raise NoSuchNode(Fault(format_path(path), "key", reason))
    key = tuple(
        text(_canonical(node.children[name], given[name], (*path, Step(name))))
        for name in node.keys
    )
    if not all(map(is_quotable, key)):
        raise Invalid(Fault(format_path(path), "key", "a key may not have both kinds of quotes"))
    return key


def _item(node: Node, step: Step, path: Path) -> Any:
    if len(step.keys) != 1 or step.keys[0][0] != ".":
        reason = f"a value of {node.name} is named {node.name}[.='...']"
        raise NoSuchNode(Fault(format_path(path), "key", reason))
    return _canonical(node, step.keys[0][1], path)


def _canonical(node: Node, value: object, path: Path) -> Any:
    assert node.type is not None
    try:
        return canonical(node.type, value)
    except BadValue as bad:
        raise Invalid(Fault(format_path(path), bad.rule, str(bad))) from bad


def _unnamed(node: Node, path: Path) -> Invalid:
    wanted = "".join(f"[{key}='...']" for key in node.keys)
    reason = f"say which {node.name} is meant, as {node.name}{wanted}"
    return NoSuchNode(Fault(format_path(path), "key", reason))


def entry_path(path: Path, node: Node, key: Key) -> Path:
    """Return the path of an entry of the list at *path*."""
    return (*path[:-1], Step(node.name, tuple(zip(node.keys, key, strict=True))))


# Editing.


def put(root: Node, tree: Tree, path: Path, value: Any) -> Tree:
    """Return *tree* with *value* merged in at *path*; raise Invalid, with all that is wrong.

    What excludes it, as another case of the same choice, goes.
    """
    new: Tree = edit(root, tree, path, ROOT, partial(_merge, value=value))
    return new


def remove(root: Node, tree: Tree, path: Path) -> Tree:
    """Return *tree* without what is at *path*; raise NoSuchNode if nothing is."""
    if get(root, tree, path) is None:
        raise NoSuchNode(Fault(format_path(path), "path", "there is nothing to delete"))
    if not path:
        return EMPTY
    parent = locate(root, path[:-1])
    if path[-1].name in parent.keys:
        reason = f"{path[-1].name} is the key of {parent.name}; delete the entry instead"
        raise Invalid(Fault(format_path(path), "key", reason))
    new: Tree = edit(root, tree, path, ROOT, _erase)
    return new


def edit(node: Node, here: Any, path: Path, at: Path, change: Any) -> Any:
    """Return *here* with *change* applied to what is at *path* below it."""
    if not path:
        return change(node, here, at)
    step, rest = path[0], path[1:]
    child = child_of(node, step, at)
    there = (*at, step)
    here = here or {}
    old = here.get(step.name)
    if step.keys and child.kind is Kind.LEAF_LIST:
        new = _edit_item(child, old or (), step, there, change)
    elif step.keys:
        new = _edit_entry(child, old or {}, step, rest, there, change)
    elif child.kind is Kind.LIST and rest:
        raise _unnamed(child, there)
    else:
        new = edit(child, old, rest, there, change)
    if node.choices and new is not None:
        gone = rivals(node, step.name)
        here = {name: kept for name, kept in here.items() if name not in gone}
    return _with(here, step.name, new, child.presence)


def _with(here: Tree, name: Any, value: Any, presence: bool = False) -> Any:
    """Return a copy of a dict with one member set, or left out if *value* is empty."""
    if value is None or value == () or (value == {} and not presence):
        return {key: kept for key, kept in here.items() if key != name}
    return {**here, name: value}


def _edit_entry(node: Node, entries: Any, step: Step, rest: Path, at: Path, change: Any) -> Any:
    key = key_of(node, step, at)
    at = entry_path(at, node, key)
    new = _edit_inside(node, entries.get(key), key, rest, at, change)
    return _with(entries, key, new)


def _edit_inside(node: Node, entry: Any, key: Key, rest: Path, at: Path, change: Any) -> Any:
    entry = entry or _new_entry(node, key)
    if not rest:
        return change(node, entry, at)
    new = edit(node, entry, rest, at, change)
    _check_keys(node, entry, new, at)
    return new


def _new_entry(node: Node, key: Key) -> Tree:
    pairs = zip(node.keys, key, strict=True)
    return {name: _canonical(node.children[name], word, ROOT) for name, word in pairs}


def _check_keys(node: Node, old: Tree, new: Tree, at: Path) -> None:
    for name in node.keys:
        if old[name] != new[name]:
            path = format_path((*at, Step(name)))
            reason = f"{text(new[name])!r} is not what the path says; keys do not change"
            raise Invalid(Fault(path, "key", reason))


def _edit_item(node: Node, values: Any, step: Step, at: Path, change: Any) -> Any:
    item = _item(node, step, at)
    kept = tuple(value for value in values if value != item)
    return kept if change is _erase else values if item in values else (*values, item)


def _erase(node: Node, here: Any, at: Path) -> None:
    return None


def _merge(node: Node, here: Any, at: Path, value: Any) -> Any:
    if not node.config:
        raise Invalid(Fault(format_path(at), "config", "this is state, which nobody can set"))
    if node.kind is Kind.LIST and at[-1].keys:
        return _merge_entry(node, here, at, value)
    return _MERGE[node.kind](node, here, at, value)


def _merge_leaf(node: Node, here: Any, at: Path, value: Any) -> Any:
    return _canonical(node, value, at)


def _merge_leaf_list(node: Node, here: Any, at: Path, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise Invalid(Fault(format_path(at), "type", f"{value!r} is no list of values"))
    values = tuple(_canonical(node, item, at) for item in value)
    if len(set(values)) < len(values):
        raise Invalid(Fault(format_path(at), "unique", "a value is there twice"))
    return values


def _merge_container(node: Node, here: Any, at: Path, value: Any) -> Any:
    if value is None and node.presence:
        value = {}
    if not isinstance(value, Mapping):
        raise Invalid(Fault(format_path(at), "type", f"{value!r} is no object with names"))
    here = here or {}
    faults = _rivals_in(node, value, at) if node.choices else []
    for name, inner in value.items():
        module, _, local = str(name).rpartition(":")
        step = Step(local)
        try:
            if module:
                check_module(node, str(name), at)
            here = edit(node, here, (step,), at, partial(_merge, value=inner))
        except Invalid as invalid:
            faults += invalid.faults
    if faults:
        raise Invalid(*faults)
    return here


def _rivals_in(node: Node, value: Mapping[str, Any], at: Path) -> list[Fault]:
    """Return a fault for each member of what is given that another one excludes."""
    names = [str(name).rpartition(":")[2] for name in value]
    pairs = ((name, sorted(rivals(node, name).intersection(names))) for name in names)
    return [
        Fault(format_path((*at, Step(name))), "choice", f"it cannot be there with {other[0]}")
        for name, other in pairs
        if other
    ]


def _merge_list(node: Node, here: Any, at: Path, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise Invalid(Fault(format_path(at), "type", f"{value!r} is no list of entries"))
    faults: list[Fault] = []
    entries = dict(here or {})  # one copy for all of them
    seen: set[Key] = set()
    for item in value:
        try:
            step = Step(node.name, _keys_in(node, item, at))
            key = key_of(node, step, (*at[:-1], step))
            there = entry_path(at, node, key)
            if key in seen:
                raise Invalid(Fault(format_path(there), "key", "it is there twice"))
            seen.add(key)
            change = partial(_merge, value=item)
            entries[key] = _edit_inside(node, entries.get(key), key, ROOT, there, change)
        except Invalid as invalid:
            faults += invalid.faults
    if faults:
        raise Invalid(*faults)
    return entries


def _keys_in(node: Node, item: Any, at: Path) -> tuple[tuple[str, str], ...]:
    given = item.items() if isinstance(item, Mapping) else ()
    plain = {str(name).rpartition(":")[2]: value for name, value in given}
    missing = [key for key in node.keys if key not in plain]
    if missing:
        reason = f"an entry of {node.name} needs its key {', '.join(missing)}"
        raise Invalid(Fault(format_path(at), "key", reason))
    return tuple((key, text(plain[key])) for key in node.keys)


def _merge_entry(node: Node, here: Any, at: Path, value: Any) -> Any:
    new = here if value is None else _merge_container(node, here, at, value)
    _check_keys(node, here, new, at)
    return new


_MERGE = {
    Kind.LEAF: _merge_leaf,
    Kind.LEAF_LIST: _merge_leaf_list,
    Kind.CONTAINER: _merge_container,
    Kind.LIST: _merge_list,
}


# In and out.


def from_config(root: Node, config: Any) -> Tree:
    """Read a whole configuration from plain data; raise Invalid, with all that is wrong."""
    tree: Tree = _merge_container(root, EMPTY, ROOT, config)
    return tree


def to_config(node: Node, here: Any, entry: bool = False) -> Any:
    """Return what lies at a node as plain data; entries come in their order."""
    if node.kind is Kind.LIST and not entry:
        return [to_config(node, item, entry=True) for item in entries_in_order(node, here)]
    if node.kind is Kind.LEAF_LIST:
        return list(here)
    if node.kind is Kind.LEAF:
        return here
    names = [name for name in node.children if name in here]
    return {name: to_config(node.children[name], here[name]) for name in names}


def entries_in_order(node: Node, entries: Mapping[Key, Tree]) -> list[Tree]:
    """Return the entries of a list in the order of their user, or else of their keys."""
    if node.user_ordered:
        return list(entries.values())
    return sorted(entries.values(), key=partial(_sort_key, node))


def _sort_key(node: Node, entry: Tree) -> list[tuple[bool, Any]]:
    return [(isinstance(entry[key], str), entry[key]) for key in node.keys]


def is_large(here: Any, size: int = 1000) -> bool:
    """Tell whether more than *size* nodes lie in what get() found."""
    dicts, n = [here] if isinstance(here, dict) else [], 0
    while dicts and n <= size:
        inner = dicts.pop()
        n += len(inner)
        if n <= size:
            dicts += [each for each in inner.values() if isinstance(each, dict)]
    return n > size


def plain(root: Node, path: Path, found: Any, write: Write | None = None) -> Any:
    """Return what get() found at a path as plain data, or as *write* writes it."""
    is_member = bool(path and path[-1].keys)
    if found is None or (is_member and not isinstance(found, dict)):
        return found  # nothing, or one value of a leaf-list
    return (write or to_config)(locate(root, path), found, is_member)
