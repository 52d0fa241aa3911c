"""What the agent shows of a bridge: multipart replies of the dataplane as rows of plain values."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from . import framing
from .answers import Answer, Ask
from .spec import multipart as mp
from .spec import pack_part, templates, unpack_part
from .spec.errors import describe
from .spec.families import Item
from .text import flow_dict, format_flow, format_instructions, values


class View(NamedTuple):
    """A question, the class of the answer's parts, the attribute with its rows, and a row."""

    request: mp.Request
    reply: type[Item]
    rows: str
    row: Callable[[Any], dict[str, Any]]


def _flow(entry: Any) -> dict[str, Any]:
    return {**flow_dict(entry), "text": format_flow(entry)}


def _template(entry: templates.TemplateStats) -> dict[str, Any]:
    numbers = [n for n in range(entry.parameters.bit_length()) if entry.parameters >> n & 1]
    row = {**values(entry), "parameters": numbers}
    for part in ("flow", "index", "counter"):  # of one entry
        total = row[f"{part}_bytes"]
        row[f"{part}_bytes_each"] = round(total / entry.flow_count, 1) if entry.flow_count else None
    return {**row, "text": format_instructions(entry.instructions)}


VIEWS: dict[str, View] = {
    "flows": View(mp.FlowRequest(), mp.FlowReply, "flows", _flow),
    "tables": View(mp.TableRequest(), mp.TableReply, "tables", values),
    "ports": View(mp.PortDescRequest(), mp.PortDescReply, "ports", values),
    "port-stats": View(mp.PortStatsRequest(), mp.PortStatsReply, "ports", values),
    "groups": View(mp.GroupDescRequest(), mp.GroupDescReply, "groups", values),
    "group-stats": View(mp.GroupStatsRequest(), mp.GroupStatsReply, "groups", values),
    "meters": View(mp.MeterConfigRequest(), mp.MeterConfigReply, "meters", values),
    "meter-stats": View(mp.MeterStatsRequest(), mp.MeterStatsReply, "meters", values),
    "queue-stats": View(mp.QueueStatsRequest(), mp.QueueStatsReply, "queues", values),
    "templates": View(templates.request(), templates.TemplatesReply, "templates", _template),
}


class Refused(Exception):
    """The dataplane answered with an error; the text names it."""


async def look(
    view: View, bridge: str, ask: Callable[[str, Ask], Awaitable[Answer]]
) -> list[dict[str, Any]]:
    """Return the rows of a view of one bridge; others have their turn between the parts."""
    code: int = view.request.layout.code or 0
    payload = code.to_bytes(2, "big") + bytes(2) + pack_part(view.request)
    answer = await ask(bridge, Ask("multipart", payload))
    if answer.code != framing.DONE:
        raise Refused(describe(answer.code >> 16, answer.code & 0xFFFF))
    rows: list[dict[str, Any]] = []
    for frame in answer.frames:
        reply = unpack_part(view.reply, frame)
        rows += ({"bridge": bridge, **view.row(row)} for row in getattr(reply, view.rows))
        await asyncio.sleep(0)
    return rows
