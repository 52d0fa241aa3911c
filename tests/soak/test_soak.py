"""Random streams of messages with traffic: no crash, no leak, tables as the model has them.

RAICHO_SOAK_SECONDS and RAICHO_SOAK_SEED change the length and what is drawn.
"""

import os
import struct
import time
from collections import Counter

import pytest

from raicho.control.openflow.spec.errors import describe

from .engine import ERROR, FLOW_REMOVED, Engine, resident
from .model import (
    ALL_GROUPS,
    ALL_METERS,
    ALL_TABLES,
    DELETE,
    FINE,
    Does,
    Errors,
    Flow,
    FlowMod,
    GroupMod,
    MeterMod,
    Mod,
    Model,
)
from .stream import PORTS, Stream, bundle, numbered, pack
from .tables import differences

SEED = int(os.environ.get("RAICHO_SOAK_SEED", "1"))
SHORT, LONG = 20.0, float(os.environ.get("RAICHO_SOAK_SECONDS", "600"))
MAX_FLOWS = 60
BATCH, FRAMES = 60, 100
CHECK_EVERY, GARBLE_EVERY, EMPTY_EVERY = 5, 7, 40  # batches
GROWTH = 24 << 20  # bytes that memory may grow after the first third
IN, OUT = ("received", "injected", "copied"), ("sent", "punted", "consumed", "drops")
WIPE: list[Mod] = [
    FlowMod(DELETE, Flow(ALL_TABLES, 0, {}, 0, 0, Does(b""))),
    GroupMod(2, ALL_GROUPS),
    MeterMod(2, ALL_METERS),
]


class Soak:
    """One stream, one switch, one model."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.stream = Stream(seed)
        self.model = Model(MAX_FLOWS)
        self.messages = 0
        self.refused = 0
        self.bundles = 0
        self.most = 0  # flows at a time

    def batch(self, number: int) -> None:
        """Let packets come, then say something; look at the tables now and then."""
        for _ in range(FRAMES):
            self.engine.send(self.stream.random.choice(PORTS), self.stream.frame())
        if number % GARBLE_EVERY == 0:
            self.garbled()
        elif number % 3 == 0:
            self.bundled()
        else:
            self.single()
        if number % EMPTY_EVERY == 0:
            self.wipe()
        self.most = max(self.most, len(self.model.flows))
        if number % CHECK_EVERY == 0:
            assert differences(self.engine, self.model) == {}
        self.engine.drain()

    def single(self) -> None:
        """Messages one after the other, packet-outs among them."""
        mods = [self.stream.mod() for _ in range(BATCH)]
        data = b"".join(pack(mod, xid) for xid, mod in enumerate(mods, 1))
        sent = b"".join(self.stream.packet_out(BATCH + 1 + i) for i in range(10))
        found = self.engine.say(data + sent)
        wanted = {xid: self.model.apply(mod) for xid, mod in enumerate(mods, 1)}
        self._judge(found, wanted, mods)
        self.messages += len(mods)

    def bundled(self) -> None:
        """A bundle that works or fails as a whole; it is applied now and then to packets too."""
        mods = [self.stream.mod() for _ in range(self.stream.random.randrange(1, 15))]
        flags = self.stream.random.choice((0, 1, 2, 3))
        parts = bundle(mods, 7, 1000, flags)
        found = self.engine.say(b"".join(parts))
        failed, errors = self.model.bundle(mods)
        wanted = {1001 + failed: errors} if errors else {}
        whole = [each for each in found if each[1] == ERROR and xid_of(each) == 1000]
        assert len(whole) == bool(errors)
        self._judge([each for each in found if each not in whole], wanted, mods)
        self.bundles += 1

    def garbled(self) -> None:
        """Messages that may mean anything; what they did is taken back."""
        mods = [self.stream.mod() for _ in range(BATCH)]
        for xid, mod in enumerate(mods, 1):
            self.engine.say(self.stream.garbled(pack(mod, xid)))
        self.wipe()

    def wipe(self) -> None:
        """Take everything out of both."""
        self.engine.say(b"".join(numbered(pack(mod, 0), 0) for mod in WIPE))
        for mod in WIPE:
            assert self.model.apply(mod) == FINE
        self.model.removed.clear()
        assert differences(self.engine, self.model) == {}

    def _judge(self, found: list[bytes], wanted: dict[int, Errors], mods: list[Mod]) -> None:
        errors = {xid_of(each): error_of(each) for each in found if each[1] == ERROR}
        for xid, right in wanted.items():
            got = errors.pop(xid, None)
            if (got is None and right) or (got is not None and got not in right):
                mod = mods[(xid - 1) % 1000]
                says = describe(*got) if got else "nothing"
                names = [describe(*each) for each in right]
                raise AssertionError(f"{says} instead of {names} about {mod}")
            self.refused += got is not None
        assert errors == {}
        removed = Counter(removed_of(each) for each in found if each[1] == FLOW_REMOVED)
        assert removed == self.model.removed
        self.model.removed.clear()


def xid_of(message: bytes) -> int:
    return int.from_bytes(message[4:8], "big")


def error_of(message: bytes) -> tuple[int, int]:
    kind, code = struct.unpack_from("!HH", message, 8)
    return kind, code


def removed_of(message: bytes) -> tuple[int, int, int, int]:
    """Table, priority, cookie and reason of a flow-removed."""
    cookie, priority, reason, table = struct.unpack_from("!QHBB", message, 8)
    return table, priority, cookie, reason


def run(seconds: float, seed: int) -> None:
    """Soak for so long; print what was done."""
    start, number, before = time.monotonic(), 0, 0
    with Engine(MAX_FLOWS) as engine:
        soak = Soak(engine, seed)
        while (passed := time.monotonic() - start) < seconds:
            number += 1
            soak.batch(number)
            if not before and passed > seconds / 3:
                before = resident()
        soak.wipe()
        grown = resident() - before
        time.sleep(0.1)
        totals = engine.totals()
        print(
            f"seed {seed}: {soak.messages} messages, {soak.refused} refused, {soak.bundles} "
            f"bundles, {soak.most} flows at most, {engine.packets} packets, "
            f"{engine.packet_ins} packet-ins, {grown} bytes grown"
        )
        assert grown < GROWTH
        assert sum(totals[n] for n in IN) == sum(totals[n] for n in OUT), totals


def test_tables_equal_those_of_the_model_under_traffic() -> None:
    run(SHORT, SEED)


@pytest.mark.soak
def test_tables_equal_those_of_the_model_for_ten_minutes() -> None:
    run(LONG, SEED + 1)
