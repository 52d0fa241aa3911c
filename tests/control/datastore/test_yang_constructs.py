"""What YANG can say, each construct in a small module: what is taken, refused and filled in."""

from collections.abc import Callable
from typing import Any

import pytest

from raicho.control.datastore.defaults import with_defaults
from raicho.control.datastore.differences import apply_change, diff
from raicho.control.datastore.fault import Invalid, NoSuchNode, SchemaConflict, SchemaError
from raicho.control.datastore.interchange import to_ietf
from raicho.control.datastore.library import Library
from raicho.control.datastore.nodes import Node, describe, resolve
from raicho.control.datastore.path import parse_path
from raicho.control.datastore.sessions import Clash, Session
from raicho.control.datastore.tree import EMPTY, Tree, from_config, get, put, remove, to_config
from raicho.control.datastore.validate import validate
from raicho.control.datastore.yang import compile_schema, read_module
from raicho.control.message.types import Change

Compile = Callable[..., Node]


def module(name: str, body: str) -> str:
    return f"""module {name} {{ yang-version 1.1; namespace "urn:{name}"; prefix {name};
        {body.replace("REVISION", "revision 2026-01-01;")} }}"""


def compiled(*texts: str, off: tuple[str, ...] = ()) -> Node:
    modules = {found.name: found for found in map(read_module, texts)}
    return compile_schema(modules, off)


def toy(body: str) -> Node:
    return compiled(module("toy", "REVISION " + body))


def rules(root: Node, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return path and rule of everything that is wrong with a configuration."""
    try:
        tree = from_config(root, config)
        faults = list(validate(root, tree))
    except Invalid as invalid:
        faults = list(invalid.faults)
    return [(fault.path, fault.rule) for fault in faults]


def kept(root: Node, name: str, value: object) -> object:
    """Return the form in which a value of the leaf *name* is kept."""
    return from_config(root, {name: value})[name]


# Types.

NUMBERS = toy(
    """leaf plain { type decimal64 { fraction-digits 2; } }
       leaf some { type decimal64 { fraction-digits 3; range "-1.5 .. 0 | 2.25 .. max"; } }
       leaf third { type decimal64 { fraction-digits 3; } default "0.3"; }"""
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("3.14", "3.14"), ("+3.10", "3.1"), (-2, "-2.0"), (0.5, "0.5"), ("0", "0.0"), ("-0.0", "0.0")],
)
def test_a_decimal_is_kept_in_its_canonical_form(given: object, canonical: str) -> None:
    """RFC 7950, 9.3.2."""
    assert kept(NUMBERS, "plain", given) == canonical


@pytest.mark.parametrize("given", ["1.234", "1e3", ".5", "5.", "", True, "x", None])
def test_what_is_no_decimal_is_refused(given: object) -> None:
    assert rules(NUMBERS, {"plain": given}) == [("/plain", "type")]


def test_the_range_of_a_decimal_counts_in_its_digits() -> None:
    for right in ("-1.5", "-0.001", "0", "2.25", "9223372036854775.807"):
        assert rules(NUMBERS, {"some": right}) == []
    for wrong in ("-1.501", "0.001", "2.249"):
        assert rules(NUMBERS, {"some": wrong}) == [("/some", "range")]
    with pytest.raises(Invalid, match=r"-1\.5\.\.0\.0 or 2\.25\.\."):
        from_config(NUMBERS, {"some": 1})
    assert with_defaults(NUMBERS, EMPTY)["third"] == "0.3"


BITS = toy(
    """typedef flags { type bits { bit high { position 7; } bit low { position 0; } bit next; } }
       leaf all { type flags; }
       leaf two { type flags { bit next; bit low; } }
       leaf bytes { type binary { length "2..3"; } }
       leaf mark { type empty; }
       leaf either { type union { type uint8; type empty; } }"""
)


def test_bits_are_kept_in_the_order_of_their_positions() -> None:
    """RFC 7950, 9.7.2."""
    assert kept(BITS, "all", "next high  low") == "low high next"
    assert kept(BITS, "two", "next low") == "low next"
    assert kept(BITS, "all", "") == ""
    for name, wrong in (("all", "low low"), ("all", "other"), ("two", "high"), ("all", 1)):
        assert rules(BITS, {name: wrong}) == [(f"/{name}", "bits")]


def test_a_binary_is_base64_and_its_length_counts_bytes() -> None:
    assert kept(BITS, "bytes", "AQI=") == "AQI="
    assert rules(BITS, {"bytes": "AQ=="}) == [("/bytes", "length")]
    assert rules(BITS, {"bytes": "AQIDBA=="}) == [("/bytes", "length")]
    for wrong in ("AQI", "A?I=", 5):
        assert rules(BITS, {"bytes": wrong}) == [("/bytes", "type")]


def test_an_empty_leaf_is_there_or_not() -> None:
    """RFC 7951, 6.9: it is written as [null]."""
    tree = from_config(BITS, {"mark": [None], "either": [None]})
    assert to_config(BITS, tree) == {"mark": (None,), "either": (None,)}
    assert to_ietf(BITS, tree) == {"toy:mark": [None], "toy:either": [None]}
    assert put(BITS, EMPTY, parse_path("/mark"), "") == from_config(BITS, {"mark": {}})
    assert diff(BITS, EMPTY, from_config(BITS, {"mark": ""})) == [Change("/mark", None, (None,))]
    assert remove(BITS, from_config(BITS, {"mark": ""}), parse_path("/mark")) == EMPTY
    for wrong in ("x", True, [], 0):
        assert rules(BITS, {"mark": wrong}) == [("/mark", "type")]


# Identities.

SHAPES = module(
    "shapes",
    """REVISION identity shape; identity round { base shape; } identity big;
       identity circle { base round; }""",
)
DRAWING = module(
    "drawing",
    """import shapes { prefix s; } REVISION
       identity square { base s:shape; base s:big; }
       container drawing {
         leaf any { type identityref { base s:shape; } default "s:circle"; }
         leaf both { type identityref { base s:shape; base s:big; } }
         leaf radius {
           when "derived-from-or-self(../any, 's:round')"; type uint8;
         }
         leaf side {
           when "../any = 'square'"; type uint8;
         }
         leaf strictly {
           must "derived-from(../any, 's:round')"; type uint8;
         }
         list made { key of; leaf of { type identityref { base s:shape; } } }
       }""",
)
DRAWN = compiled(SHAPES, DRAWING)


def drawn(**leaves: object) -> list[tuple[str, str]]:
    return rules(DRAWN, {"drawing:drawing": leaves})


def test_an_identity_may_come_from_any_module_that_is_there() -> None:
    assert drawn(any="shapes:circle") == drawn(any="drawing:square") == drawn(any="square") == []
    assert drawn(both="drawing:square") == []
    assert drawn(both="shapes:circle") == drawn(both="x") == [("/drawing/both", "identityref")]
    assert drawn(any="shapes:shape") == [("/drawing/any", "identityref")]  # the base is none itself
    assert drawn(any="drawing:circle") == [("/drawing/any", "identityref")]


def test_an_identity_is_kept_with_its_module() -> None:
    """RFC 7951, 6.8."""
    tree = from_config(DRAWN, {"drawing": {"any": "circle", "made": [{"of": "square"}]}})
    assert tree["drawing"]["any"] == "shapes:circle"
    assert get(DRAWN, tree, parse_path("/drawing/made[of='drawing:square']"))
    assert with_defaults(DRAWN, EMPTY)["drawing"]["any"] == "shapes:circle"


def test_conditions_know_what_an_identity_is_derived_from() -> None:
    assert drawn(radius=1) == drawn(any="round", radius=1) == []
    assert drawn(any="square", radius=1) == [("/drawing/radius", "when")]
    assert drawn(any="square", side=1) == []
    assert drawn(side=1) == [("/drawing/side", "when")]
    assert drawn(strictly=1) == []
    assert drawn(any="round", strictly=1) == [("/drawing/strictly", "must")]


def test_a_module_may_add_identities_to_anothers(library: Library) -> None:
    """D7, K5: a type whose identities are more than before has not changed."""
    more = module("more", "import shapes { prefix s; } REVISION identity oval { base s:round; }")
    grown = library.extended([SHAPES, DRAWING])[0]
    grown, outcomes = grown.extended([more])
    assert outcomes == {"more": "accepted"}
    assert rules(grown.root, {"drawing": {"any": "more:oval", "radius": 2}}) == []


# Features.

FEATURED = module(
    "featured",
    """REVISION
       feature fast; feature loud; feature quiet { if-feature "not loud"; }
       leaf a { if-feature fast; type string; }
       leaf b { if-feature "fast and not loud"; type string; }
       leaf c { if-feature "fast or loud"; type string; }
       leaf mode { type enumeration { enum on; enum turbo { if-feature fast; } } }
       grouping g { leaf d { type string; } }
       uses g { if-feature loud; }""",
)


@pytest.mark.parametrize(
    ("off", "there"),
    [
        ((), {"a", "c", "d"}),
        (("loud",), {"a", "b", "c"}),
        (("fast",), {"c", "d"}),
        (("fast", "loud"), set()),
    ],
)
def test_every_feature_is_on_but_those_the_host_has_off(
    off: tuple[str, ...], there: set[str]
) -> None:
    root = compiled(FEATURED, off=tuple(f"featured:{name}" for name in off))
    assert set(root.children) == there | {"mode"}
    turbo = rules(root, {"mode": "turbo"})
    assert turbo == ([("/mode", "enumeration")] if "fast" in off else [])


def test_a_feature_that_is_not_there_cannot_be_off() -> None:
    with pytest.raises(SchemaError, match="it has fast, loud, quiet"):
        compiled(FEATURED, off=("featured:slow",))


# Presence.

PRESENT = toy(
    """container on { presence "It works."; leaf speed { type uint8; default 1; } }
       container needs { presence "It needs."; leaf what { type string; mandatory true; } }
       container always { container inside { leaf deep { type string; mandatory true; } } }
       container held { must "../on"; leaf x { type string; } }"""
)
BASE: dict[str, Any] = {"always": {"inside": {"deep": "x"}}, "on": {}}


def test_a_container_with_presence_is_there_without_content() -> None:
    tree = from_config(PRESENT, BASE)
    assert tree["on"] == {}
    assert put(PRESENT, EMPTY, parse_path("/on"), None) == {"on": {}}
    assert with_defaults(PRESENT, tree)["on"] == {"speed": 1}
    assert "on" not in with_defaults(PRESENT, EMPTY)
    fast = put(PRESENT, tree, parse_path("/on/speed"), 9)
    assert remove(PRESENT, fast, parse_path("/on/speed")) == tree
    assert get(PRESENT, remove(PRESENT, fast, parse_path("/on")), parse_path("/on")) is None


def test_what_is_mandatory_in_it_is_so_only_when_it_is_there() -> None:
    assert rules(PRESENT, BASE) == []
    assert rules(PRESENT, {**BASE, "needs": {}}) == [("/needs/what", "mandatory")]
    assert rules(PRESENT, {"on": {}}) == [("/always/inside/deep", "mandatory")]
    assert rules(PRESENT, {"always": BASE["always"]}) == [("/held", "must")]


def test_its_coming_and_going_is_a_change() -> None:
    old, new = from_config(PRESENT, BASE), from_config(PRESENT, {"on": {"speed": 2}})
    for one, other in ((EMPTY, old), (old, new), (new, old), (new, EMPTY)):
        tree: Tree = one
        for change in diff(PRESENT, one, other):
            tree = apply_change(PRESENT, tree, change)
        assert tree == other
    assert diff(PRESENT, EMPTY, {"on": {}}) == [Change("/on", None, {})]


# Choices.

CHOSEN = toy(
    """container how {
         choice way {
           mandatory true;
           case road {
             leaf wheels { type uint8; mandatory true; }
             leaf colour { type string; default red; }
             leaf trailer { type string; }
           }
           leaf wings { type uint8; }
           case sea {
             container ship { leaf name { type string; } }
             choice drive { default sail; leaf sail { type uint8; default 3; }
                            leaf engine { type string; } }
           }
         }
         choice tone {
           default soft;
           case soft { leaf level { type uint8; default 1; } }
           leaf shout { type string; }
         }
       }"""
)


def how(**leaves: object) -> list[tuple[str, str]]:
    return rules(CHOSEN, {"how": leaves})


def test_at_most_one_case_is_there_and_one_if_mandatory() -> None:
    """RFC 7950, 7.9."""
    assert how() == [("/how", "choice")]
    assert how(wings=2) == how(wheels=4, colour="blue") == how(engine="x", ship={"name": "a"}) == []
    assert how(colour="blue") == [("/how/wheels", "mandatory")]
    assert {rule for _, rule in how(wings=2, engine="x")} == {"choice"}
    assert {rule for _, rule in how(sail=2, engine="x")} == {"choice"}


def test_defaults_are_those_of_the_case_that_is_chosen() -> None:
    def filled(**leaves: object) -> Any:
        return with_defaults(CHOSEN, from_config(CHOSEN, {"how": leaves}))["how"]

    assert filled() == {"level": 1}
    assert filled(wheels=3) == {"wheels": 3, "colour": "red", "level": 1}
    assert filled(ship={"name": "a"}, shout="!") == {
        "ship": {"name": "a"}, "sail": 3, "shout": "!",
    }  # fmt: skip
    assert filled(engine="x") == {"engine": "x", "level": 1}


def test_setting_one_case_takes_the_others_away() -> None:
    """RFC 7950, 7.9: creating a node of a case deletes those of all others."""
    tree = from_config(CHOSEN, {"how": {"wheels": 4, "trailer": "t"}})
    tree = put(CHOSEN, tree, parse_path("/how/engine"), "steam")
    assert tree == {"how": {"engine": "steam"}}
    assert put(CHOSEN, tree, parse_path("/how/ship/name"), "a")["how"].keys() == {"engine", "ship"}


def test_sessions_that_choose_differently_conflict() -> None:
    """D9: nothing is merged by luck, and nothing goes by luck."""
    base: Tree = from_config(CHOSEN, {"how": {"level": 2}})
    mine = Session(base, put(CHOSEN, base, parse_path("/how/wings"), 2))
    theirs = put(CHOSEN, base, parse_path("/how/wheels"), 4)
    with pytest.raises(Clash):
        mine.rebased(CHOSEN, theirs)
    other = put(CHOSEN, base, parse_path("/how/level"), 3)
    assert mine.rebased(CHOSEN, other).next == {"how": {"wings": 2, "level": 3}}


def test_a_choice_is_described() -> None:
    choices = describe(CHOSEN)["children"]["how"]["choices"]
    assert choices[0]["mandatory"] is True
    assert choices[0]["cases"]["road"] == ["colour", "trailer", "wheels"]
    assert choices[1] == {
        "name": "tone", "default": "soft", "cases": {"soft": ["level"], "shout": ["shout"]},
    }  # fmt: skip


# Conditions around nodes.

CONDITIONAL = toy(
    """container c {
         leaf kind { type string; }
         grouping g { leaf used { type string; default u; } leaf more { type string; } }
         uses g { when "kind = 'a'"; }
         choice pick { when "kind = 'b'"; mandatory true;
           case one { when "kind"; leaf first { type string; } }
           leaf second { type string; } }
       }
       augment /c { when "kind = 'c'"; leaf added { type string; mandatory true; } }"""
)


def test_conditions_of_uses_augment_and_choice_look_from_outside() -> None:
    """RFC 7950, 7.21.5: the context is what the node lies in."""

    def at(kind: str, **leaves: object) -> list[tuple[str, str]]:
        return rules(CONDITIONAL, {"c": {"kind": kind, **leaves}})

    assert at("a") == at("a", more="x") == at("c", added="x") == at("b", first="x") == []
    assert at("x", more="x") == [("/c/more", "when")]
    assert at("c") == [("/c/added", "mandatory")]
    assert at("x", added="x") == [("/c/added", "when")]
    assert at("b") == [("/c", "choice")]
    assert at("a", second="x") == [("/c/second", "when")]
    assert with_defaults(CONDITIONAL, {"c": {"kind": "a"}})["c"]["used"] == "u"
    assert "used" not in with_defaults(CONDITIONAL, {"c": {"kind": "b"}})["c"]


REFERRED = toy(
    """typedef item-ref { type leafref { path "/item/name"; } }
       list item { key name; leaf name { type string; }
                   list part { key id; leaf id { type uint8; } } }
       container use {
         leaf item { type item-ref; }
         leaf part { type leafref { path "/item[name = current()/../item]/part/id"; } }
         leaf loose { type leafref { path "/item/name"; require-instance false; } }
         leaf either { type union { type item-ref; type enumeration { enum none; } } }
         must "not(item) or /item[name = current()/item]/part[id > 1]"
       ; }"""
)


def used(**leaves: object) -> list[tuple[str, str]]:
    items = [
        {"name": "a", "part": [{"id": 1}, {"id": 2}]},
        {"name": "b", "part": [{"id": 3}]},
        {"name": "c", "part": [{"id": 1}]},
    ]
    return rules(REFERRED, {"item": items, "use": leaves})


def test_a_reference_in_a_typedef_a_union_and_with_a_condition() -> None:
    assert (
        used(item="a", part=2) == used(loose="x") == used(either="b") == used(either="none") == []
    )
    assert used(item="x") == [("/use", "must"), ("/use/item", "leafref")]
    assert used(item="a", part=3) == [("/use/part", "leafref")]
    assert used(part=1) == [("/use/part", "leafref")]
    assert used(either="x") == [("/use/either", "leafref")]
    assert used(item="c") == [("/use", "must")]


# Operations, defaults of leaf-lists, deviations.


def test_operations_are_described() -> None:
    """They are told to clients; the datastore does none of them."""
    root = toy(
        """rpc restart { description "Start again."; input { leaf delay { type uint8; } }
                         output { leaf at { type string; } } }
           notification gone { leaf who { type string; } }
           list l { key k; leaf k { type string; } action clear; }"""
    )
    assert list(root.children) == ["l"]
    restart, gone = describe(root)["operations"]
    assert restart["kind"] == "rpc"
    assert restart["description"] == "Start again."
    assert list(restart["input"]) == ["delay"]
    assert list(restart["output"]) == ["at"]
    assert (gone["kind"], list(gone["output"])) == ("notification", ["who"])
    assert describe(root.children["l"])["operations"][0]["name"] == "clear"


def test_a_leaf_list_has_defaults_while_it_is_empty() -> None:
    root = toy("leaf-list l { type uint8; default 1; default 2; }")
    assert with_defaults(root, EMPTY) == {"l": (1, 2)}
    assert with_defaults(root, from_config(root, {"l": [3]})) == {"l": (3,)}


def test_a_deviation_changes_what_it_says() -> None:
    small = module(
        "small",
        """import toy { prefix t; } REVISION
           deviation /t:c/t:a { deviate not-supported; }
           deviation /t:c/t:b { deviate add { default 7; } deviate replace { type int8; } }""",
    )
    text = module("toy", "REVISION container c { leaf a { type string; } leaf b { type uint8; } }")
    root = compiled(text, small)
    assert list(root.children["c"].children) == ["b"]
    assert with_defaults(root, EMPTY) == {"c": {"b": 7}}
    assert rules(root, {"c": {"b": -1}}) == []


def test_state_is_known_and_cannot_be_set() -> None:
    root = toy(
        "container c { config false; leaf a { type string; } list l { leaf x { type int8; } } }"
    )
    assert rules(root, {"c": {"a": "x"}}) == [("/c", "config")]
    with pytest.raises(Invalid, match="state"):
        put(root, EMPTY, parse_path("/c/a"), "x")


# Names with modules, and modules that are only imported.


def test_a_name_may_have_its_module_and_no_other() -> None:
    """RFC 7951, 4."""
    assert resolve(DRAWN, "/drawing:drawing/any") == parse_path("/drawing/any")
    for wrong in ("/shapes:drawing", "/drawing/shapes:any"):
        with pytest.raises(NoSuchNode, match="it is drawing:"):
            resolve(DRAWN, wrong)
    assert rules(DRAWN, {"shapes:drawing": {}}) == [("/drawing", "path")]


def test_a_submodule_is_a_part_of_its_module(library: Library) -> None:
    part = """submodule part { yang-version 1.1; belongs-to whole { prefix w; }
        revision 2026-01-01; identity i; identity j { base w:i; }
        grouping g { leaf which { type identityref { base w:i; } default "w:j"; } } }"""
    whole = module("whole", "include part; REVISION container c { uses g; }")
    grown, outcomes = library.extended([part, whole])
    assert set(outcomes) == {"part", "whole"}
    assert with_defaults(grown.root, EMPTY)["c"] == {"which": "whole:j"}
    assert rules(grown.root, {"whole:c": {"which": "j"}}) == []
    with pytest.raises(SchemaError, match='"part" not found'):
        library.extended([whole])


def test_a_module_that_is_only_imported_has_no_nodes(library: Library) -> None:
    other = module("other", "REVISION identity i; identity j { base i; } container drawing; "
                            "grouping g { leaf from-other { type string; } }")  # fmt: skip
    user = module(
        "user",
        """import other { prefix o; } REVISION identity k { base o:i; } uses o:g;
           leaf which { type identityref { base o:i; } }""",
    )
    grown, outcomes = library.extended([SHAPES, DRAWING, user], [other])
    assert outcomes["other"] == "accepted"
    assert grown.root.children["drawing"].module == "drawing"
    assert rules(grown.root, {"which": "user:k", "from-other": "x"}) == []
    assert rules(grown.root, {"which": "other:j"}) == [("/which", "identityref")]
    with pytest.raises(SchemaConflict) as conflict:
        grown.extended([other])
    assert conflict.value.path == "/drawing"


@pytest.mark.parametrize(
    "body",
    [
        "augment /o:c { leaf a { type string; } }",
        'leaf l { type leafref { path "/o:c/o:x"; } }',
    ],
)
def test_nothing_may_rest_on_a_node_that_is_not_there(library: Library, body: str) -> None:
    other = module("other", "REVISION container c { leaf x { type string; } }")
    with pytest.raises(SchemaError, match="only imported") as refused:
        library.extended([module("user", f"import other {{ prefix o; }} REVISION {body}")], [other])
    assert refused.value.path.startswith("user.yang:")
