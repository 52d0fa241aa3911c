"""Where a network hears the sockets of a component."""

from pathlib import Path

import pytest

from raicho.control.component import Bootstrap
from raicho.control.component.listening import nth


def test_each_socket_has_a_port_behind_the_first() -> None:
    assert [nth("tcp://192.0.2.1:7000", number) for number in (0, 1, 26)] == [
        "tcp://192.0.2.1:7000",
        "tcp://192.0.2.1:7001",
        "tcp://192.0.2.1:7026",
    ]


@pytest.mark.parametrize(
    "listen",
    [
        *("tcp://0.0.0.0:7000", "tcp://*:7000", "tcp://192.0.2.1", "tcp://192.0.2.1:*"),
        *("tcp://192.0.2.256:7000", "tcp://[2001:db8::1]:7000", "ipc:///x", "192.0.2.1:7000"),
    ],
)
def test_what_others_cannot_reach_is_refused(listen: str) -> None:
    """T8: the registry would tell it to them."""
    with pytest.raises(OSError, match="an IPv4 address that others reach"):
        nth(listen, 0)


@pytest.mark.parametrize(("port", "number"), [(0, 0), (65535, 1), (99999, 0)])
def test_a_port_that_is_none_is_refused(port: int, number: int) -> None:
    with pytest.raises(OSError, match=f"there is no port {port + number}"):
        nth(f"tcp://192.0.2.1:{port}", number)


def test_a_file_is_always_there_too() -> None:
    quiet = Bootstrap(Path("/run/x"), "ipc:///d", "lamp")
    heard = Bootstrap(Path("/run/x"), "ipc:///d", "lamp", listen="tcp://192.0.2.1:7000")
    assert quiet.endpoints("lamp.bulk", 1) == ["ipc:///run/x/lamp.bulk"]
    assert heard.endpoints("lamp.bulk", 1) == ["ipc:///run/x/lamp.bulk", "tcp://192.0.2.1:7001"]
