"""What the numbers that answer a bulk request, or a record in it, mean: one Code for all APIs.

A number is DONE, an error type << 16 | code of OpenFlow, or one of ours from 0xfffe0000 on.
"""

from .failure import Code

OURS = 0xFFFE0000  # no OpenFlow error has this type
BAD_REQUEST_BAD_TYPE = 1 << 16 | 1  # OpenFlow's error of an operation that is not known
BAD_REQUEST_EPERM = 1 << 16 | 5
BAD_REQUEST_BAD_LEN = 1 << 16 | 6
SERVER_ERROR = OURS  # the handler failed
TIMED_OUT = OURS | 1
NO_SUCH = OURS | 2
FULL = OURS | 4
REFUSED = OURS | 5

#: Those that are not simply INVALID.
CODES: dict[int, Code] = {
    BAD_REQUEST_BAD_TYPE: Code.UNSUPPORTED,
    BAD_REQUEST_EPERM: Code.REFUSED,
    SERVER_ERROR: Code.INTERNAL,
    TIMED_OUT: Code.TIMEOUT,
    NO_SUCH: Code.NOT_FOUND,
    FULL: Code.UNAVAILABLE,
    REFUSED: Code.REFUSED,
    5 << 16 | 1: Code.UNAVAILABLE,  # FLOW_MOD_FAILED/TABLE_FULL
    5 << 16 | 3: Code.CONFLICT,  # FLOW_MOD_FAILED/OVERLAP
    5 << 16 | 4: Code.REFUSED,  # FLOW_MOD_FAILED/EPERM
    6 << 16 | 0: Code.CONFLICT,  # GROUP_MOD_FAILED/GROUP_EXISTS
    6 << 16 | 3: Code.UNAVAILABLE,  # GROUP_MOD_FAILED/OUT_OF_GROUPS
    6 << 16 | 4: Code.UNAVAILABLE,  # GROUP_MOD_FAILED/OUT_OF_BUCKETS
    6 << 16 | 8: Code.NOT_FOUND,  # GROUP_MOD_FAILED/UNKNOWN_GROUP
    7 << 16 | 0: Code.NOT_FOUND,  # PORT_MOD_FAILED/BAD_PORT
    12 << 16 | 1: Code.CONFLICT,  # METER_MOD_FAILED/METER_EXISTS
    12 << 16 | 3: Code.NOT_FOUND,  # METER_MOD_FAILED/UNKNOWN_METER
    12 << 16 | 10: Code.UNAVAILABLE,  # METER_MOD_FAILED/OUT_OF_METERS
    12 << 16 | 11: Code.UNAVAILABLE,  # METER_MOD_FAILED/OUT_OF_BANDS
}


def code_of(number: int) -> Code:
    """Return what kind of failure a number is that is not DONE."""
    return CODES.get(number, Code.INVALID)
