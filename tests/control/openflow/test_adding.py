"""Flows that are added by request."""

import struct

from raicho.control.openflow.adding import faults_of, read_flows, together
from raicho.control.openflow.answers import AWAY, Answer
from raicho.control.openflow.framing import DONE
from raicho.control.openflow.spec import unpack

OVERLAP = 5 << 16 | 3


async def test_every_flow_that_cannot_be_read_is_named_by_its_index() -> None:
    """F13: and a request with none of these is one bundle, in order."""
    flows = [{"priority": 1}, {"prio": 2}, {"table": 3, "priority": 3}, {"table": "x"}]
    messages, faults = await read_flows(flows)
    assert [(fault.index, fault.code) for fault in faults] == [(1, "BAD_FLOW"), (3, "BAD_FLOW")]
    assert [unpack(message)[0].priority for message in messages] == [1, 3]
    ask = together(messages)
    assert (ask.op, ask.payload) == ("bundle", struct.pack("!I", 3) + b"".join(messages))


def test_what_the_dataplane_refuses_is_named() -> None:
    assert faults_of(Answer(DONE, (struct.pack("=II", 0, DONE),))) == []
    (fault,) = faults_of(Answer(DONE, (struct.pack("=II", 7, OVERLAP),)))
    assert (fault.index, fault.code) == (7, "FLOW_MOD_FAILED/OVERLAP")
    (fault,) = faults_of(Answer(AWAY))
    assert fault.index == 0
