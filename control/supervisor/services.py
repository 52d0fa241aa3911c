"""The components that make up a switch, in the order in which they need each other."""

import sys

import msgspec

from ..component import Bootstrap


class Service(msgspec.Struct, frozen=True):
    """How one component is started; `{name}` in arguments is an option of ours."""

    identity: str
    module: str
    arguments: tuple[str, ...] = ()
    is_agent: bool = False  # the switch can do without it: it runs if configuration says so

    def command(self, bootstrap: Bootstrap) -> list[str]:
        """Return the command line that starts it beside us."""
        return [
            *(sys.executable, "-P", "-m", self.module),
            *("--run-dir", str(bootstrap.run_dir)),
            *("--datastore", bootstrap.datastore),
            *("--identity", self.identity),
            *("--log-level", bootstrap.log_level),
            *(("--keys", str(bootstrap.keys)) if bootstrap.keys else ()),
            *(argument.format_map(bootstrap.options) for argument in self.arguments),
        ]


SERVICES = (
    Service("bus", "raicho.control.bus"),
    Service("datastore", "raicho.control.datastore", ("--data", "{data}")),
    Service("dataplane", "raicho.dataplane"),
    Service("openflow", "raicho.control.openflow", is_agent=True),
    Service("statesync", "raicho.control.statesync", is_agent=True),
    Service("routing", "raicho.control.routing", is_agent=True),
)
