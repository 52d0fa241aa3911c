"""What a participant sees of the configuration.

A subscription is a path; steps without keys mean every entry.  It covers what
lies below as far as that is of the module that the path leads to, or of a
module that the participant brought itself: the dataplane subscribes to
/raicho/bridge and is not asked about the controllers that another module adds
there.  "/" covers everything.
"""

from typing import Any

import msgspec

from ..message.path import lies_below
from ..message.types import Change
from .nodes import Kind, Node, locate, resolve
from .path import Path, Step, parse_path
from .tree import Tree, entry_path, to_config


class Scope(msgspec.Struct, frozen=True):
    """Subscriptions, each with the modules that it covers; no modules mean all."""

    subscriptions: tuple[tuple[Path, frozenset[str]], ...]

    def covers(self, path: Path, module: str) -> bool:
        """Tell whether a node of *module* at *path* is seen."""
        return any(
            lies_below(path, top) and (not modules or module in modules)
            for top, modules in self.subscriptions
        )


def scope_of(root: Node, subscriptions: list[str], own_modules: set[str]) -> Scope:
    """Read subscriptions; raise NoSuchNode for a path that the schema does not know."""
    read: list[tuple[Path, frozenset[str]]] = []
    for text in subscriptions:
        path = resolve(root, text)
        top = locate(root, path)
        read.append((path, frozenset({top.module, *own_modules}) if path else frozenset()))
    return Scope(tuple(read))


def changes_seen(root: Node, scope: Scope, changes: list[Change]) -> list[Change]:
    """Return those of the changes that *scope* covers."""
    seen: list[Change] = []
    for change in changes:
        path = parse_path(change.path)
        if scope.covers(path, locate(root, path).module):
            seen.append(change)
    return seen


def config_seen(root: Node, scope: Scope, tree: Tree) -> dict[str, Any]:
    """Return what *scope* covers of a tree as plain data, with the way to it."""
    view = _View(tops=scope.subscriptions).settled()
    config: dict[str, Any] = to_config(root, _prune(root, tree, view))
    return config


class _View(msgspec.Struct, frozen=True):
    """What is seen at a place: nodes of *modules*, and what lies on the way to *tops* below it."""

    modules: frozenset[str] = frozenset()
    all: bool = False
    tops: tuple[tuple[Path, frozenset[str]], ...] = ()

    def sees(self, module: str) -> bool:
        return self.all or module in self.modules

    def of(self, step: Step) -> "_View":
        """Return what is seen one step further, where tops lie; else it is the same."""
        tops = tuple((top[1:], modules) for top, modules in self.tops if _leads(step, top[0]))
        return msgspec.structs.replace(self, tops=tops).settled()

    def settled(self) -> "_View":
        """Return it with those tops that are reached."""
        modules, is_all = self.modules, self.all
        for top, covered in self.tops:
            if not top:
                modules, is_all = modules | covered, is_all or not covered
        return _View(modules, is_all, tuple(each for each in self.tops if each[0]))


def _leads(step: Step, wanted: Step) -> bool:
    return step.name == wanted.name and set(wanted.keys) <= set(step.keys)


def _prune(node: Node, here: Any, view: _View) -> Any:
    """Return what is covered of a container or entry; of an entry, always its keys."""
    if view.all:
        return here
    kept: dict[str, Any] = {}
    for name, value in here.items():
        child = node.children[name]
        if child.kind is Kind.LIST:
            value = _prune_list(child, value, view)
        elif child.kind is Kind.CONTAINER:
            within = view.of(Step(name)) if view.tops else view
            value = _prune(child, value, within)
            if value == {} and child.presence and within.sees(child.module):
                kept[name] = value
        elif name not in node.keys:
            within = view.of(Step(name)) if view.tops else view
            if not within.sees(child.module):
                continue
        if value != {}:
            kept[name] = value
    return kept


def _prune_list(node: Node, entries: Any, view: _View) -> Any:
    if not any(top[0].name == node.name for top, _ in view.tops):
        view = _View(view.modules, view.all)  # the same for all entries
        if not view.modules and not view.all:
            return {}
    kept: dict[Any, Any] = {}
    for key, entry in entries.items():
        within = view.of(entry_path((Step(node.name),), node, key)[-1]) if view.tops else view
        inside = _prune(node, entry, within)
        if within.sees(node.module) or len(inside) > len(node.keys):
            kept[key] = inside
    return kept
