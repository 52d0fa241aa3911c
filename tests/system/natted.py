"""Servers and clients on both sides of a NAT; servers say as whom they see a client."""

import sys

from bench.peers.raicho import ask
from raicho.control.message import Get

from .lab import wait_until
from .routed import Routed
from .switch import environment

SERVE = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = socketserver.ThreadingTCPServer((sys.argv[1], 8080), Handler)
print("listening", flush=True)
server.serve_forever()
"""
FETCH = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    with urllib.request.urlopen(sys.argv[1], timeout=10) as answer:
        print(answer.read().decode())
"""
ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 5353))
print("listening", flush=True)
while True:
    data, address = server.recvfrom(65535)
    server.sendto(address[0].encode() + b" " + data, address)
"""
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(10)
client.sendto(b"x" * int(sys.argv[2]), (sys.argv[1], 5353))
data, _ = client.recvfrom(65535)
name, _, rest = data.partition(b" ")
print(name.decode(), len(rest))
"""


def serve(routed: Routed, program: str, address: str, host: int = 1) -> None:
    log = routed.folder / f"server{host}-{abs(hash(program)) % 1000}"
    argv = [sys.executable, "-c", program, address]
    routed.lab.start(argv, log, routed.hosts[host], environment())
    wait_until(lambda: "listening" in log.read_text(), "a server")


def run(routed: Routed, program: str, *arguments: object, host: int = 0) -> str:
    return routed.hosts[host].run(sys.executable, "-c", program, *map(str, arguments), timeout=60)


def counts(routed: Routed) -> dict[str, int]:
    row = ask(routed.switch.run_dir, "dataplane", Get("/raicho/router[name='r']")).data
    found: dict[str, int] = row["nat"]["counts"]
    return found
