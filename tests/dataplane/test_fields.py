"""Two tables of match fields, in C and in Python, must be one; and the C one must be enforced."""

from typing import Any

import pytest

from raicho.control.openflow.spec.actions import SetField
from raicho.control.openflow.spec.errors import BadAction, BadMatch, ErrorType
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import BASIC, Field, Oxm, match
from raicho.control.openflow.spec.match import FIELD as SPECIFIED
from raicho.control.openflow.spec.match import FIELDS as ROWS
from raicho.control.openflow.spec.messages import FlowMod
from raicho.dataplane.datapath import DONE
from raicho.dataplane.fields import FIELDS

BAD_PREREQ = ErrorType.BAD_MATCH << 16 | BadMatch.BAD_PREREQ
READ_ONLY = {"in_port", "in_phy_port", "metadata", "ipv6_exthdr"}
# Where "any value" is not quite any.
VALUES = {"in_port": 1, "vlan_vid": 0x1001, "vlan_tci": 0x1001}
each_field = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@pytest.fixture
def bridged(rig: Any) -> Any:
    rig.configure({"p1": "null"}, br0={"p1": 1})
    return rig


def needed(row: Field, choice: int = 0) -> dict[str, int]:
    """Return what must be matched with a field: the last value that is allowed if choice is -1."""
    return {
        need.field: need.values[choice] if need.values else VALUES[need.field] for need in row.needs
    }


def codes(rig: Any, **fields: int) -> list[int]:
    codes: list[int] = rig.apply(FlowMod(match=match(**fields)))
    return codes


def test_both_tables_have_the_same_fields() -> None:
    assert list(FIELDS) == [row.name for row in ROWS]


@each_field
def test_both_tables_say_the_same(row: Field) -> None:
    compiled = FIELDS[row.name]
    assert (compiled.oxm_class, compiled.number) == (row.oxm_class, row.oxm)
    assert (compiled.bits, compiled.size) == (row.bits, row.size)
    assert compiled.maskable == row.maskable


def test_everything_but_what_the_switch_itself_knows_can_be_set() -> None:
    own = [field for field in FIELDS.values() if field.oxm_class == BASIC]
    assert {field.name for field in own if not field.settable} == READ_ONLY


@each_field
@pytest.mark.parametrize("choice", [0, -1])
def test_a_field_with_all_it_needs_is_matched(bridged: Any, row: Field, choice: int) -> None:
    fields = {**needed(row, choice), row.name: VALUES.get(row.name, 1)}
    assert codes(bridged, **fields) == [DONE]


@each_field
def test_a_field_without_one_of_its_needs_is_refused(bridged: Any, row: Field) -> None:
    """K16: BAD_MATCH / BAD_PREREQ."""
    for missing in needed(row):
        fields = {k: v for k, v in needed(row).items() if k != missing}
        assert codes(bridged, **fields, **{row.name: 1}) == [BAD_PREREQ], missing


@each_field
def test_a_field_whose_needs_have_other_values_is_refused(bridged: Any, row: Field) -> None:
    for need in row.needs:
        if need.values:
            fields = {**needed(row), need.field: max(need.values) + 1}
            assert codes(bridged, **fields, **{row.name: 1}) == [BAD_PREREQ], need.field


@each_field
def test_exactly_the_settable_fields_are_set(bridged: Any, row: Field) -> None:
    """K16: BAD_ACTION / BAD_SET_TYPE."""
    value = VALUES.get(row.name, 1)
    instructions = (ApplyActions((SetField(Oxm(row.name, value)),)),)
    fields = {**needed(row), row.name: value} if row.name == "vlan_vid" else needed(row)
    [code] = bridged.apply(FlowMod(match=match(**fields), instructions=instructions))
    refused = ErrorType.BAD_ACTION << 16 | BadAction.BAD_SET_TYPE
    assert code == (DONE if FIELDS[row.name].settable else refused)


def test_a_mask_on_an_exact_field_is_refused(bridged: Any) -> None:
    exact = [row for row in ROWS if not row.maskable]
    for row in exact:
        masked = Oxm(row.name, 0, 1)
        fields = (*match(**needed(row)), masked)
        [code] = bridged.apply(FlowMod(match=fields))
        assert code == ErrorType.BAD_MATCH << 16 | BadMatch.BAD_MASK, row.name
    assert len(exact) + sum(row.maskable for row in SPECIFIED.values()) == len(ROWS)
