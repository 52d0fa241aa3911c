"""docs/configuration.md is what the schema says."""

from pathlib import Path

from raicho.control.datastore.nodes import Node
from raicho.control.datastore.reference import reference

DOCUMENT = Path(__file__).parents[3] / "docs/configuration.md"


def test_the_reference_is_up_to_date(root: Node) -> None:
    """D5: write it again with `python -m raicho.control.datastore.reference`."""
    assert DOCUMENT.read_text("utf-8") == reference(root)


def test_every_leaf_is_in_it(root: Node) -> None:
    def names(node: Node) -> list[str]:
        leaves = [name for name, child in node.children.items() if child.type]
        below = (names(child) for child in node.children.values())
        return leaves + [name for found in below for name in found]

    text = reference(root)
    assert [name for name in names(root) if f"| `{name}` |" not in text] == []
