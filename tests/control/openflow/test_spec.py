"""The tables of the specification: complete, without contradictions, and as others have them."""

import enum
import types

import pytest

from raicho.control.openflow.spec import errors, families
from raicho.control.openflow.spec.match import BASIC, FIELD, FIELDS
from raicho.control.openflow.spec.messages import MessageType
from raicho.control.openflow.spec.multipart import MultipartType

os_ken_spec = pytest.importorskip("os_ken.ofproto.ofproto_v1_3")

#: The errors of os-ken's constants, by the prefix of their names.
PREFIXES = {
    "OFPHFC_": errors.HelloFailed,
    "OFPBRC_": errors.BadRequest,
    "OFPBAC_": errors.BadAction,
    "OFPBIC_": errors.BadInstruction,
    "OFPBMC_": errors.BadMatch,
    "OFPFMFC_": errors.FlowModFailed,
    "OFPGMFC_": errors.GroupModFailed,
    "OFPPMFC_": errors.PortModFailed,
    "OFPTMFC_": errors.TableModFailed,
    "OFPQOFC_": errors.QueueOpFailed,
    "OFPSCFC_": errors.SwitchConfigFailed,
    "OFPRRFC_": errors.RoleRequestFailed,
    "OFPMMFC_": errors.MeterModFailed,
    "OFPTFFC_": errors.TableFeaturesFailed,
    "OFPET_": errors.ErrorType,
    "OFPT_": MessageType,
    "OFPMP_": MultipartType,
}


def constants(module: types.ModuleType, prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): value
        for name, value in vars(module).items()
        if name.startswith(prefix) and isinstance(value, int)
    }


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_constants_are_those_of_others(prefix: str) -> None:
    ours: type[enum.IntEnum] = PREFIXES[prefix]
    assert {each.name: each.value for each in ours} == constants(os_ken_spec, prefix)


def test_every_error_type_has_its_codes() -> None:
    assert set(errors.CODES) == set(errors.ErrorType) - {errors.ErrorType.EXPERIMENTER}
    assert errors.describe(1, 10) == "BAD_REQUEST/IS_SLAVE"
    assert errors.describe(0xFFFF, 7) == "65535/7"


def test_every_message_and_multipart_type_has_a_class() -> None:
    assert set(families.MESSAGES.codes) == set(MessageType)
    assert set(families.REQUESTS.codes) == set(families.REPLIES.codes) == set(MultipartType)


def test_every_action_and_instruction_has_a_class() -> None:
    assert set(families.ACTIONS.codes) == {0, 11, 12, *range(15, 28), 0xFFFF}
    assert set(families.INSTRUCTIONS.codes) == {*range(1, 7), 0xFFFF}
    assert set(families.BANDS.codes) == {1, 2, 0xFFFF}
    assert set(families.TABLE_PROPERTIES.codes) == {*range(9), 10, 12, 13, 14, 15, 0xFFFE, 0xFFFF}


def test_every_field_of_1_3_5_has_a_row() -> None:
    assert [field.oxm for field in FIELDS if field.oxm_class == BASIC] == [*range(40), 41]
    assert len(FIELD) == len(FIELDS)


def test_fields_are_as_long_as_others_say() -> None:
    """Flow labels and MPLS labels are 20 bits in 4 bytes, all others in as few as they need."""
    theirs = {
        each.oxm_type & 0x7F: each.type.size
        for each in os_ken_spec.oxm_types
        if each.oxm_type >> 7 == 0x8000
    }
    basic = [field for field in FIELDS if field.oxm_class == BASIC]
    ours = {field.oxm: field.size for field in basic if field.oxm in theirs}
    assert ours == {oxm: theirs[oxm] for oxm in ours}
    assert len(ours) >= 40


def test_what_a_field_needs_is_a_field_before_it() -> None:
    for i, field in enumerate(FIELDS):
        assert {need.field for need in field.needs} <= {each.name for each in FIELDS[:i]}
