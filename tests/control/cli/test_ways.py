"""Next hops as people write them."""

import click
import pytest

from raicho.control.cli.routes import Via, Way

GATEWAY = bytes([10, 0, 1, 9])


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("10.0.1.9", Via(GATEWAY, "", 1, ())),
        ("10.0.1.9@if1*2", Via(GATEWAY, "if1", 2, ())),
        ("@if1", Via(b"", "if1", 1, ())),
        ("10.0.1.9+100", Via(GATEWAY, "", 1, (100,))),
        ("10.0.1.9@if1*2+100/200/1048575/0", Via(GATEWAY, "if1", 2, (100, 200, 1048575, 0))),
        ("fe80::1@if1+3", Via(bytes.fromhex("fe80" + 13 * "00" + "01"), "if1", 1, (3,))),
    ],
)
def test_a_way_is_read_as_it_is_written(text: str, via: Via) -> None:
    """P4: an address, an interface, a share, labels from the outermost one on."""
    assert Way().convert(text, None, None) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*2",
        "10.0.1.9*0",
        "10.0.1.9+",
        "10.0.1.9+x",
        "10.0.1.9+15",
        "10.0.1.9+1",
        "10.0.1.9+1048576",
        "10.0.1.9+16/17/18/19/20",
        "@if1+100",
    ],
)
def test_what_is_no_way_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(
        click.BadParameter, match=repr(text).replace("+", r"\+").replace("*", r"\*")
    ):
        Way().convert(text, None, None)
