"""What an operation of the bulk endpoint is: what does it, the API it is part of, and what for."""

from typing import Generic, Literal, NamedTuple, TypeVar

Verb = Literal["add", "del", "get", "bulk", "stat", "send"]
Run = TypeVar("Run")


class Refused(Exception):
    """A request that is well-formed and cannot be carried out; says why."""


class Operation(NamedTuple, Generic[Run]):
    """An entry of a table of operations.

    *bulk* says that one request takes many items and answers for each of them, or pages; the first
    line of the docstring of *run* says what it does.
    """

    api: str  # such as l3/route
    verbs: tuple[Verb, ...]
    run: Run
