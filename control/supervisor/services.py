"""The components that make up a switch, in the order in which they need each other."""

import sys

import msgspec

from ..component import Bootstrap
from ..component.listening import nth


class Service(msgspec.Struct, frozen=True):
    """How one component is started; `{name}` in arguments is an option of ours."""

    identity: str
    module: str
    arguments: tuple[str, ...] = ()
    is_agent: bool = False  # the switch can do without it: it runs if configuration says so
    port: int = 0  # of its first socket, behind that of the datastore, where a network hears us
    needs_root: bool = False  # devices, namespaces, huge pages; others may run as any user
    capabilities: tuple[str, ...] = ()  # that another user needs for it, capabilities(7)
    oom_score: int = 0  # who is killed first when the host has no memory left, proc(5)

    def command(self, bootstrap: Bootstrap) -> list[str]:
        """Return the command line that starts it beside us."""
        return [
            *(sys.executable, "-P", "-m", self.module),
            *("--run-dir", str(bootstrap.run_dir)),
            *("--datastore", bootstrap.datastore),
            *("--identity", self.identity),
            *("--log-level", bootstrap.log_level),
            *(("--keys", str(bootstrap.keys)) if bootstrap.keys else ()),
            *(("--listen", nth(bootstrap.listen, self.port)) if bootstrap.listen else ()),
            *(argument.format_map(bootstrap.options) for argument in self.arguments),
        ]


SERVICES = (
    Service("bus", "raicho.control.bus", port=4, oom_score=300),
    Service("datastore", "raicho.control.datastore", ("--data", "{data}"), oom_score=300),
    Service("dataplane", "raicho.dataplane", port=8, needs_root=True),
    Service("openflow", "raicho.control.openflow", is_agent=True, port=12, oom_score=500),
    Service("statesync", "raicho.control.statesync", is_agent=True, port=16, oom_score=500),
    Service(
        "routing",
        "raicho.control.routing",
        is_agent=True,
        port=20,
        capabilities=("net_admin", "sys_admin"),  # neighbours of the kernel, setns(2)
        oom_score=500,
    ),
)
SUPERVISOR_PORT = 24
