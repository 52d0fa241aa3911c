"""Configurations made from the schema itself, so that a new leaf is in them at once."""

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from raicho.control.datastore.fault import Fault, Invalid
from raicho.control.datastore.nodes import Kind, Node, Type, locate
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.tree import Tree, from_config, get, remove, to_config
from raicho.control.datastore.validate import validate
from raicho.control.datastore.values import BadValue, canonical

MOST = 2  # entries of a list, values of a leaf-list


def values(type_: Type) -> st.SearchStrategy[Any]:
    """Draw a value of a type, in the form that is kept."""
    if type_.members:
        return st.one_of([values(member) for member in type_.members])
    if type_.base == "boolean":
        return st.booleans()
    if type_.values:
        return st.sampled_from(type_.values)
    if type_.ranges:
        return st.one_of([st.integers(low, high) for low, high in type_.ranges])
    return _texts(type_)


def _texts(type_: Type) -> st.SearchStrategy[str]:
    patterns = [pattern.regex for pattern in type_.patterns if not pattern.inverted]
    if not patterns:
        longest = min(max((high for _, high in type_.lengths), default=20), 20)
        characters = st.characters(blacklist_categories=["Cs", "Cc"])
        drawn = st.text(characters, min_size=1, max_size=longest)
    else:
        drawn = st.from_regex(patterns[-1], fullmatch=True)
    return drawn.filter(lambda text: is_of(type_, text))


def is_of(type_: Type, value: Any) -> bool:
    """Tell whether a type takes a value."""
    try:
        canonical(type_, value)
    except BadValue:
        return False
    return True


def nodes(node: Node) -> st.SearchStrategy[dict[str, Any]]:
    """Draw what lies in a container or an entry; keys and mandatory leaves always."""

    @st.composite  # without arguments: a strategy that shows a whole schema is slow
    def content(draw: st.DrawFn) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, child in node.children.items():
            if not child.config:
                continue
            if name in node.keys or child.mandatory or draw(st.booleans()):
                found[name] = draw(_DRAWN[child.kind](child))
        return found

    return content()


def _entries(node: Node) -> st.SearchStrategy[list[Any]]:
    keys = lambda entry: tuple(map(str, (entry[key] for key in node.keys)))  # noqa: E731
    return st.lists(nodes(node), max_size=MOST, unique_by=keys)


def _leaf(node: Node) -> st.SearchStrategy[Any]:
    assert node.type
    return values(node.type)


def _leaf_list(node: Node) -> st.SearchStrategy[Any]:
    assert node.type
    return st.lists(values(node.type), max_size=MOST, unique=True)


_DRAWN = {
    Kind.CONTAINER: nodes,
    Kind.LIST: _entries,
    Kind.LEAF: _leaf,
    Kind.LEAF_LIST: _leaf_list,
}


def trees(root: Node) -> st.SearchStrategy[Tree]:
    """Draw a tree in which every leaf is of its type, whatever the other rules say."""
    return nodes(root).map(lambda config: _tree(root, config))


def _tree(root: Node, config: Any) -> Tree:
    try:
        return from_config(root, config)
    except Invalid:  # a key that no path can name
        assume(False)
        raise


def configurations(root: Node) -> st.SearchStrategy[Any]:
    """Draw a configuration that the schema allows: what breaks a rule is taken out again."""
    return trees(root).map(lambda tree: to_config(root, _repaired(root, tree)))


def _repaired(root: Node, tree: Tree) -> Tree:
    while faults := validate(root, tree):
        tree = _without(root, tree, faults[0])
    return tree


def _without(root: Node, tree: Tree, fault: Fault) -> Tree:
    """Remove what a fault is about, or what it lies in if that is not there."""
    path = parse_path(fault.path)
    while get(root, tree, path) is None or path[-1].name in locate(root, path[:-1]).keys:
        path = path[:-1]
    return remove(root, tree, path)
