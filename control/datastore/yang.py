"""From YANG texts to the schema tree; pyang reads, this file decides what is kept.

Supported: containers with and without presence, lists with keys, leaves, leaf-lists,
choices and cases, groupings, augments, deviations, features, typedefs and identities,
the types of values.py with their restrictions, default, mandatory, unique, min- and
max-elements, config, and leafref, must and when as far as xpath.py reads them.
Operations (rpc, action, notification) are kept as descriptions.  What is not
supported is refused when the module is loaded, with its place, rather than ignored.

To support another statement, add a row to PROPERTIES in yang_nodes.py, or to RESTRICTIONS
in yang_types.py.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from pyang import context, error, repository

from .fault import SchemaConflict, SchemaError
from .nodes import Node
from .yang_nodes import root_of
from .yang_types import Context, Statement, place_of


class Module(msgspec.Struct, frozen=True):
    """A module as a component brought it.

    One that is only imported gives others its types, groupings and identities to
    derive from; its own nodes are not there.  A submodule is a part of another.
    """

    name: str
    revision: str
    text: str
    implemented: bool = True
    part_of: str = ""


class _Texts(repository.Repository):  # type: ignore[misc]
    """Shows pyang the texts that it may import."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules

    def get_modules_and_revisions(self, ctx: Any) -> list[tuple[str, str, str]]:
        return [(module.name, module.revision, module.name) for module in self._modules.values()]

    def get_module_from_handle(self, handle: str) -> tuple[str, str, str]:
        return f"{handle}.yang", "yang", self._modules[handle].text


def read_module(text: str) -> Module:
    """Find name and revision of a module, and of what it is a part."""
    ctx = Context(_Texts({}))
    with _pyang_failing_at("module"):
        parsed = context.yang_parser.YangParser().parse(ctx, "module", text)
    if parsed is None or parsed.keyword not in ("module", "submodule"):
        reasons = _complaints(ctx) or ["this is no YANG module"]
        raise SchemaError("module", "; ".join(reasons))
    revisions = [s.arg for s in parsed.search("revision")]
    if not revisions:
        raise SchemaError(parsed.arg, "the module has no revision")
    whole = parsed.search_one("belongs-to")
    return Module(parsed.arg, max(revisions), text, part_of=whole.arg if whole else "")


def compile_schema(modules: Mapping[str, Module], off: Iterable[str] = ()) -> Node:
    """Return the root of the tree that all *modules* make together.

    Every feature is on but those that are *off*, as MODULE:FEATURE.
    """
    ctx = Context(_Texts(modules), frozenset(m.name for m in modules.values() if m.implemented))
    for name in off:
        module, _, feature = name.partition(":")
        ctx.exclude_features.setdefault(module, []).append(feature)
    with _pyang_failing_at("module"):
        whole = [module for module in modules.values() if not module.part_of]
        parsed = [ctx.add_module(f"{m.name}.yang", m.text) for m in whole]
        ctx.validate()
    complaints = _complaints(ctx)
    if complaints:
        raise _conflict_or_error(ctx, complaints)
    for module in parsed:
        _check_features(module, ctx.exclude_features.get(module.arg, ()))
        for part in (module, *(ctx.get_module(sub.arg) for sub in module.search("include"))):
            _check_module(part, ctx.implemented)
    return root_of(stmt for module in parsed for stmt in module.i_children)


@contextlib.contextmanager
def _pyang_failing_at(place: str) -> Iterator[None]:
    """Turn what escapes pyang on texts it did not expect (IndexError and more) into a refusal."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # any kind: the text came from another process
        reason = f"the YANG parser cannot read this: {type(error).__name__}: {error}"
        raise SchemaError(place, reason) from error


def _complaints(ctx: Any) -> list[str]:
    return [
        f"{pos.ref}:{pos.line}: {error.err_to_str(tag, args)}"
        for pos, tag, args in ctx.errors
        if error.is_error(error.err_level(tag))
    ]


def _conflict_or_error(ctx: Any, complaints: list[str]) -> SchemaError:
    for _, tag, args in ctx.errors:
        if tag == "DUPLICATE_CHILD_NAME":
            return SchemaConflict(str(args[1]), "; ".join(complaints))
    place, _, reason = complaints[0].partition(": ")
    return SchemaError(place, "; ".join([reason, *complaints[1:]]))


def _check_features(module: Statement, off: Iterable[str]) -> None:
    for feature in off:
        if feature not in module.i_features:
            known = ", ".join(module.i_features) or "none"
            raise SchemaError(f"{module.arg}:{feature}", f"no such feature; it has {known}")


REFUSED_ANYWHERE = {"anydata", "anyxml"}


def _check_module(module: Statement, implemented: frozenset[str]) -> None:
    """Refuse what would have to be honoured and is not."""
    for stmt in _all_statements(module):
        if stmt.keyword in REFUSED_ANYWHERE:
            raise SchemaError(place_of(stmt), f"{stmt.keyword} is not supported")
    for stmt in [*module.search("augment"), *module.search("deviation")]:
        changed = stmt.i_target_node.i_module.i_modulename
        if module.i_modulename in implemented and changed not in implemented:
            raise SchemaError(place_of(stmt), f"{changed} is only imported, so nothing is there")
        if module.i_modulename not in implemented and stmt.keyword == "deviation":
            raise SchemaError(place_of(stmt), "a module that is only imported may not deviate")


def _all_statements(stmt: Statement) -> Iterator[Statement]:
    yield stmt
    for sub in stmt.substmts:
        yield from _all_statements(sub)
