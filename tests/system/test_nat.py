"""Real clients through the router's NAT (RFC 4787, 5382, 5508): P1, P5, M18."""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.message import Event, Set, Subscriber

from .lab import PATIENCE, Lab, wait_until
from .natted import ASK, ECHO, FETCH, SERVE, counts, run, serve
from .needs import needs
from .pinging import Pinging, ping
from .routed import Routed, stand, v4
from .switch import environment

pytestmark = needs("ping")

NAT = "/raicho/router[name='r']/nat"
OUTSIDE = v4(2, 1)  # the router's own address there
COMMITS = 100

# Says a line each 20 ms over one connection, and hears it again.
HOLD = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7777)) as connection:
    connection.settimeout(10)
    for i in range(int(sys.argv[2])):
        line = b"%d\\n" % i
        connection.sendall(line)
        heard = b""
        while len(heard) < len(line):
            more = connection.recv(len(line) - len(heard))
            assert more, "closed"
            heard += more
        assert heard == line
        time.sleep(0.02)
print("whole")
"""
REPEAT = """
import socket, sys
server = socket.create_server((sys.argv[1], 7777))
print("listening", flush=True)
while True:
    connection, _ = server.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
"""


@pytest.fixture
def routed(folder: Path) -> Iterator[Routed]:
    """Link 1 is inside; hosts on link 2 know no way to it."""
    with Lab() as lab:
        found = stand(lab, folder)
        found.hosts[1].ip("route", "del", "default")
        found.configure()
        sides = {1: "inside", 2: "outside"}
        found.switch.commit(
            Set(f"{NAT}/pool[name='wan']/interface", "if2"),
            *(
                Set(f"/raicho/router[name='r']/interface[name='if{net}']/nat", side)
                for net, side in sides.items()
            ),
        )
        wait_until(lambda: ping(found.hosts[0], v4(2, 2), "-c", "1").answered, "a ping", 30)
        yield found
        print(found.switch.log.read_text())


def test_web_pages_come_through(routed: Routed) -> None:
    """RFC 5382: the server sees the outside address."""
    serve(routed, SERVE, v4(2, 2))
    seen = run(routed, FETCH, f"http://{v4(2, 2)}:8080/", 50).split()
    assert seen == [OUTSIDE] * 50
    assert counts(routed)["sessions"] >= 50


@pytest.mark.parametrize("size", [10, 4000])
def test_datagrams_come_through_whole_and_in_fragments(routed: Routed, size: int) -> None:
    """RFC 4787, REQ-14: fragments both ways."""
    serve(routed, ECHO, v4(2, 2))
    assert run(routed, ASK, v4(2, 2), size).split() == [OUTSIDE, str(size)]


def test_pings_and_errors_come_through(routed: Routed) -> None:
    """RFC 5508, REQ-1 and REQ-4: queries, and what routers say of them."""
    assert ping(routed.hosts[0], v4(2, 2), "-f", "-c", "5000", timeout=60).lost == 0
    text = routed.hosts[0].run("ping", "-c", "1", "-t", "1", "-W", "3", v4(2, 2), check=False)
    assert re.search(rf"From {re.escape(v4(1, 1))}.*Time to live exceeded", text)
    # Nobody listens there: the host outside says so, and the one inside hears it.
    refused = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect((sys.argv[1], 9))
client.settimeout(5)
client.send(b"x")
try:
    client.recv(10)
except ConnectionRefusedError:
    print("refused")
"""
    assert run(routed, refused, v4(2, 2)).strip() == "refused"


def test_nobody_outside_gets_in_unasked(routed: Routed) -> None:
    serve(routed, SERVE, v4(1, 2), host=0)
    routed.hosts[1].ip("route", "add", f"{v4(1, 0)}/24", "via", OUTSIDE)
    before = ping(routed.hosts[1], OUTSIDE, "-c", "3", "-i", "0.1")
    assert before.lost == 0  # the address is the router's own as well
    with pytest.raises(RuntimeError):
        run(routed, FETCH, f"http://{OUTSIDE}:8080/", 1, host=1)


def test_a_forwarded_port_leads_inside_and_back_to_itself(routed: Routed) -> None:
    """RFC 4787, REQ-9: by hairpin a host inside meets it under the outside address too."""
    serve(routed, SERVE, v4(1, 2), host=0)
    forward = {
        "protocol": "tcp",
        "outside": OUTSIDE,
        "outside-port": 8080,
        "inside": v4(1, 2),
        "inside-port": 8080,
    }
    routed.switch.commit(Set(f"{NAT}/forward[name='web']", forward))
    url = f"http://{OUTSIDE}:8080/"
    assert run(routed, FETCH, url, 3, host=1).split() == [v4(2, 2)] * 3
    assert run(routed, FETCH, url, 3).split() == [OUTSIDE] * 3


def test_mappings_are_told_on_the_bus(routed: Routed) -> None:
    """P5; RFC 6888, section 4, REQ-12: who was behind a port from when to when, not with whom."""
    serve(routed, SERVE, v4(2, 2))
    routed.switch.commit(Set(f"{NAT}/log-mappings", True), Set(f"{NAT}/timeout/tcp-closed", 1))

    async def listen() -> list[Any]:
        context: zmq.SyncContext = zmq.Context()
        told: list[Any] = []

        def hear(event: Event) -> None:
            told.append(event.body)

        bus = f"ipc://{routed.switch.run_dir}/bus.sub"
        subscriber = Subscriber(context, bus, ["nat."], hear)
        try:
            async with asyncio.timeout(PATIENCE):
                while len({body["event"] for body in told}) < 2:
                    await asyncio.to_thread(run, routed, FETCH, f"http://{v4(2, 2)}:8080/", 1)
                    await asyncio.sleep(0.5)
        finally:
            subscriber.close()
            context.term()
        return told

    before = time.time()
    told = asyncio.run(listen())
    ended = next(body for body in told if body["event"] == "end")
    same = [body for body in told if body["outside-port"] == ended["outside-port"]]
    begun = same[0]
    assert begun["event"] == "begin"
    assert before - 1 < begun["time"] < ended["time"] < time.time() + 1
    for body in same:
        assert (body["router"], body["protocol"]) == ("r", "tcp")
        assert (body["inside"], body["outside"]) == (v4(1, 2), OUTSIDE)
        assert not {"remote", "remote-port"} & body.keys()


def test_connections_live_through_commits(routed: Routed) -> None:
    """T6: a connection and a ping through 100 commits of other things."""
    serve(routed, REPEAT, v4(2, 2))
    log = routed.folder / "client"
    argv = [sys.executable, "-c", HOLD, v4(2, 2), "200"]
    client = routed.lab.start(argv, log, routed.hosts[0], environment())
    with Pinging(routed.hosts[0], v4(2, 2)) as pings:
        for turn in range(COMMITS):
            routed.switch.commit(Set(f"{NAT}/max-per-source", 1000 + turn))
    assert client.wait(60) == 0, log.read_text()
    assert log.read_text().strip() == "whole"
    assert pings.counted.sent > 50
    assert pings.counted.lost == 0
