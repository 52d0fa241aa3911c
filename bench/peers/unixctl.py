"""Ask a daemon of Open vSwitch on its control socket: JSON-RPC, without starting a program."""

import json
import socket
from pathlib import Path

TIMEOUT = 30.0


def ask(path: Path, method: str, *arguments: str) -> str:
    """Run a command in the daemon; return what it prints."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(path))
        request = {"id": 0, "method": method, "params": arguments}
        connection.sendall(json.dumps(request).encode())
        answer = _answer(connection)
    if answer["error"] is not None:
        raise RuntimeError(f"{method}: {answer['error']}")
    return str(answer["result"])


def _answer(connection: socket.socket) -> dict[str, object]:
    """Read until the object is whole; the daemon does not hang up."""
    data = b""
    while part := connection.recv(1 << 16):
        data += part
        try:
            found: dict[str, object] = json.loads(data)
        except ValueError:
            continue
        return found
    raise ConnectionError("the daemon hung up")
