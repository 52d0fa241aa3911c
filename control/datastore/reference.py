"""Writes docs/configuration.md from the schema: `python -m raicho.control.datastore.reference`."""

from collections.abc import Iterator

from .library import library_of, shipped_modules
from .nodes import Kind, Node, Type

HEAD = """\
# Configuration

Everything that can be configured, written from the YANG modules by
`python -m raicho.control.datastore.reference`; do not edit it by hand.

A path names each entry on its way by its key, as in
`/raicho/bridge[name='br0']/port[name='p1']/number`. In JSON, a container is an
object, a list an array of objects that hold their keys:

```json
{"raicho": {"port": [{"name": "p1", "kind": "af_packet", "device": "eth1"}],
            "bridge": [{"name": "br0", "port": [{"name": "p1", "number": 1}]}]}}
```

All numbers are JSON numbers, 64-bit ones too. Text is accepted where a number or
a boolean is meant (`"6653"`, `"0x1f"`, `"true"`).
"""


def reference(root: Node) -> str:
    """Return the whole document."""
    return "\n".join([HEAD, *_sections("", root)]).rstrip() + "\n"


def _sections(path: str, node: Node) -> Iterator[str]:
    """Yield one section for each container and list that holds leaves, parents first."""
    leaves = [child for child in node.children.values() if child.type]
    if leaves:
        yield f"## `{path}`\n"
        yield f"{node.description} ({node.module})\n"
        yield from (f"{must.message[:1].upper()}{must.message[1:]}.\n" for must in node.musts)
        yield from (f"No two have the same {' and '.join(names)}.\n" for names in node.unique)
        yield "| leaf | type | default | |\n|---|---|---|---|"
        yield from (_row(node, leaf) for leaf in leaves)
        yield ""
    for child in node.children.values():
        if not child.type:
            keys = "".join(f"[{key}]" for key in child.keys)
            yield from _sections(f"{path}/{child.name}{keys}", child)


def _row(parent: Node, leaf: Node) -> str:
    assert leaf.type
    default = "" if leaf.default is None else f"`{_plain(leaf.default)}`"
    if leaf.name in parent.keys:
        default = "key"
    elif leaf.mandatory:
        default = "must be set"
    units = f" {leaf.units}" if leaf.units else ""
    many = "list of " if leaf.kind is Kind.LEAF_LIST else ""
    spans = leaf.type.ranges or leaf.type.lengths
    meaning = leaf.description if spans else f"{leaf.description} {leaf.type.description}".strip()
    cells = [f"`{leaf.name}`", many + _type(leaf.type) + units, default, meaning]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(type_: Type) -> str:
    if type_.values:
        return ", ".join(f"`{value}`" for value in type_.values)
    if type_.target:
        return f"one of `{type_.target.text}`"
    spans = " or ".join(f"{low}..{high}" for low, high in type_.ranges or type_.lengths)
    unit = " characters" if type_.lengths else ""
    return f"{type_.name}, {spans}{unit}" if spans else type_.name


if __name__ == "__main__":
    print(reference(library_of(shipped_modules(), []).root), end="")
