"""Templates: raicho's own messages, and the instruction that refers to one (docs/templates.md).

pack(message(TemplateMod(TemplateCommand.ADD, 1, parameters=1 << 1, instructions=...)))
FlowMod(match=..., instructions=(use(1, Output(5)),))
"""

import enum
from collections.abc import Iterator

from ..codec import many, pack_part, record
from .actions import Action
from .families import BAD_LEN, INSTRUCTIONS, Item
from .instructions import ApplyActions, Instruction, InstructionExperimenter
from .messages import Experimenter
from .multipart import ExperimenterRequest

RAICHO = 0x00524348  # RCH; as an OUI it is a locally administered one, and so nobody else's
TEMPLATE_MOD = 1  # types of its messages,
TEMPLATES = 1  # of its multipart requests,
USE = 1  # and of its instructions
ALL = 0xFFFFFFFF


class TemplateCommand(enum.IntEnum):
    ADD = 0
    MODIFY = 1
    DELETE = 2


class TemplateFailed(enum.IntEnum):
    """The codes of raicho's errors, whose type is that of experimenters."""

    BAD_COMMAND = 1
    EXISTS = 2
    UNKNOWN = 3
    IN_USE = 4
    BAD_PARAMETERS = 5
    BAD_ARGUMENTS = 6
    BAD_ID = 7
    NO_MEMORY = 8


@record("H2xIQ32s", many(INSTRUCTIONS), bad_len=BAD_LEN)
class TemplateMod(Item, frozen=True):
    """Define, change or remove a template; bit n of *parameters* says that item n is one."""

    command: int = TemplateCommand.ADD
    template_id: int = 0
    parameters: int = 0
    name: str = ""
    instructions: tuple[Instruction, ...] = ()


@record("L2xIQ32sIH2xQQQQ", many(INSTRUCTIONS), bad_len=BAD_LEN)
class TemplateStats(Item, frozen=True):
    """A template, and the bytes that it and its entries take."""

    template_id: int
    parameters: int = 0
    name: str = ""
    flow_count: int = 0
    arguments_size: int = 0
    template_bytes: int = 0
    flow_bytes: int = 0
    index_bytes: int = 0
    counter_bytes: int = 0
    instructions: tuple[Instruction, ...] = ()


@record("II", many(TemplateStats), bad_len=BAD_LEN)
class TemplatesReply(Item, frozen=True):
    """A part of the reply to request(): an experimenter's."""

    experimenter: int = RAICHO
    exp_type: int = TEMPLATES
    templates: tuple[TemplateStats, ...] = ()


def message(mod: TemplateMod) -> Experimenter:
    """Return the message that says it."""
    return Experimenter(RAICHO, TEMPLATE_MOD, pack_part(mod))


def use(template_id: int, *arguments: Action | Instruction) -> InstructionExperimenter:
    """Return the only instruction of an entry: those of a template, with these arguments."""
    head = USE.to_bytes(2) + bytes(2) + template_id.to_bytes(4)
    return InstructionExperimenter(RAICHO, head + b"".join(map(pack_part, arguments)))


def request(template_id: int = ALL) -> ExperimenterRequest:
    """Return the multipart request for a template, or for all."""
    return ExperimenterRequest(RAICHO, TEMPLATES, template_id.to_bytes(4) + bytes(4))


def items(instructions: tuple[Instruction, ...]) -> Iterator[Action | Instruction]:
    """Yield what can be a parameter: actions to be applied, and the other instructions."""
    for instruction in instructions:
        if isinstance(instruction, ApplyActions):
            yield from instruction.actions
        else:
            yield instruction
