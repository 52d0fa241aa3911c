"""The errors of OpenFlow 1.0 for those of 1.3."""

from ..spec.errors import ErrorType as Type

HELLO, REQUEST, ACTION, FLOW_MOD, PORT_MOD, QUEUE = range(6)
EPERM, UNSUPPORTED, ARGUMENT = (REQUEST, 5), (FLOW_MOD, 5), (ACTION, 5)

#: By type in 1.3: the type in 1.0, its codes by those of 1.3, and what to say for the rest.
_ERRORS: dict[int, tuple[int, tuple[int, ...], tuple[int, int]]] = {
    Type.HELLO_FAILED: (HELLO, (0, 1), (HELLO, 0)),
    Type.BAD_REQUEST: (REQUEST, tuple(range(9)), EPERM),
    Type.BAD_ACTION: (ACTION, tuple(range(9)), ARGUMENT),
    Type.BAD_INSTRUCTION: (ACTION, (), (ACTION, 0)),
    Type.BAD_MATCH: (FLOW_MOD, (), UNSUPPORTED),
    Type.FLOW_MOD_FAILED: (FLOW_MOD, (5, 0, 5, 1, 2, 3, 4, 5), UNSUPPORTED),
    Type.PORT_MOD_FAILED: (PORT_MOD, (0, 1), EPERM),
    Type.QUEUE_OP_FAILED: (QUEUE, (0, 1, 2), (QUEUE, 2)),
}


def old_error(kind: int, code: int) -> tuple[int, int]:
    """Return what 1.0 calls an error."""
    known, codes, rest = _ERRORS.get(kind, (REQUEST, (), EPERM))
    return (known, codes[code]) if code < len(codes) else rest
