"""Choices: at most one case of each is there, and what follows from that."""

from collections.abc import Collection, Iterator

from .nodes import Case, Choice, Node


def rivals(node: Node, name: str) -> frozenset[str]:
    """Return the names below a node that cannot be there together with *name*."""
    found: set[str] = set()
    choices = list(node.choices)
    for choice in choices:  # grows on the way
        case = next((case for case in choice.cases if name in case.names), None)
        if case is not None:
            found.update(*(other.names for other in choice.cases if other is not case))
            choices += case.choices
    return frozenset(found)


def idle(choices: tuple[Choice, ...], there: Collection[str]) -> set[str]:
    """Return the names of cases that are not chosen, where nothing is demanded or filled in."""
    found: set[str] = set()
    for choice in choices:
        chosen = _chosen(choice, there)
        for case in choice.cases:
            found |= idle(case.choices, there) if case is chosen else case.names
    return found


def _chosen(choice: Choice, there: Collection[str]) -> Case | None:
    """Return the case of which something is there, or else the one that is the default."""
    used = used_cases(choice, there)
    return used[0] if used else next((c for c in choice.cases if c.name == choice.default), None)


def used_cases(choice: Choice, there: Collection[str]) -> list[Case]:
    """Return the cases of which something is there."""
    return [case for case in choice.cases if not case.names.isdisjoint(there)]


def reachable(choices: tuple[Choice, ...], there: Collection[str]) -> Iterator[Choice]:
    """Yield the choices that are to be made: those inside a case only if it is chosen."""
    for choice in choices:
        yield choice
        chosen = _chosen(choice, there)
        if chosen is not None:
            yield from reachable(chosen.choices, there)
