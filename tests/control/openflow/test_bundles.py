"""Bundles (ONF extension 230): what a controller gets for each thing it says about them."""

import struct
from typing import Any

import pytest

from raicho.control.openflow import framing
from raicho.control.openflow.answers import AWAY, Answer, Ask
from raicho.control.openflow.bundles import (
    ADD,
    CONTROL,
    MAX_BUNDLES,
    MAX_BYTES,
    ONF,
    BundleFailed,
    Bundles,
    Do,
    Flag,
)
from raicho.control.openflow.session import Session, Shared
from raicho.control.openflow.spec import pack, unpack
from raicho.control.openflow.spec.errors import BadRequest, reason
from raicho.control.openflow.spec.messages import (
    BarrierRequest,
    EchoRequest,
    Error,
    Experimenter,
    FlowMod,
    Hello,
    Role,
    RoleRequest,
    TableMod,
)

FLOW = pack(FlowMod(cookie=5), 1)
OVERLAP = 5 << 16 | 3


def control(do: int, ident: int = 1, flags: int = 0) -> Experimenter:
    return Experimenter(ONF, CONTROL, struct.pack("!IHH", ident, do, flags))


def add(message: bytes = FLOW, ident: int = 1, flags: int = 0) -> Experimenter:
    return Experimenter(ONF, ADD, struct.pack("!I2xH", ident, flags) + message)


class Talk:
    """A controller that has greeted."""

    def __init__(self) -> None:
        self.session = Session(Shared(), 0)
        self.session.receive(pack(Hello()), 0)
        self.session.to_send()

    def say(self, *messages: Any, xid: int = 1) -> list[tuple[int, Ask]]:
        self.session.receive(b"".join(pack(message, xid) for message in messages), 0)
        return self.session.asks()

    def heard(self) -> list[Any]:
        data = self.session.to_send()
        found, _ = framing.scan(data, 4, bytes(256))
        return [unpack(data[start:stop])[0] for _, start, stop, _ in found]

    def failed(self) -> BundleFailed:
        """Check that an experimenter's error came, and return its code."""
        [error] = self.heard()
        assert isinstance(error, Error)
        assert error.type == 0xFFFF
        assert error.data[:4] == ONF.to_bytes(4, "big")
        assert len(error.data) > 4
        return BundleFailed(error.code - 2300)


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.mark.parametrize("do", [Do.CLOSE, Do.DISCARD])
def test_each_step_is_answered_with_the_same_bundle(talk: Talk, do: Do) -> None:
    talk.say(control(Do.OPEN, 7, Flag.ATOMIC), control(do, 7, Flag.ATOMIC))
    replies = [struct.unpack("!IHH", reply.data) for reply in talk.heard()]
    assert replies == [(7, Do.OPEN + 1, Flag.ATOMIC), (7, do + 1, Flag.ATOMIC)]


def test_a_commit_asks_for_all_messages_at_once(talk: Talk) -> None:
    asks = talk.say(control(Do.OPEN, flags=1), add(flags=1), add(flags=1), control(Do.COMMIT, 1, 1))
    [(ticket, ask)] = asks
    assert ask == Ask("bundle", (1).to_bytes(4, "big") + 2 * FLOW)
    talk.heard()
    talk.session.answer(ticket, Answer(framing.DONE, (struct.pack("=II", 2, framing.DONE),)))
    [reply] = talk.heard()
    assert struct.unpack("!IHH", reply.data) == (1, Do.COMMIT + 1, 1)


def test_a_message_that_fails_is_named_and_the_bundle_with_it(talk: Talk) -> None:
    [(ticket, _)] = talk.say(add(), add(), control(Do.COMMIT))
    talk.session.answer(ticket, Answer(framing.DONE, (struct.pack("=II", 1, OVERLAP),)))
    one, whole = talk.heard()
    assert (one.type << 16 | one.code, one.data) == (OVERLAP, FLOW[:64])
    assert (whole.type, whole.code) == (0xFFFF, 2300 + BundleFailed.MSG_FAILED)
    talk.say(control(Do.COMMIT))
    assert talk.failed() == BundleFailed.BAD_ID


def test_without_a_dataplane_a_commit_is_refused(talk: Talk) -> None:
    [(ticket, _)] = talk.say(add(), control(Do.COMMIT))
    talk.session.answer(ticket, Answer(AWAY))
    [error] = talk.heard()
    assert (error.type, error.code) == reason(BadRequest.EPERM)


SHORT = FLOW[:2] + b"\0\x04" + FLOW[4:]
LONG = FLOW[:2] + b"\1\0" + FLOW[4:]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([control(Do.OPEN), control(Do.OPEN)], BundleFailed.BUNDLE_EXIST),
        ([control(Do.CLOSE)], BundleFailed.BAD_ID),
        ([control(Do.COMMIT)], BundleFailed.BAD_ID),
        ([control(Do.DISCARD)], BundleFailed.BAD_ID),
        ([control(1)], BundleFailed.BAD_TYPE),
        ([control(8)], BundleFailed.BAD_TYPE),
        ([control(Do.OPEN, flags=4)], BundleFailed.BAD_FLAGS),
        ([control(Do.OPEN), control(Do.CLOSE, flags=1)], BundleFailed.BAD_FLAGS),
        ([control(Do.OPEN), control(Do.COMMIT, flags=1)], BundleFailed.BAD_FLAGS),
        ([control(Do.OPEN), add(flags=2)], BundleFailed.BAD_FLAGS),
        ([control(Do.OPEN), control(Do.CLOSE), control(Do.CLOSE)], BundleFailed.BUNDLE_CLOSED),
        ([control(Do.OPEN), control(Do.CLOSE), add()], BundleFailed.BUNDLE_CLOSED),
        ([add(SHORT)], BundleFailed.MSG_BAD_LEN),
        ([add(LONG)], BundleFailed.MSG_BAD_LEN),
        ([add(FLOW[:4])], BundleFailed.MSG_BAD_LEN),
        ([add(pack(FlowMod(), 2))], BundleFailed.MSG_BAD_XID),
        ([add(pack(EchoRequest(), 1))], BundleFailed.MSG_UNSUP),
        ([add(pack(BarrierRequest(), 1))], BundleFailed.MSG_UNSUP),
        ([add(pack(TableMod(0), 1))], BundleFailed.MSG_UNSUP),
    ],
)
def test_each_mistake_has_its_error(
    talk: Talk, messages: list[Experimenter], code: BundleFailed
) -> None:
    """K16: type, code, whose it is, and the message."""
    talk.say(*messages[:-1])
    talk.heard()
    assert talk.say(messages[-1]) == []
    assert talk.failed() == code


@pytest.mark.parametrize(
    "mistake", [control(Do.OPEN), control(Do.CLOSE, flags=1), add(flags=2)], ids=str
)
def test_what_contradicts_itself_is_discarded(talk: Talk, mistake: Experimenter) -> None:
    talk.say(control(Do.OPEN), mistake)
    talk.heard()
    talk.say(control(Do.COMMIT))
    assert talk.failed() == BundleFailed.BAD_ID


def test_there_are_only_so_many_bundles(talk: Talk) -> None:
    talk.say(*(control(Do.OPEN, i) for i in range(MAX_BUNDLES)))
    talk.heard()
    talk.say(control(Do.OPEN, MAX_BUNDLES))
    assert talk.failed() == BundleFailed.OUT_OF_BUNDLES


def test_there_is_only_so_much_room(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raicho.control.openflow.bundles.MAX_BYTES", 2 * len(FLOW))
    talk.say(add(ident=1), add(ident=2))
    assert talk.heard() == []
    talk.say(add(ident=1))
    assert talk.failed() == BundleFailed.MSG_TOO_MANY
    assert MAX_BYTES > 1 << 20


def test_bundles_belong_to_their_connection(talk: Talk) -> None:
    talk.say(control(Do.OPEN))
    talk.heard()
    other = Talk()
    other.say(control(Do.COMMIT))
    assert other.failed() == BundleFailed.BAD_ID


def test_a_slave_has_no_bundles(talk: Talk) -> None:
    talk.say(RoleRequest(Role.SLAVE, 1))
    talk.heard()
    talk.say(control(Do.OPEN))
    [error] = talk.heard()
    assert (error.type, error.code) == reason(BadRequest.IS_SLAVE)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Experimenter(ONF, 2302, bytes(8)), BadRequest.BAD_EXP_TYPE),
        (Experimenter(ONF, CONTROL, bytes(7)), BadRequest.BAD_LEN),
        (add(b"\1" + FLOW[1:]), BadRequest.BAD_VERSION),
    ],
    ids=str,
)
def test_what_is_not_about_bundles_has_the_usual_errors(
    talk: Talk, message: Experimenter, code: BadRequest
) -> None:
    talk.say(message)
    [error] = talk.heard()
    assert (error.type, error.code) == reason(code)


def test_what_is_discarded_leaves_room() -> None:
    bundles = Bundles()
    bundles.add(struct.pack("!I2xH", 1, 0) + FLOW, 1)
    assert bundles.size == len(FLOW)
    bundles.control(struct.pack("!IHH", 1, Do.DISCARD, 0))
    assert bundles.size == 0
