"""What tests of the datastore share: the shipped schema, trees made of paths, houses of faults."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faults.house import House

from raicho.control.datastore.library import Library, library_of, shipped_modules
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.tree import EMPTY, Tree, put

MakeTree = Callable[[dict[str, Any]], Tree]


@pytest.fixture(scope="session")
def library() -> Library:
    return library_of(shipped_modules(), [])


@pytest.fixture(scope="session")
def root(library: Library) -> Node:
    return library.root


@pytest.fixture(scope="session")
def tree_of(root: Node) -> MakeTree:
    """Give a function that makes a tree of paths and values."""

    def make(places: dict[str, Any]) -> Tree:
        tree = EMPTY
        for path, value in places.items():
            tree = put(root, tree, parse_path(path), value)
        return tree

    return make


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, House]]:
    kinds = ("soft", "reinit")
    houses = {kind: House(tmp_path_factory.mktemp("house"), kind) for kind in kinds}
    yield houses
    for house in houses.values():
        house.end()


@pytest.fixture(params=["soft", "reinit"])
def house(request: pytest.FixtureRequest, houses: dict[str, House]) -> House:
    """Give the house whose participants come back in this way; it lasts for the module."""
    return houses[request.param]
