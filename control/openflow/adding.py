"""Flows that are added by request, not by a controller: all of them or none."""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ..message import FlowFault
from . import framing
from .answers import Answer, Ask, failure_of
from .plain import BadFlow, packed_flow
from .spec.errors import describe

ATOMIC_AND_ORDERED = 3  # flags of a bundle
AT_ONCE = 500  # flows that are read before others have their turn


async def read_flows(flows: Sequence[Mapping[str, Any]]) -> tuple[list[bytes], list[FlowFault]]:
    """Return the flow-mods that add the flows, and what is wrong with those that have none."""
    messages: list[bytes] = []
    faults: list[FlowFault] = []
    for index, flow in enumerate(flows):
        if not index % AT_ONCE:
            await asyncio.sleep(0)
        try:
            messages.append(packed_flow(flow))
        except BadFlow as bad:
            faults.append(FlowFault(index, "BAD_FLOW", str(bad)))
    return messages, faults


def together(messages: Sequence[bytes]) -> Ask:
    """Return the request that carries out all messages or none."""
    return Ask("bundle", b"".join((struct.pack("!I", ATOMIC_AND_ORDERED), *messages)))


def faults_of(answer: Answer) -> list[FlowFault]:
    """Return what the dataplane had against them: the first that it refused, if any."""
    if answer.code != framing.DONE or not answer.frames:
        return [_refused(0, failure_of(answer))]
    which, code = struct.unpack("=II", answer.frames[0])
    return [] if code == framing.DONE else [_refused(which, code)]


def _refused(which: int, code: int) -> FlowFault:
    name = describe(code >> 16, code & 0xFFFF)
    return FlowFault(which, name, f"the dataplane answers {name}; none of the flows is there")
