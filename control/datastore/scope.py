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
from .differences import diff
from .nodes import Kind, Node, locate
from .path import ROOT, Path, Step, parse_path
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
        path = parse_path(text)
        top = locate(root, path)
        read.append((path, frozenset({top.module, *own_modules}) if path else frozenset()))
    return Scope(tuple(read))


def changes_seen(root: Node, scope: Scope, old: Tree, new: Tree) -> list[Change]:
    """Return the difference of two trees as far as *scope* covers it."""
    seen: list[Change] = []
    for change in diff(root, old, new):
        path = parse_path(change.path)
        if scope.covers(path, locate(root, path).module):
            seen.append(change)
    return seen


def config_seen(root: Node, scope: Scope, tree: Tree) -> dict[str, Any]:
    """Return what *scope* covers of a tree as plain data, with the way to it."""
    config: dict[str, Any] = to_config(root, _prune(root, tree, ROOT, scope))
    return config


def _prune(node: Node, here: Any, at: Path, scope: Scope) -> Any:
    """Return what is covered of a container or entry; of an entry, always its keys."""
    kept: dict[str, Any] = {}
    for name, value in here.items():
        child, there = node.children[name], (*at, Step(name))
        if child.kind is Kind.LIST:
            value = _prune_list(child, value, there, scope)
        elif child.kind is Kind.CONTAINER:
            value = _prune(child, value, there, scope)
        elif name not in node.keys and not scope.covers(there, child.module):
            continue
        if value != {}:
            kept[name] = value
    return kept


def _prune_list(node: Node, entries: Any, at: Path, scope: Scope) -> Any:
    kept: dict[Any, Any] = {}
    for key, entry in entries.items():
        there = entry_path(at, node, key)
        inside = _prune(node, entry, there, scope)
        if scope.covers(there, node.module) or len(inside) > len(node.keys):
            kept[key] = inside
    return kept
