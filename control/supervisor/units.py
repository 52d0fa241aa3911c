"""The units for systemd that run the components without a supervisor.

`python -m raicho.control.supervisor.units FOLDER` writes one for each row of the
table of services, and raicho.target, which starts them all.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from ..component import Bootstrap
from .services import SERVICES, Service
from .users import RUN_MODE, UMASK, Users
from .watch import Policy

LEAST_OOM_SCORE = -500  # who has no other is the last to be killed
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
OOMScoreAdjust={oom_score}
MemoryMax={memory}
{place}
[Install]
WantedBy=raicho.target
"""

OURS = """\
RuntimeDirectory=raicho
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
StateDirectory=raicho
"""

# The run directory is that of a group, which systemd would give to one user after the other.
SHARED = """\
ExecStartPre=+/usr/bin/install -d -m {mode:o} -g {group} {run_dir}
Group={group}
UMask={umask:04o}
"""

USER = """\
User={user}
NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
AmbientCapabilities={capabilities}
"""

TARGET = """\
[Unit]
Description=raicho, a software switch and router
Wants={units}

[Install]
WantedBy=multi-user.target
"""


def units(
    bootstrap: Bootstrap,
    services: Sequence[Service] = SERVICES,
    users: Users | None = None,
    memory: str = "infinity",
) -> dict[str, str]:
    """Return the units by the names of their files; *memory* is for all but who needs root."""
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
            oom_score=service.oom_score or LEAST_OOM_SCORE,
            memory="infinity" if service.needs_root else memory,
            place=_place(service, bootstrap, users) if users and users.names else OURS,
        )
    return found | {"raicho.target": TARGET.format(units=" ".join(found))}


def _place(service: Service, bootstrap: Bootstrap, users: Users) -> str:
    """Say who a unit is, and where it meets the others."""
    text = SHARED.format(mode=RUN_MODE, umask=UMASK, group=users.group, run_dir=bootstrap.run_dir)
    if user := users.names.get(service.identity):
        capabilities = " ".join(f"CAP_{name.upper()}" for name in service.capabilities)
        text += USER.format(user=user, capabilities=capabilities)
    return text + ("StateDirectory=raicho\n" if "{data}" in service.arguments else "")


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
    parser.add_argument("--user", default="", help="[COMPONENT=]USER,... to run them as")
    parser.add_argument("--group", default="", help="what those users share; the first one's")
    parser.add_argument(
        "--memory-max", default="infinity", help="of each but the dataplane, as systemd writes it"
    )
    parser.add_argument("--listen", default="", help="tcp://ADDRESS:PORT, the datastore's port")
    options = parser.parse_args(argv)
    try:
        users = Users(options.user, options.group, SERVICES)
    except ValueError as error:
        parser.error(str(error))
    bootstrap = Bootstrap(
        RUN_DIR,
        f"ipc://{RUN_DIR}/datastore.control",
        "systemd",
        options={"data": options.data},
        keys=options.keys and options.keys.absolute(),
        listen=options.listen,
    )
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, text in units(bootstrap, users=users, memory=options.memory_max).items():
            (options.folder / name).write_text(text)
    except OSError as error:
        parser.error(f"cannot write units: {error}")


if __name__ == "__main__":
    main()
