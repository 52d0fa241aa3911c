"""Checks of a whole configuration: what the schema says about more than one leaf.

Types, keys and names were checked when the tree was made (tree.py).  A rule is
a function from an instance to the faults there; to add one, add it to RULES, with
which nodes it concerns.
"""

from collections.abc import Callable, Iterator

from .choices import idle, reachable, used_cases
from .defaults import with_defaults
from .fault import Fault
from .instance import Here
from .nodes import Choice, Kind, Node, Type, is_demanding
from .tree import Tree
from .values import BadValue, canonical, text

References = dict[tuple[str, int], set[str]]
Rule = Callable[[Here, References], Iterator[Fault]]


def validate(root: Node, tree: Tree) -> list[Fault]:
    """Return everything that is wrong with a configuration, in the order of the schema."""
    check = _Check()
    return list(check.at(Here(root, with_defaults(root, tree, whole=True), None)))


class _Check:
    """One walk through a configuration, with what was found on the way."""

    def __init__(self) -> None:
        self._found: References = {}
        self._plans: dict[int, tuple[tuple[Rule, ...], tuple[str, ...]]] = {}

    def at(self, here: Here) -> Iterator[Fault]:
        """Yield what is wrong at and below an instance."""
        rules, names = self._plan(here.node)
        for rule in rules:
            yield from rule(here, self._found)
        for name in names:
            if name in here.value:
                for inner in here.children(name):
                    yield from self.at(inner)

    def _plan(self, node: Node) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
        """Return the rules that concern a node, and the children that some rule concerns."""
        plan = self._plans.get(id(node))
        if plan is None:
            rules = tuple(rule for rule, concerns in RULES if concerns(node))
            names = tuple(name for name, child in node.children.items() if child.ruled)
            plan = self._plans[id(node)] = rules, names
        return plan


def _conditions(here: Here, found: References) -> Iterator[Fault]:
    if here.node.whens and not here.exists():
        conditions = " and ".join(when.test.text for when in here.node.whens)
        yield Fault(here.path(), "when", f"it may be set only where {conditions}")
    for must in here.node.musts:
        if not must.test.holds(here):
            yield Fault(here.path(), "must", must.message)


def _presence(here: Here, found: References) -> Iterator[Fault]:
    absent = idle(here.node.choices, here.value) if here.node.choices else ()
    for child in here.node.children.values():
        if child.name in absent or not child.config:
            continue
        if child.kind is Kind.LEAF:
            yield from _mandatory(here, child)
        elif child.min_elements or child.max_elements is not None:
            yield from _count(here, child)


def _mandatory(here: Here, child: Node) -> Iterator[Fault]:
    if child.mandatory and child.name not in here.value and _applies(here, child):
        yield Fault(here.path(child.name), "mandatory", f"{child.name} must be set")


def _applies(here: Here, child: Node) -> bool:
    return Here(child, None, here).exists()


def _count(here: Here, child: Node) -> Iterator[Fault]:
    count = len(here.value.get(child.name, ()))
    if count < child.min_elements and _applies(here, child):
        reason = f"{count} are there; at least {child.min_elements} must be"
        yield Fault(here.path(child.name), "min-elements", reason)
    if child.max_elements is not None and count > child.max_elements:
        reason = f"{count} are there; at most {child.max_elements} may be"
        yield Fault(here.path(child.name), "max-elements", reason)


def _choices(here: Here, found: References) -> Iterator[Fault]:
    for choice in reachable(here.node.choices, here.value):
        used = used_cases(choice, here.value)
        if len(used) > 1:
            one, other = (min(case.names & here.value.keys()) for case in used[:2])
            yield Fault(here.path(other), "choice", f"it cannot be there together with {one}")
        elif not used and choice.mandatory and _may_choose(here, choice):
            names = ", ".join(sorted(name for case in choice.cases for name in case.names))
            yield Fault(here.path(), "choice", f"one of {names} must be set, for {choice.name}")


def _may_choose(here: Here, choice: Choice) -> bool:
    return all(when.test.holds(here) for when in choice.whens)


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
    if type_ is None or _exists(here, type_, found):
        return
    if type_.target is None:
        yield Fault(here.path(), "leafref", f"{here.text()!r} does not exist where it may be from")
        return
    known = ", ".join(sorted(_referable(here, type_, found))[:10]) or "nothing"
    reason = f"{here.text()!r} does not exist at {type_.target.text}; there is {known}"
    yield Fault(here.path(), "leafref", reason)


def _exists(here: Here, type_: Type, found: References) -> bool:
    """Tell whether a value is of a type, and exists if it must; of a union, of any member."""
    if type_.base == "union":
        return any(_exists(here, member, found) for member in type_.members)
    if type_.target is not None and type_.must_exist:
        return text(here.value) in _referable(here, type_, found)
    try:
        return bool(canonical(type_, here.value) == here.value)
    except BadValue:
        return False


def _referable(here: Here, type_: Type, found: References) -> set[str]:
    """Return what a leafref may say; looked up once for all leaves that start alike."""
    target = type_.target
    assert target
    start: Here | None = here
    for _ in range(target.ups):
        start = start.above if start else None
    key = target.text, 0 if target.ups < 0 else id(start and start.value)
    if not target.is_fixed or not target.ups:  # it looks at what is beside the leaf
        key = target.text, id(here.above and here.above.value)
    if key not in found:
        found[key] = {inner.text() for inner in target.select(here)}
    return found[key]


def _has_demands(node: Node) -> bool:
    return any(map(is_demanding, node.children.values()))


RULES: tuple[tuple[Rule, Callable[[Node], bool]], ...] = (
    (_conditions, lambda node: bool(node.whens or node.musts)),
    (_presence, _has_demands),
    (_choices, lambda node: bool(node.choices)),
    (_unique, lambda node: any(child.unique for child in node.children.values())),
    (_leafref, lambda node: node.type is not None and node.type.refers()),
)
