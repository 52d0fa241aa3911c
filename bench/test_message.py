"""What one control message costs, without its sockets: `make bench` times it."""

from typing import Any

from raicho.control.message import Change, Kind, Message, Prepare, catalogue, envelope

CHANGE = Change("/raicho/bridge[name='br0']/port[name='p1']/number", None, 1)
PREPARE = Prepare("tx-1", 7, [CHANGE] * 10, {"bridge": [{"name": "br0"}]})
FRAME = envelope.pack(Kind.REQUEST, 1, PREPARE, 1_000)


def test_packing_a_prepare_of_ten_changes(benchmark: Any) -> None:
    assert benchmark(envelope.pack, Kind.REQUEST, 1, PREPARE, 1_000) == FRAME


def test_unpacking_a_prepare_of_ten_changes(benchmark: Any) -> None:
    decoder = catalogue.decoder()

    def unpack() -> Message:
        return decoder.decode(envelope.unpack([FRAME]).body)

    assert benchmark(unpack) == PREPARE
