"""Completion of paths and values, from the schema that the datastore has."""

from collections.abc import Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem


class ConfigPath(click.ParamType[str]):
    """A path into the configuration."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Offer what the schema has at the next step, and the entries that are there."""
        parent = incomplete[: _last_slash(incomplete)]
        return [item for item in _children(ctx, parent) if item.value.startswith(incomplete)]


class LeafValue(click.ParamType[str]):
    """A value for the leaf at the argument *path*."""

    name = "value"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Offer the values that the type of the leaf names."""
        node = _described(ctx, ctx.params.get("path") or "/") or {}
        values = _values(node.get("type") or {})
        return [CompletionItem(value) for value in values if value.startswith(incomplete)]


def _last_slash(path: str) -> int:
    """Return where the last step begins; a slash in a key is none."""
    at, quote = 0, ""
    for place, character in enumerate(path):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "/":
            at = place
    return at


def _children(ctx: click.Context, parent: str) -> Iterator[CompletionItem[str]]:
    node = _described(ctx, parent or "/") or {}
    for name, child in node.get("children", {}).items():
        path = f"{parent}/{name}"
        yield CompletionItem(path, help=child.get("description"))
        if child["kind"] == "list":
            for entry in _asked(ctx, "read", path) or []:
                yield CompletionItem(path + _keys(child["keys"], entry))


def _keys(keys: list[str], entry: dict[str, Any]) -> str:
    from ..message.path import quote

    return "".join(f"[{key}={quote(_text(entry[key]))}]" for key in keys)


def _values(type_: dict[str, Any]) -> Iterator[str]:
    if type_.get("base") == "boolean":
        yield from ("true", "false")
    yield from type_.get("values", ())
    for member in type_.get("members", ()):
        yield from _values(member)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(ctx: click.Context, path: str) -> dict[str, Any] | None:
    from ..message import Describe

    description = _asked(ctx, "ask", "datastore", Describe(path))
    return description.node if description else None


def _asked(ctx: click.Context, how: str, *what: Any) -> Any:
    """Ask, or return None: where nothing answers there is nothing to offer."""
    from ..message import CallError
    from . import ask

    with ctx.scope():
        try:
            return getattr(ask, how)(*what)
        except (CallError, OSError):
            return None
