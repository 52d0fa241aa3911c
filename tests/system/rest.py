"""Applications of os-ken beside a switch, and their REST interfaces."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from raicho.control.message import Set

from .conftest import DEVICES, Site
from .lab import wait_until
from .packages import environment_of
from .switch import CONTROLLER_PORT

DATAPATH = 26
WEB_PORT = 8080
WRONG = re.compile(r"Traceback|OFPErrorMsg\(|OFPErrorExperimenterMsg\(|\bERROR\b")
# Inside the namespace: prints the status and the body of the answer.
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
connection.request(*sys.argv[2:])
answer = connection.getresponse()
print(answer.status)
print(answer.read().decode())
"""


class Application:
    """One application in a process of its own, in the namespace of the switch.

    Its switch is br0, with DATAPATH for its number.
    """

    def __init__(self, site: Site, name: str) -> None:
        self.inside = site.place
        self.log = site.folder / f"{name}.log"
        self.name = name
        self._heard = 0  # bytes of the log
        programs = environment_of("osken")
        options = ["--verbose"]  # or it says nothing of the errors that the switch sends
        options += [f"--ofp-tcp-listen-port={CONTROLLER_PORT}", "--ofp-listen-host=127.0.0.1"]
        options += [f"--wsapi-port={WEB_PORT}", "--wsapi-host=127.0.0.1"]
        script = str(Path(__file__).with_name("osken_app.py"))
        argv = [str(programs / "python"), script, *options, f"os_ken.app.{name}"]
        environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        self.process = site.lab.start(argv, self.log, site.place, environment)
        site.switch.commit(Set("/raicho/bridge[name='br0']/datapath-id", f"0x{DATAPATH:x}"))
        site.switch.bridge(DEVICES)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return the status and the body of the answer."""
        text = () if body is None else (json.dumps(body),)
        shown = self.inside.run(
            *(sys.executable, "-I", "-c", ASK, str(WEB_PORT), method, path), *text
        )
        status, _, rest = shown.partition("\n")
        return int(status), rest.strip()

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Ask and return the JSON of the answer, which has to be a good one."""
        status, text = self.ask(method, path, body)
        assert status == 200, f"{method} {path} {body}: {status} {text}\n{self.log.read_text()}"
        return json.loads(text) if text else None

    def listens(self) -> bool:
        """Tell whether its web server is there."""
        return "wsgi starting up" in self.log.read_text()

    def wait_for(self, words: str) -> None:
        try:
            wait_until(lambda: re.search(words, self.log.read_text()), f"{self.name}: {words}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log.read_text()}") from None

    def errors(self) -> list[str]:
        """Return what the application did not like since it was last asked for."""
        with self.log.open() as lines:
            lines.seek(self._heard)
            text = lines.read()
            self._heard = lines.tell()
        return [line for line in text.splitlines() if WRONG.search(line)]
