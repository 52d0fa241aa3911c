"""Templates: entries that share instructions and have arguments of their own (docs/templates.md).

The model of a template is to write the arguments into it, and to forget that there was one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

from . import actions as act
from .generate import GOVERNING_FIELDS, METADATA, Scenario, random_value, values_of
from .match import Apply, Entry, Goto, Instruction, Write, WriteMetadata

Item = act.Action | Instruction  # An action to be applied, or any other instruction.
# What may be left out without a thought for what comes behind it.
IDLE = (act.Output, act.Group, act.RegLoad, act.RegMove)


@dataclass(frozen=True)
class Hole:
    """A parameter, with an example in its place."""

    example: Item


@dataclass(frozen=True)
class Template:
    """A list of instructions whose items, counted through, may be holes."""

    template_id: int
    parts: tuple[Item | Hole | tuple[Item | Hole, ...], ...]  # A tuple is an apply-actions.

    @property
    def parameters(self) -> int:
        """Return a bit for each item that is a hole."""
        return sum(isinstance(each, Hole) << n for n, each in enumerate(_flat(self.parts)))

    @property
    def examples(self) -> tuple[Instruction, ...]:
        """Return the instructions as they stand in the definition."""
        return self.expanded(each.example for each in _flat(self.parts) if isinstance(each, Hole))

    def expanded(self, arguments: Iterable[Item]) -> tuple[Instruction, ...]:
        """Return what an entry with these arguments does."""
        rest = iter(arguments)

        def fill(each: Item | Hole) -> Item:
            return next(rest) if isinstance(each, Hole) else each

        return tuple(
            Apply(tuple(map(fill, part))) if isinstance(part, tuple) else fill(part)  # type: ignore[arg-type, misc]
            for part in self.parts
        )


@dataclass(frozen=True)
class Use:
    """An entry that refers to a template; its own instructions are left empty."""

    entry: Entry
    template_id: int
    arguments: tuple[Item, ...]


@dataclass(frozen=True)
class Templated:
    """A scenario some of whose entries refer to templates."""

    scenario: Scenario  # With the entries that do not.
    templates: dict[int, Template]
    uses: tuple[Use, ...]

    def expanded(self) -> Scenario:
        """Return the scenario without templates that means the same."""
        entries = tuple(
            replace(use.entry, instructions=self.templates[use.template_id].expanded(use.arguments))
            for use in self.uses
        )
        return replace(self.scenario, entries=self.scenario.entries + entries)


def templated(rng: Random, scenario: Scenario) -> Templated:
    """Let most entries refer to templates, and give some of them siblings."""
    plain: list[Entry] = []
    templates: dict[int, Template] = {}
    uses: list[Use] = []
    taken = {(entry.table_id, entry.priority) for entry in scenario.entries}
    vary = _Variation(rng, scenario)
    for entry in scenario.entries:
        if rng.random() < 0.2:
            plain.append(entry)
            continue
        template = _template(rng, len(templates) + 1, entry, vary)
        arguments = tuple(_arguments(template, entry.instructions))
        templates[template.template_id] = template
        for each in (entry, *_siblings(rng, entry, taken)):
            own = arguments if each is entry else vary.all(arguments, entry.table_id)
            uses.append(Use(replace(each, instructions=()), template.template_id, own))
    return Templated(replace(scenario, entries=tuple(plain)), templates, tuple(uses))


def changed(rng: Random, before: Templated) -> Templated:
    """Give templates other constants: other values, more outputs, less that nobody needs."""
    vary = _Variation(rng, before.scenario)
    tables = {
        n: max(use.entry.table_id for use in before.uses if use.template_id == n)
        for n in before.templates
    }
    templates = {
        n: _changed(rng, each, tables[n], vary) if rng.random() < 0.7 else each
        for n, each in before.templates.items()
    }
    return replace(before, templates=templates)


def _flat(parts: Iterable[Item | Hole | tuple[Item | Hole, ...]]) -> Iterator[Item | Hole]:
    for part in parts:
        if isinstance(part, tuple):
            yield from part
        else:
            yield part


def _template(rng: Random, number: int, entry: Entry, vary: "_Variation") -> Template:
    """Make holes of some items of an entry; the examples in them are not its own."""
    share = rng.choice((0, 0.3, 0.5, 1))

    def maybe(item: Item) -> Item | Hole:
        return Hole(vary(item, entry.table_id)) if rng.random() < share else item

    parts = (
        tuple(map(maybe, each.actions)) if isinstance(each, Apply) else maybe(each)
        for each in entry.instructions
    )
    return Template(number, tuple(parts))


def _arguments(template: Template, instructions: tuple[Instruction, ...]) -> Iterator[Item]:
    """Yield the items of instructions that stand where the template has holes."""
    own = _flat(each.actions if isinstance(each, Apply) else each for each in instructions)
    for place, item in zip(_flat(template.parts), own, strict=True):
        if isinstance(place, Hole):
            assert not isinstance(item, Hole)
            yield item


def _siblings(rng: Random, entry: Entry, taken: set[tuple[int, int]]) -> Iterator[Entry]:
    """Yield entries that match part of what this one does, at priorities that nobody has."""
    for port in rng.sample((1, 2, 3, 4), rng.choice((0, 0, 1, 3))):
        place = entry.table_id, rng.randrange(1, 0xFFFF)
        if "in_port" not in entry.match and place not in taken:
            taken.add(place)
            match = {**entry.match, "in_port": (port, 0xFFFFFFFF)}
            yield replace(entry, match=match, priority=place[1], cookie=rng.getrandbits(64))


def _changed(rng: Random, template: Template, table_id: int, vary: "_Variation") -> Template:
    def change(item: Item | Hole) -> Item | Hole:
        return item if isinstance(item, Hole) else vary(item, table_id)

    def change_list(items: tuple[Item | Hole, ...]) -> tuple[Item | Hole, ...]:
        kept = [change(i) for i in items if not isinstance(i, IDLE) or rng.random() < 0.7]
        if rng.random() < 0.4:
            kept.insert(rng.randint(0, len(kept)), act.Output(rng.randint(1, 4)))
        return tuple(kept)

    parts = [
        change_list(part) if isinstance(part, tuple) else change(part) for part in template.parts
    ]
    parts = [part for part in parts if not isinstance(part, WriteMetadata) or rng.random() < 0.7]
    if not template.parameters:  # Arguments come in the order of the holes.
        rng.shuffle(parts)
    return replace(template, parts=tuple(parts))


class _Variation:
    """Gives items other values, but none that other items hang on."""

    def __init__(self, rng: Random, scenario: Scenario) -> None:
        self._rng = rng
        self._groups = sorted(group.group_id for group in scenario.groups)
        self._tables = sorted({entry.table_id for entry in scenario.entries})

    def all(self, items: Iterable[Item], table_id: int) -> tuple[Item, ...]:
        return tuple(self(item, table_id) for item in items)

    def __call__(self, item: Item, table_id: int) -> Item:
        rng = self._rng
        later = [each for each in self._tables if each > table_id]
        match item:
            case act.Output():
                return act.Output(rng.randint(1, 4), item.max_len)
            case act.Group():
                return act.Group(rng.choice(self._groups))
            case act.SetField(name) if name not in (*GOVERNING_FIELDS, "vlan_vid"):
                return act.SetField(name, random_value(rng, name))
            case act.RegLoad():
                return replace(item, value=rng.getrandbits(item.bits))
            case act.SetNwTtl() | act.SetMplsTtl():
                return type(item)(rng.choice(values_of(type(item))))
            case act.Resubmit() if later:
                return act.Resubmit(rng.choice(later))
            case Goto() if later:
                return Goto(rng.choice(later))
            case WriteMetadata():
                return WriteMetadata(rng.choice(METADATA), rng.choice(METADATA))
            case Write(actions):
                return Write(tuple(self(each, table_id) for each in actions))  # type: ignore[misc]
        return item
