"""Nothing that a controller sends is raised, hangs, or fills the memory."""

import random
import resource
from collections import Counter

from raicho.control.openflow import framing
from raicho.control.openflow.answers import Answer
from raicho.control.openflow.session import Session, Shared
from raicho.control.openflow.spec import pack
from raicho.control.openflow.spec.messages import Hello, PacketIn

STRINGS = 100_000
HELLO = pack(Hello(), 1)
MAX_INPUT = 1 << 16
MAX_GROWTH = 64 << 10  # KiB of resident memory over the whole run


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return a message with a few bytes changed, cut, doubled, or its length made to fit."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 4, 8, 255, rng.randrange(256)))
    size = rng.randrange(8, len(changed) + 1) if rng.random() < 0.3 else len(changed)
    changed = changed[:size] * rng.choice((1, 1, 1, 2))
    if rng.random() < 0.7:
        changed[0] = 4
        changed[2:4] = min(len(changed), 0xFFFF).to_bytes(2, "big")
    return bytes(changed)


def strings(rng: random.Random, captures: list[bytes]) -> bytes:
    if rng.random() < 0.2:
        return rng.randbytes(rng.randrange(1, 200))
    return mutated(rng, rng.choice(captures))


def answer(rng: random.Random) -> Answer:
    """Return any answer that a dataplane could give, right or wrong."""
    code = rng.choice((framing.DONE, framing.DONE, 1 << 16 | 2))
    return Answer(code, rng.choice(((), (rng.randbytes(4 * rng.randrange(9)),))))


class Subject:
    """A session that lives until it closes, and what went through it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.shared = Shared()
        self.counts: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        self.session = Session(self.shared, 0)
        if self.rng.random() < 0.9:
            self.session.receive(HELLO, 0)
        self.counts["sessions"] += 1

    def feed(self, data: bytes) -> None:
        """Feed it, in one piece or in two, and check that nothing grows."""
        cut = self.rng.randrange(len(data) + 1)
        for piece in (data[:cut], data[cut:]):
            self.session.receive(piece, 0)
        for ticket, ask in self.session.asks():
            self.counts[ask.op] += 1
            # What the dataplane says about itself is not the controller's doing.
            made = Answer(1 << 16) if ask.op == "features" else answer(self.rng)
            self.session.answer(ticket, made)
        self.session.push("packet_in", pack(PacketIn()))
        sent = self.session.to_send()
        assert len(sent) <= 4096 + 20 * (MAX_INPUT + len(data))
        assert len(self.session._connection._rest) < MAX_INPUT
        assert not self.session._slots
        assert sum(len(part) for _, part in self.session._parts.values()) <= 1 << 18
        self.counts["errors"] += sent.count(b"\4\1\0")
        if self.session.closed is not None:
            self.counts["closed"] += 1
            self.begin()
        elif self.session._connection._rest and self.rng.random() < 0.5:
            self.begin()  # or a long message swallows hundreds of strings


def resident() -> int:
    """Return the peak of resident memory in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_hundred_thousand_strings_do_no_harm(captures: dict[str, bytes]) -> None:
    """Held by issue and K16: random and mutated strings; the count is printed."""
    rng = random.Random(20261121)
    whole = [data for data in captures.values() if len(data) < 2000]
    subject = Subject(rng)
    for _ in range(1000):
        subject.feed(strings(rng, whole))
    before = resident()
    for _ in range(STRINGS):
        subject.feed(strings(rng, whole))
    print(f"\n{STRINGS} strings: {dict(subject.counts)}")
    assert subject.counts["apply"] > 1000
    assert subject.counts["multipart"] > 100
    assert resident() - before < MAX_GROWTH
