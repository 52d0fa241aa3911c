"""Schemas: what is read, and what is refused with its place."""

from pathlib import Path
from typing import Any

import pytest
from pyang import context, error, repository

from raicho.control.datastore.fault import SchemaConflict, SchemaError
from raicho.control.datastore.library import UPGRADED, Library, library_of, shipped_modules
from raicho.control.datastore.nodes import Kind, Node, describe, locate
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.yang import compile_schema, read_module

ROOT = Path(__file__).parents[3]
SHIPPED = [
    *ROOT.glob("control/*/schema/*.yang"),
    *ROOT.glob("dataplane/schema/*.yang"),
]


def module(body: str, name: str = "toy", revision: str = "2026-01-01") -> str:
    return f"""
    module {name} {{
      yang-version 1.1; namespace "urn:{name}"; prefix t;
      import raicho {{ prefix r; }}
      revision {revision};
      {body}
    }}"""


def compiled(library: Library, body: str) -> Node:
    return library.extended([module(body)])[0].root


def test_the_shipped_modules_have_no_fault_that_pyang_knows() -> None:
    """D6: the YANG files of the repository load with pyang without errors, in strict mode."""
    folders = ":".join({str(path.parent) for path in SHIPPED})
    ctx = context.Context(repository.FileRepository(folders, use_env=False))
    ctx.strict = ctx.canonical = True
    for path in SHIPPED:
        ctx.add_module(str(path), path.read_text("utf-8"))
    ctx.validate()

    assert len(SHIPPED) >= 3
    assert [(str(pos), error.err_to_str(tag, args)) for pos, tag, args in ctx.errors] == []


def test_every_shipped_node_is_described(root: Node) -> None:
    """Idea 5: the documentation of every leaf comes from the schema."""

    def undescribed(path: str, node: Node) -> list[str]:
        own = [] if node.description or not path else [path]
        below = (undescribed(f"{path}/{name}", child) for name, child in node.children.items())
        return own + [name for names in below for name in names]

    assert undescribed("", root) == []


def test_an_augment_of_another_module_lies_where_it_says(root: Node) -> None:
    controller = locate(root, parse_path("/raicho/bridge/controller"))
    assert (controller.kind, controller.module, controller.keys) == (
        Kind.LIST,
        "raicho-openflow",
        ("name",),
    )


def test_a_typedef_is_resolved_with_its_restrictions(root: Node) -> None:
    port = locate(root, parse_path("/raicho/bridge/controller/port"))
    assert port.type is not None
    assert (port.type.base, port.type.name, port.type.ranges) == (
        "uint16",
        "port-number",
        ((1, 65535),),
    )
    assert port.default == 6653


def test_a_description_has_what_a_command_line_needs(root: Node) -> None:
    """D5: completion and help are made from this."""
    kind = describe(locate(root, parse_path("/raicho/port/kind")))
    kinds = ["af_packet", "af_xdp", "tap", "patch", "memory", "pcap", "dpdk", "null"]
    assert kind["type"]["values"] == kinds
    assert kind["mandatory"] is True
    worker = describe(locate(root, parse_path("/raicho/port/worker")))
    assert worker["default"] == 0


REFUSED = [
    ("anydata", "container c { anydata a; }"),
    ("anyxml", "rpc edit { input { anyxml config; } }"),
    ("instance-identifier", "leaf l { type instance-identifier; }"),
    ("no such function", "leaf l { type string; must \"substring(., 1) = 'a'\"; }"),
    ("a position", "container c { must 'r[1]'; }"),
    ("a position", "container c { must 'r[count(x)]'; }"),
    ("+", "leaf l { type int8; must '. + 1 > 2'; }"),
    ("\\i", "leaf l { type string { pattern '\\i\\c*'; } }"),
    ("[", "leaf l { type string { pattern '[a-z-[aeiou]]'; } }"),
    ("\\p{IsGreek}", "leaf l { type string { pattern '\\p{IsGreek}+'; } }"),
    ("default", 'leaf l { type uint8; default "256"; }'),
    ("not derived from i", "identity i; leaf l { type identityref { base i; } default i; }"),
    ("not found", "leaf l { type nowhere; }"),
    ("not found", "import nowhere { prefix n; }"),
    ("not found", "leaf l { if-feature nowhere; type string; }"),
    ("to no leaf", "leaf l { type union { type leafref { path '../m'; } type string; } }"),
]


@pytest.mark.parametrize(("word", "body"), REFUSED)
def test_what_is_not_supported_is_refused_with_its_place(
    library: Library, word: str, body: str
) -> None:
    with pytest.raises(SchemaError) as refused:
        compiled(library, body)
    assert word in str(refused.value)
    assert refused.value.path.startswith("toy.yang:")


@pytest.mark.parametrize("text", ["", "module x {", "nonsense", "leaf l { type string; }"])
def test_a_text_that_is_no_module_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        read_module(text)


def test_a_module_without_revision_is_refused() -> None:
    with pytest.raises(SchemaError, match="no revision"):
        read_module('module x { namespace "urn:x"; prefix x; }')


# Registration: rows Q1 and Q2.


def test_a_new_module_is_merged_with_those_that_are_there(library: Library) -> None:
    """K5, Q2: a client registers a module of its own."""
    body = 'augment "/r:raicho" { container toy { leaf speed { type uint8; } } }'
    grown, outcomes = library.extended([module(body)])
    assert outcomes == {"toy": "accepted"}
    assert locate(grown.root, parse_path("/raicho/toy/speed")).kind is Kind.LEAF
    assert locate(grown.root, parse_path("/raicho/port/kind")).kind is Kind.LEAF


def test_the_same_revision_is_accepted_again(library: Library) -> None:
    """Q1: a component that starts again brings what is known."""
    same, outcomes = library.extended(shipped_modules())
    assert same is library
    assert set(outcomes.values()) == {"accepted"}


def test_other_words_for_the_same_nodes_are_no_conflict(library: Library) -> None:
    texts = [text.replace("/*", "") + "\n// a comment\n" for text in shipped_modules()]
    _, outcomes = library.extended(texts)
    assert set(outcomes.values()) == {"accepted"}


def dataplane(old: str, new: str, revision: str = "2026-11-21") -> list[str]:
    text = next(t for t in shipped_modules() if t.startswith("module raicho-dataplane"))
    assert old in text
    return [text.replace(old, new, 1).replace("2026-11-21", revision)]


def test_another_type_under_the_same_revision_conflicts_at_its_path(library: Library) -> None:
    """Q1: the conflict names where."""
    with pytest.raises(SchemaConflict) as conflict:
        library.extended(dataplane('range "68..65535"', 'range "68..1500"'))
    assert conflict.value.path == "/raicho/port/mtu"


def test_a_leaf_that_is_gone_conflicts_at_its_path(library: Library) -> None:
    with pytest.raises(SchemaConflict) as conflict:
        library.extended(dataplane("leaf max-flows", "leaf most-flows", "2027-01-01"))
    assert conflict.value.path == "/raicho/bridge/max-flows"


def test_a_new_leaf_under_the_same_revision_conflicts(library: Library) -> None:
    more = "leaf extra { type string; } leaf max-flows"
    with pytest.raises(SchemaConflict) as conflict:
        library.extended(dataplane("leaf max-flows", more))
    assert conflict.value.path == "/raicho/bridge/extra"


def test_a_newer_revision_upgrades(library: Library) -> None:
    """Q1: a component of a newer version."""
    more = "leaf extra { type string; } leaf max-flows"
    newer = dataplane("leaf max-flows", more, "2027-01-01")
    grown, outcomes = library.extended(newer)
    assert outcomes == {"raicho-dataplane": UPGRADED}
    with pytest.raises(SchemaConflict, match="older"):
        grown.extended(dataplane("leaf max-flows", "leaf max-flows"))


def test_a_newer_revision_may_not_change_a_type(library: Library) -> None:
    leaf = "leaf cpu {{\n        type {}"
    newer = dataplane(leaf.format("uint16"), leaf.format("string"), "2027-01-01")
    with pytest.raises(SchemaConflict) as conflict:
        library.extended(newer)
    assert conflict.value.path == "/raicho/worker/cpu"


def test_two_modules_may_not_bring_the_same_name_to_the_same_place(library: Library) -> None:
    """Q2: a conflicting leaf type is refused with the conflicting path."""
    with pytest.raises(SchemaConflict) as conflict:
        compiled(library, 'augment "/r:raicho" { leaf port { type string; } }')
    assert conflict.value.path == "/raicho/port"
    assert "raicho-dataplane" in conflict.value.reason


def test_the_newest_known_revision_is_used_at_start() -> None:
    more = "leaf core { type uint8; } leaf cpu"
    newer = read_module(dataplane("leaf cpu", more, "2027-01-01")[0])
    older = read_module(dataplane("leaf cpu", "leaf thread", "2020-01-01")[0])
    with_newer, with_older = (library_of(shipped_modules(), [m]) for m in (newer, older))
    assert locate(with_newer.root, parse_path("/raicho/worker/core")).kind is Kind.LEAF
    assert with_older.modules["raicho-dataplane"].revision > "2020-01-01"


def test_groupings_are_expanded() -> None:
    texts = [
        'module g { namespace "urn:g"; prefix g; revision 2026-01-01;'
        " grouping both { leaf a { type uint8; } leaf b { type boolean; } }"
        " container one { uses both; } container two { uses both; } }"
    ]
    modules: dict[str, Any] = {m.name: m for m in map(read_module, texts)}
    root = compile_schema(modules)
    assert list(root.children["two"].children) == ["a", "b"]
