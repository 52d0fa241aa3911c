"""os-ken's own captures, both directions, all types: decode, encode, same bytes."""

from pathlib import Path

from raicho.control.openflow.spec import MessageType, pack, unpack


def test_the_captures_are_there(captures: dict[str, bytes]) -> None:
    """K16: an empty folder must not pass for a codec that works."""
    assert len(captures) >= 100


def test_they_show_every_type_of_message(captures: dict[str, bytes]) -> None:
    assert {data[1] for data in captures.values()} == set(MessageType)


def test_a_capture_comes_back_as_it_was(capture_file: Path) -> None:
    """K16: nothing is lost and nothing is added."""
    data = capture_file.read_bytes()
    message, xid = unpack(data)
    assert pack(message, xid) == data
