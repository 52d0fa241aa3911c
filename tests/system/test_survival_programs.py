"""What compiled code and templates say of packets is there again after the dataplane was killed."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count

import pytest
from plugins.compiling import compiled
from plugins.toy import TOY
from plugins.toy.toy import COUNT

from raicho.control.message import Set
from raicho.control.openflow.spec import pack, templates
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod
from raicho.control.openflow.spec.templates import TemplateCommand, TemplateMod
from raicho.control.routing.namespace import inside

from .conftest import DEVICES, Site
from .headless import Peer
from .lab import Namespace, wait_until
from .needs import needs
from .switch import CONTROLLER_PORT
from .test_survival import kill_and_wait

pytestmark = needs("ping")

MINE = 7
COUNTED_AT = 14
HEAD = bytes([0xFF] * 6) + bytes.fromhex("020000000009") + TOY.to_bytes(2)
NUMBERS = count(1)


def opened(host: Namespace) -> socket.socket:
    """Open what sends and hears toy frames on a host."""
    made = inside(host.name, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    made.bind(("eth0", TOY))
    made.settimeout(0.2)
    return made


@pytest.fixture
def ends(site: Site) -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(closing(opened(host))) for host in site.hosts)
        yield first, second


def counted(source: socket.socket, sink: socket.socket) -> bool:
    """Whether a frame crosses, counted once by the plug-in; older ones do not matter."""
    body = next(NUMBERS).to_bytes(49)
    source.send(HEAD + b"\0" + body)
    try:
        while not (frame := sink.recv(2048)).endswith(body):
            continue
    except TimeoutError:
        return False
    return frame[COUNTED_AT] == 1


def connected(site: Site) -> Peer:
    return inside(site.place.name, lambda: Peer(CONTROLLER_PORT + 1))


def define(peer: Peer) -> None:
    """Define the template, as a controller does whenever it has connected."""
    mod = TemplateMod(TemplateCommand.ADD, MINE, 0, "mine", (ApplyActions((COUNT, Output(2))),))
    assert peer.exchange(pack(templates.message(mod))) == []


def test_a_killed_dataplane_has_plugins_and_templates_again(
    site: Site, ends: tuple[socket.socket, socket.socket]
) -> None:
    """C13, G8, P6: plug-ins from the datastore, entries with their instructions from the agent."""
    first, second = ends
    site.switch.bridge(DEVICES, controller=False)
    port = f"/raicho/bridge[name='br0']/port[name='{DEVICES[0]}']"
    site.switch.commit(
        Set("/raicho/plugin[name='toy']/file", str(compiled(site.folder))),
        Set(f"{port}/pipeline", f"template:{MINE}"),
    )
    entry = FlowMod(match=match(in_port=2), instructions=(ApplyActions((COUNT, Output(1))),))
    with connected(site) as peer:
        define(peer)
        assert peer.exchange(pack(entry)) == []
        wait_until(lambda: counted(first, second), "a frame by the template")
        wait_until(lambda: counted(second, first), "a frame by the entry")
        wait_until(lambda: site.switch.copied() > 0, "a copy of the flows")
        kill_and_wait(site, "dataplane")
        wait_until(lambda: counted(second, first), "a frame by the entry that came back")
        assert not counted(first, second)  # closed: only controllers know the template
        while peer.read():
            continue  # until it hangs up, so that we define anew
    with connected(site) as peer:
        define(peer)
        wait_until(lambda: counted(first, second), "a frame by the template that came back")
