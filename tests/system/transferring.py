"""A stream of TCP from one host to the other, and whether it arrives unharmed."""

import hashlib
import random
import sys

from .conftest import ADDRESSES, Site
from .lab import Namespace, wait_until
from .switch import environment

RECEIVE = """
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 9000))
print("listening", flush=True)
connection, _ = server.accept()
digest, size = hashlib.sha256(), 0
while data := connection.recv(1 << 16):
    digest.update(data)
    size += len(data)
print(size, digest.hexdigest(), flush=True)
"""
SEND = """
import random, socket, sys
data = random.Random(0).randbytes(1 << 20)
with socket.create_connection((sys.argv[1], 9000)) as connection:
    for _ in range(int(sys.argv[2]) >> 20):
        connection.sendall(data)
"""


def transfer(site: Site, size: int, sender: Namespace | None = None) -> None:
    """Send *size* bytes, whole MiB, from the first host, or *sender*, to the second."""
    h1, h2 = site.hosts
    log = site.folder / "received"
    receiver = site.lab.start([sys.executable, "-c", RECEIVE, ADDRESSES[1]], log, h2, environment())
    wait_until(lambda: "listening" in log.read_text(), "the receiver to listen")
    (sender or h1).run(sys.executable, "-c", SEND, ADDRESSES[1], str(size), timeout=120)
    receiver.wait(60)
    data = random.Random(0).randbytes(1 << 20)
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(data)
    assert log.read_text().split()[1:] == [str(size), digest.hexdigest()]
