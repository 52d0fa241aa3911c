"""What can be wrong with a schema, a path or a configuration."""

from ..message.failure import Fault as Fault


class Invalid(Exception):
    """A configuration, or a change of it, that the schema forbids; never without a fault."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class NoSuchNode(Invalid):
    """A path that leads to nothing."""


class SchemaError(Exception):
    """A module that cannot be taken; *path* is where, in the data or in the text."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class SchemaConflict(SchemaError):
    """A module that contradicts one that is known."""
