"""The units for systemd that run the components without a supervisor.

`python -m raicho.control.supervisor.units FOLDER` writes one for each row of the
table of services, and raicho.target, which starts them all.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from ..component import Bootstrap
from .services import SERVICES, Service
from .watch import Policy

RUN_DIR, DATA = Path("/run/raicho"), "/var/lib/raicho/config.db"

UNIT = """\
[Unit]
Description=raicho: {identity}
PartOf=raicho.target
After=network.target{after}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=always
RestartSec={pause_ms}ms
WatchdogSec={watchdog:g}
TimeoutStartSec={start:g}
RuntimeDirectory=raicho
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
StateDirectory=raicho

[Install]
WantedBy=raicho.target
"""

TARGET = """\
[Unit]
Description=raicho, a software switch and router
Wants={units}

[Install]
WantedBy=multi-user.target
"""


def units(bootstrap: Bootstrap, services: Sequence[Service] = SERVICES) -> dict[str, str]:
    """Return the units by the names of their files."""
    policy = Policy()
    found: dict[str, str] = {}
    for service in services:
        found[_name(service)] = UNIT.format(
            identity=service.identity,
            after="".join(f" {name}" for name in found),
            command=" ".join(map(_quoted, service.command(bootstrap))),
            pause_ms=round(policy.first_pause * 1e3),
            watchdog=policy.busy_timeout,  # systemd does not see who only has much to do
            start=policy.start_timeout,
        )
    return found | {"raicho.target": TARGET.format(units=" ".join(found))}


def _name(service: Service) -> str:
    return f"raicho-{service.identity}.service"


def _quoted(word: str) -> str:
    """Write a word as systemd reads it (systemd.syntax(7), specifiers)."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if any(map(str.isspace, word)) or not word else word


def main(argv: Sequence[str] | None = None) -> None:
    """Write the units into a folder."""
    parser = ArgumentParser("python -m raicho.control.supervisor.units", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default=DATA, help=f"the data file (default {DATA})")
    parser.add_argument("--keys", type=Path, help="a folder of keys")
    options = parser.parse_args(argv)
    bootstrap = Bootstrap(
        RUN_DIR,
        f"ipc://{RUN_DIR}/datastore.control",
        "systemd",
        options={"data": options.data},
        keys=options.keys and options.keys.absolute(),
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in units(bootstrap).items():
        (options.folder / name).write_text(text)


if __name__ == "__main__":
    main()
