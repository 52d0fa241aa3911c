"""Checks of a whole configuration: what the schema says about more than one leaf.

Types, keys and names were checked when the tree was made (tree.py).  A rule is
a function from an instance to the faults there; to add one, add it to RULES.
"""

from collections.abc import Callable, Iterator

from .defaults import with_defaults
from .fault import Fault
from .instance import Here
from .nodes import Kind, Node
from .tree import Tree
from .values import text

References = dict[tuple[str, int], set[str]]
Rule = Callable[[Here, References], Iterator[Fault]]


def validate(root: Node, tree: Tree) -> list[Fault]:
    """Return everything that is wrong with a configuration, in the order of the schema."""
    found: References = {}
    return list(_check(Here(root, with_defaults(root, tree), None), found))


def _check(here: Here, found: References) -> Iterator[Fault]:
    for rule in RULES:
        yield from rule(here, found)
    if not here.node.children:
        return
    for child in here.node.children.values():
        if child.name in here.value and not _is_free(child):
            for inner in here.children(child.name):
                yield from _check(inner, found)


def _is_free(node: Node) -> bool:
    """Tell whether no rule says anything about a node: so it is with most leaves."""
    refers = node.type is not None and node.type.target is not None
    return not (node.children or node.musts or node.when or refers)


def _conditions(here: Here, found: References) -> Iterator[Fault]:
    when = here.node.when
    if when and not when.test.holds(here):
        yield Fault(here.path(), "when", f"it may be set only where {when.test.text}")
    for must in here.node.musts:
        if not must.test.holds(here):
            yield Fault(here.path(), "must", must.message)


def _presence(here: Here, found: References) -> Iterator[Fault]:
    for child in here.node.children.values():
        if child.kind is Kind.LEAF:
            yield from _mandatory(here, child)
        elif child.min_elements or child.max_elements is not None:
            yield from _count(here, child)


def _mandatory(here: Here, child: Node) -> Iterator[Fault]:
    if child.mandatory and child.name not in here.value and _applies(here, child):
        yield Fault(here.path(child.name), "mandatory", f"{child.name} must be set")


def _applies(here: Here, child: Node) -> bool:
    return child.when is None or child.when.test.holds(Here(child, None, here))


def _count(here: Here, child: Node) -> Iterator[Fault]:
    count = len(here.value.get(child.name, ()))
    if count < child.min_elements and _applies(here, child):
        reason = f"{count} are there; at least {child.min_elements} must be"
        yield Fault(here.path(child.name), "min-elements", reason)
    if child.max_elements is not None and count > child.max_elements:
        reason = f"{count} are there; at most {child.max_elements} may be"
        yield Fault(here.path(child.name), "max-elements", reason)


def _unique(here: Here, found: References) -> Iterator[Fault]:
    for child in here.node.children.values():
        for names in child.unique:
            yield from _unique_in(here.children(child.name), names)


def _unique_in(entries: list[Here], names: tuple[str, ...]) -> Iterator[Fault]:
    first: dict[tuple[str, ...], Here] = {}
    for entry in entries:
        values = tuple(value for name in names for value in _descend(entry, name))
        if len(values) < len(names):
            continue  # a value that is not there is like no other
        other = first.setdefault(values, entry)
        if other is not entry:
            reason = f"{' '.join(values)} is used by {other.path()} already; each needs its own"
            yield Fault(entry.path(names[0].partition("/")[0]), "unique", reason)


def _descend(here: Here, names: str) -> list[str]:
    found = [here]
    for name in names.split("/"):
        found = [inner for outer in found for inner in outer.children(name)]
    return [inner.text() for inner in found]


def _leafref(here: Here, found: References) -> Iterator[Fault]:
    type_ = here.node.type
    if type_ is None or type_.target is None:
        return
    values = _referable(here, type_.target.text, found)
    if text(here.value) not in values:
        known = ", ".join(sorted(values)[:10]) or "nothing"
        reason = f"{here.text()!r} does not exist at {type_.target.text}; there is {known}"
        yield Fault(here.path(), "leafref", reason)


def _referable(here: Here, target: str, found: References) -> set[str]:
    """Return what a leafref may say; looked up once for all leaves that start alike."""
    assert here.node.type and here.node.type.target
    start: Here | None = here
    for _ in range(target.count("..")):
        start = start.above if start else None
    key = target, 0 if target.startswith("/") else id(start and start.value)
    if key not in found:
        found[key] = {inner.text() for inner in here.node.type.target.select(here)}
    return found[key]


RULES: tuple[Rule, ...] = (_conditions, _presence, _unique, _leafref)
