"""What cannot be is refused with leaf and reason, and nothing has changed."""

from raicho.control.message import CallError, Delete, Set

from .conftest import DEVICES, Site
from .needs import needs

pytestmark = needs()

PORT = "/raicho/port[name='{}']"
MEMBER = "/raicho/bridge[name='{}']/port[name='{}']"
CONTROLLER = "/raicho/bridge[name='br0']/controller[name='c2']"

# name -> (what is tried, what the path must contain, what the text must quote)
REFUSED: dict[str, tuple[list[Set | Delete], str, str]] = {
    "a port on a device that does not exist": (
        [Set(PORT.format("p9"), {"kind": "af_packet", "device": "nosuch0"})],
        "/raicho/port[name='p9']/device",
        "nosuch0",
    ),
    "a port number used twice in a bridge": (
        [
            Set(PORT.format("n1"), {"kind": "null"}),
            Set(MEMBER.format("br0", "n1") + "/number", 1),
        ],
        "/raicho/bridge[name='br0']",
        "1",
    ),
    "a port in two bridges": (
        [Set(MEMBER.format("br1", DEVICES[0]) + "/number", 1)],
        "/raicho/bridge[name='br",
        DEVICES[0],
    ),
    "a port in a bridge that does not exist": (
        [Set(MEMBER.format("br0", "ghost") + "/number", 9)],
        "/raicho/bridge[name='br0']/port[name='ghost']",
        "ghost",
    ),
    "a controller address that is nonsense": (
        [Set(CONTROLLER, {"address": "not an address!"})],
        CONTROLLER + "/address",
        "not an address!",
    ),
    "a controller port that is no port": (
        [Set(CONTROLLER, {"address": "127.0.0.1", "port": 70000})],
        CONTROLLER + "/port",
        "70000",
    ),
    "a kind of port that is not known": (
        [Set(PORT.format("p9"), {"kind": "token_ring"})],
        "/raicho/port[name='p9']/kind",
        "token_ring",
    ),
}


def test_what_cannot_be_is_refused_and_nothing_has_changed(site: Site) -> None:
    """M1, T1, F4, F15: the error names leaf and reason, every process is alive as before."""
    site.switch.bridge(DEVICES, controller=False)
    before = (site.switch.configuration(), site.switch.revision(), site.switch.pids())
    wrong: dict[str, object] = {}
    for name, (ops, path, quoted) in REFUSED.items():
        try:
            wrong[name] = site.switch.commit(*ops, session=name.replace(" ", "-"))
        except CallError as error:
            failure = error.failure
            if path not in (failure.path or "") or quoted not in f"{failure.path} {failure.reason}":
                wrong[name] = failure
    assert wrong == {}
    after = (site.switch.configuration(), site.switch.revision(), site.switch.pids())
    assert after == before
    assert all(site.switch.ready(identity) for identity in site.switch.pids())


def test_the_command_line_tells_a_refusal_and_ends_with_one(site: Site) -> None:
    done = site.switch.cli("port", "add", "p9", "--device", "nosuch0", check=False)
    assert "/raicho/port[name='p9']/device" in done
    assert "nosuch0" in done
    assert "p9" not in site.switch.cli("show", "ports")
