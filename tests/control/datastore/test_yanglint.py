"""raicho and libyang read the same modules and judge the same configurations alike."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raicho.control.datastore.fault import Invalid
from raicho.control.datastore.interchange import to_ietf
from raicho.control.datastore.library import library_of, shipped_modules
from raicho.control.datastore.nodes import Node
from raicho.control.datastore.tree import from_config
from raicho.control.datastore.validate import validate
from raicho.control.datastore.yang import compile_schema, read_module

from ..configurations import configurations
from .models import ietf, openconfig
from .random_documents import Author
from .yanglint import Referee, needs_yanglint

pytestmark = needs_yanglint

HERE = Path(__file__).parent
EDITS = 10_000
ROOT = library_of(shipped_modules(), []).root


def named(texts: list[str]) -> dict[str, str]:
    return {read_module(text).name: text for text in texts}


def test_the_shipped_modules_are_read_by_libyang(tmp_path: Path) -> None:
    """D6: another implementation finds no error in them."""
    assert Referee(tmp_path, named(shipped_modules())).complaints_of_modules() == ""


@settings(max_examples=3)
@given(st.lists(configurations(ROOT), min_size=10, max_size=10))
def test_what_raicho_tells_is_a_configuration_for_libyang(configs: list[Any]) -> None:
    """D6: configurations in the form of RFC 7951, of the shipped schema."""
    told = [to_ietf(ROOT, from_config(ROOT, config)) for config in configs]
    with tempfile.TemporaryDirectory() as folder:
        assert Referee(Path(folder), named(shipped_modules())).refused(told) == {}


def complaint(root: Node, document: Any) -> str:
    """Return what raicho says against a document; nothing if it takes it."""
    try:
        return "\n".join(map(str, validate(root, from_config(root, document))))
    except Invalid as invalid:
        return str(invalid)


def differences(referee: Referee, root: Node, documents: list[Any]) -> list[str]:
    """Return the documents that are judged differently, with what both say; both must happen."""
    theirs = referee.refused(documents)
    ours = {at: said for at, doc in enumerate(documents) if (said := complaint(root, doc))}
    assert min(len(ours), len(documents) - len(ours)) > len(documents) // 20
    return [
        f"{documents[at]}\nraicho: {ours.get(at, 'right')}\nlibyang: {theirs.get(at, 'right')}"
        for at in sorted(ours.keys() ^ theirs.keys())
    ]


def test_ten_thousand_random_edits_are_judged_alike(tmp_path: Path) -> None:
    """D4: raicho accepts what libyang accepts, and refuses what it refuses."""
    texts = named([(HERE / f"{name}.yang").read_text() for name in ("garden", "orchard")])
    root = compile_schema({name: read_module(text) for name, text in texts.items()})
    author = Author(seed=1)
    documents = [author.document(root) for _ in range(EDITS)]
    differing = differences(Referee(tmp_path, texts), root, documents)
    assert not differing, "\n\n".join([f"{len(differing)} differ", *differing[:5]])


IP = ("a", "b", "192.0.2.1", "2001:db8::1")
MODELS = {
    "ietf": lambda: (named(ietf("ietf-interfaces", "ietf-ip", "iana-if-type")), {}),
    "openconfig": lambda: (
        named([*openconfig("openconfig-interfaces"), *ietf("iana-if-type")]),
        named(ietf("ietf-interfaces")),
    ),
}


@pytest.mark.parametrize("model", MODELS)
def test_configurations_by_models_of_others_are_judged_alike(model: str, tmp_path: Path) -> None:
    """D4, D7: ietf-interfaces with ietf-ip, and openconfig-interfaces."""
    texts, imports = MODELS[model]()
    texts = {name: text for name, text in texts.items() if name not in imports}
    root = library_of([], []).extended(list(texts.values()), list(imports.values()))[0].root
    author = Author(seed=2, words=IP, slips=0.003)
    documents = [author.document(root) for _ in range(EDITS // 10)]
    differing = differences(Referee(tmp_path, texts, imports), root, documents)
    assert not differing, "\n\n".join([f"{len(differing)} differ", *differing[:5]])
