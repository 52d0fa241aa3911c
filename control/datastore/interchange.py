"""Configurations as other tools read them: JSON by RFC 7951.

A name has its module before it where that is not the module of what it lies in;
numbers of 64 bits and decimal64 are texts.  tree.py reads this form too.
"""

from typing import Any

from .nodes import Kind, Node, Type
from .tree import entries_in_order
from .values import BadValue, canonical

TEXTS = {"int64", "uint64", "decimal64"}


def to_ietf(node: Node, here: Any, entry: bool = False) -> Any:
    """Return what lies at a node in the form of RFC 7951."""
    if node.type is not None:
        return _leaf(node, node.type, here)
    if node.kind is Kind.LIST and not entry:
        return [to_ietf(node, item, entry=True) for item in entries_in_order(node, here)]
    children = (child for name, child in node.children.items() if name in here)
    return {_name(node, child): to_ietf(child, here[child.name]) for child in children}


def _leaf(node: Node, type_: Type, value: Any) -> Any:
    if node.kind is Kind.LEAF_LIST:
        return [_value(type_, item) for item in value]
    return _value(type_, value)


def _name(node: Node, child: Node) -> str:
    return child.name if child.module == node.module else f"{child.module}:{child.name}"


def _value(type_: Type, value: Any) -> Any:
    if type_.members:
        return _value(next(t for t in type_.members if _takes(t, value)), value)
    if type_.base == "empty":
        return [None]
    return str(value) if type_.base in TEXTS else value


def _takes(type_: Type, value: Any) -> bool:
    """Tell whether a value in the form that is kept is of a type."""
    try:
        return bool(canonical(type_, value) == value)
    except BadValue:
        return False
