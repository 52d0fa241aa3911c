"""The modules that make up the schema, and what happens when one is brought.

A module of a known name and revision must say what is known; a newer revision
takes the place of an older one if every node is still there with its type.
The modules that ship with raicho are known from the start, so that a
configuration can be written before any component has run.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from .fault import SchemaConflict
from .nodes import Node, describe
from .yang import Module, compile_schema, read_module

SHIPPED = ("control/*/schema/*.yang", "dataplane/schema/*.yang")

_IMPORT = re.compile(r"^\s*import\s+([\w.-]+)", re.MULTILINE)

ACCEPTED, UPGRADED = "accepted", "upgraded"


class Library(msgspec.Struct, frozen=True):
    """Modules by name, and the schema that they make together without the features *off*."""

    modules: dict[str, Module]
    root: Node
    off: frozenset[str] = frozenset()

    def extended(
        self, texts: list[str], imports: Sequence[str] = ()
    ) -> tuple["Library", dict[str, str]]:
        """Return the library with more modules, and what became of each.

        Those of *imports* are only imported by others.  Raise SchemaConflict if
        one contradicts what is known, SchemaError if one is wrong in itself.
        """
        modules = dict(self.modules)
        outcomes: dict[str, str] = {}
        brought = [(text, True) for text in texts] + [(text, False) for text in imports]
        for text, implemented in brought:
            module = read_module(text)
            known = modules.get(module.name)
            newer = known is not None and known.revision < module.revision
            outcomes[module.name] = UPGRADED if newer else ACCEPTED
            if known is not None and known.revision > module.revision:
                reason = f"revision {module.revision} is older than {known.revision}, which is used"
                raise SchemaConflict(module.name, reason)
            implemented = implemented or (known is not None and known.implemented)
            modules[module.name] = msgspec.structs.replace(module, implemented=implemented)
        if modules == self.modules:
            return self, outcomes
        return self._grown(modules, outcomes), outcomes

    def rank(self, names: frozenset[str]) -> int:
        """Return how deep modules stand on others: 0 for those that import nothing."""
        return max((self._depth(name) for name in names if name in self.modules), default=0)

    def _depth(self, name: str) -> int:
        imported = _IMPORT.findall(self.modules[name].text)
        return max((1 + self._depth(n) for n in imported if n in self.modules), default=0)

    def _grown(self, modules: dict[str, Module], outcomes: dict[str, str]) -> "Library":
        root = compile_schema(modules, self.off)
        for name, node in self.root.children.items():
            if name not in root.children:
                raise SchemaConflict(f"/{name}", f"{node.module} has no {name} any more")
            _compare(f"/{name}", node, root.children[name], outcomes)
        return Library(modules, root, self.off)


def _compare(path: str, old: Node, new: Node, outcomes: dict[str, str]) -> None:
    """Raise SchemaConflict at the first place where a known node has become another."""
    upgraded = outcomes.get(old.module) == UPGRADED
    before, after = _essence(old, upgraded), _essence(new, upgraded)
    if before != after:
        field = next(key for key in (*before, *after) if before.get(key) != after.get(key))
        was, now = before.get(field, "absent"), after.get(field, "absent")
        raise SchemaConflict(path, f"{field} was {was} and would become {now}")
    for name, child in old.children.items():
        if name not in new.children:
            raise SchemaConflict(f"{path}/{name}", f"{old.module} has no {name} any more")
        _compare(f"{path}/{name}", child, new.children[name], outcomes)
    if not upgraded:
        _refuse_extra(path, old, new)


def _refuse_extra(path: str, old: Node, new: Node) -> None:
    """A module may add to another's nodes, but not to its own without a new revision."""
    for name in new.children.keys() - old.children.keys():
        if new.children[name].module == old.module:
            reason = f"{name} is new in {old.module}, whose revision is the same"
            raise SchemaConflict(f"{path}/{name}", reason)


def _essence(node: Node, upgraded: bool) -> dict[str, Any]:
    """Return what must stay; across revisions only what stored values rest on."""
    plain = describe(node)
    for key in ("children", "choices", "operations"):  # to which other modules may add
        plain.pop(key, None)
    if not upgraded:
        return plain | {"type": _fixed(plain.get("type", {}))}
    type_ = plain.get("type", {})
    return {"kind": plain["kind"], "keys": plain.get("keys"), "type": type_.get("base")}


def _fixed(type_: dict[str, Any]) -> dict[str, Any]:
    """Return what of a type no other module can change: they add identities."""
    if "members" in type_:
        return type_ | {"members": [_fixed(member) for member in type_["members"]]}
    if type_.get("base") == "identityref":
        return {key: value for key, value in type_.items() if key != "values"}
    return type_


def shipped_modules(top: Path = Path(__file__).parents[2]) -> list[str]:
    """Return the texts of the modules that lie beside the components."""
    paths = [path for pattern in SHIPPED for path in top.glob(pattern)]
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]


def library_of(
    texts: list[str], stored: list[Module], off: frozenset[str] = frozenset()
) -> Library:
    """Return the library to begin with: of each module the newest, shipped before stored."""
    modules = {module.name: module for module in map(read_module, texts)}
    for module in stored:
        known = modules.get(module.name)
        if known is None or known.revision < module.revision:
            modules[module.name] = module
    return Library(modules, compile_schema(modules, off), off)
