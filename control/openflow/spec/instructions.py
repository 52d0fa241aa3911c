"""The instructions of a flow entry (section 7.2.4)."""

from ..codec import many, rest
from .actions import Action
from .families import ACTIONS, INSTRUCTIONS, Item


class Instruction(Item, frozen=True):
    """One thing that a flow entry does with what it matches."""


@INSTRUCTIONS.row(1, "B3x")
class GotoTable(Instruction, frozen=True):
    """Go on in a later table."""

    table_id: int


@INSTRUCTIONS.row(2, "4xQQ")
class WriteMetadata(Instruction, frozen=True):
    """Write the masked bits of the metadata register."""

    metadata: int
    mask: int = 0xFFFFFFFFFFFFFFFF


@INSTRUCTIONS.row(3, "4x", many(ACTIONS))
class WriteActions(Instruction, frozen=True):
    """Merge these actions into the action set."""

    actions: tuple[Action, ...] = ()


@INSTRUCTIONS.row(4, "4x", many(ACTIONS))
class ApplyActions(Instruction, frozen=True):
    """Do these actions now, in order."""

    actions: tuple[Action, ...] = ()


@INSTRUCTIONS.row(5, "4x", many(ACTIONS))
class ClearActions(Instruction, frozen=True):
    """Empty the action set; *actions* should be empty."""

    actions: tuple[Action, ...] = ()


@INSTRUCTIONS.row(6, "I")
class Meter(Instruction, frozen=True):
    """Send the packet through a meter first."""

    meter_id: int


@INSTRUCTIONS.row(0xFFFF, "I", rest())
class InstructionExperimenter(Instruction, frozen=True):
    """What *experimenter* has defined."""

    experimenter: int
    data: bytes = b""
