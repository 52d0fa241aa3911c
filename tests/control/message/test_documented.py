"""The wire examples of docs/messages.md, byte for byte (T0)."""

import re
from pathlib import Path

import msgspec
import pytest

from raicho.control.message import (
    VERSION,
    Alert,
    BulkEvent,
    BulkReply,
    BulkRequest,
    Code,
    Commit,
    Done,
    Failure,
    Kind,
    Message,
    Ping,
    Pong,
)
from raicho.control.message.bulk import _answers, _requests
from raicho.control.message.catalogue import decoder
from raicho.control.message.envelope import pack, unpack
from raicho.control.message.events import Batch

TEXT = (Path(__file__).parents[3] / "docs/messages.md").read_text("utf-8")
EXAMPLES = {
    name: bytes.fromhex(octets)
    for name, octets in re.findall(r"^```wire (.+)\n([0-9a-f\s]+)```$", TEXT, re.MULTILINE)
}

FAILURE = Failure(Code.INVALID, "no such device", "/raicho/port[name='p1']/device", "dataplane")
CONTROL: dict[str, tuple[Kind, int, int | None, Message]] = {
    "ping": (Kind.REQUEST, 1, None, Ping()),
    "pong": (Kind.REPLY, 1, None, Pong("5f0c")),
    "commit": (Kind.REQUEST, 2, 1795252038886, Commit("7-1")),
    "done": (Kind.REPLY, 2, None, Done()),
    "failure": (Kind.ERROR, 3, None, FAILURE),
}
BULK: dict[str, Message] = {
    "bulk request": BulkRequest("apply", "br0", 9),
    "bulk reply": BulkReply(id=9),
    "bulk event": BulkEvent("packet_in", "br0"),
}
EVENTS = [
    (1795252038.5, Alert("bus", "ended", 812)),
    (1795252038.75, Alert("bus", "began", 813)),
]
BATCH = Batch(VERSION, "supervisor", "1182403628ec", 4, EVENTS)


def test_every_example_is_tested() -> None:
    assert set(EXAMPLES) == {*CONTROL, *BULK, "event"}


@pytest.mark.parametrize("name", CONTROL)
def test_control_examples_are_written_and_read_as_documented(name: str) -> None:
    kind, ident, deadline, body = CONTROL[name]
    assert pack(kind, ident, body, deadline).hex(" ") == EXAMPLES[name].hex(" ")
    envelope = unpack([EXAMPLES[name]])
    assert (envelope.version, envelope.kind, envelope.id) == (VERSION, kind, ident)
    assert envelope.deadline_ms == deadline
    assert decoder().decode(envelope.body) == body


@pytest.mark.parametrize("name", BULK)
def test_bulk_examples_are_written_and_read_as_documented(name: str) -> None:
    assert msgspec.msgpack.encode(BULK[name]).hex(" ") == EXAMPLES[name].hex(" ")
    reader = _requests if name == "bulk request" else _answers
    assert reader.decode(EXAMPLES[name]) == BULK[name]


def test_the_event_example_is_written_and_read_as_documented() -> None:
    assert msgspec.msgpack.encode(BATCH).hex(" ") == EXAMPLES["event"].hex(" ")
    assert msgspec.msgpack.decode(EXAMPLES["event"], type=Batch) == BATCH
