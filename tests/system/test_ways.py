"""Two ways to the same configuration, and what a dry run leaves behind."""

import hashlib
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from plugins.compiling import compiled

from bench.peers.raicho import ask
from raicho.control.datastore.nodes import Node
from raicho.control.message import (
    CallError,
    Code,
    Commit,
    CommitSession,
    Delete,
    Edit,
    Get,
    Prepare,
    Request,
    Restore,
    Set,
)

from .conftest import Site, short_folder, standing
from .needs import needs
from .switch import MODULES, environment
from .test_every_leaf import ROOT

pytestmark = needs("ping")

PORT = {"name": "n1", "kind": "null"}
BR0 = "/raicho/bridge[name='br0']"
R = "/raicho/router[name='r']"
FORWARD = {
    "protocol": "tcp",
    "outside": "192.0.2.7",
    "outside-port": 80,
    "inside": "10.0.0.7",
    "inside-port": 80,
}
TOY = "/folder/toy.so"  # where the folder of the site is
LOG = "/raicho/log/component[name='dataplane']"
#: Objects of the configuration: the commands that make one, and the same as data.
OBJECTS: dict[str, tuple[list[list[str]], dict[str, Any]]] = {
    "port": (
        [["port", "add", "p1", "--device", "p1", "--mtu", "1400"]],
        {
            "port": [{"name": "p1", "kind": "af_packet", "device": "p1", "mtu": 1400}],
        },
    ),
    "plugin": (
        [["config", "set", "/raicho/plugin[name='toy']/file", TOY]],
        {"plugin": [{"name": "toy", "file": TOY}]},
    ),
    "queue": (
        [
            ["port", "add", "n1", "--kind", "null"],
            ["config", "set", "/raicho/port[name='n1']/queue[id='3']", '{"min-rate": 1000}'],
        ],
        {"port": [{**PORT, "queue": [{"id": 3, "min-rate": 1000}]}]},
    ),
    "lane": (
        [
            ["port", "add", "p1", "--device", "p1"],
            ["config", "set", "/raicho/port[name='p1']/device-queues", "2"],
            ["config", "set", "/raicho/port[name='p1']/lane[queue='1']/worker", "0"],
        ],
        {
            "port": [
                {
                    "name": "p1",
                    "kind": "af_packet",
                    "device": "p1",
                    "device-queues": 2,
                    "lane": [{"queue": 1, "worker": 0}],
                }
            ],
        },
    ),
    "worker": (
        [["config", "set", "/raicho/worker[id='2']/mode", "interrupt"]],
        {
            "worker": [{"id": 2, "mode": "interrupt"}],
        },
    ),
    "bridge": (
        [
            ["bridge", "add", "br0", "--datapath-id", "0x7", "--fail-mode", "standalone"],
            ["config", "set", f"{BR0}/packet-in-limit/rate", "9"],
        ],
        {
            "bridge": [
                {
                    "name": "br0",
                    "datapath-id": "0x7",
                    "fail-mode": "standalone",
                    "packet-in-limit": {"rate": 9},
                }
            ],
        },
    ),
    "port of a bridge": (
        [
            ["port", "add", "n1", "--kind", "null"],
            ["bridge", "add", "br0"],
            ["bridge", "add-port", "br0", "n1", "5"],
        ],
        {"port": [PORT], "bridge": [{"name": "br0", "port": [{"name": "n1", "number": 5}]}]},
    ),
    "controller": (
        [
            ["bridge", "add", "br0"],
            ["bridge", "add-controller", "br0", "127.0.0.1", "--port", "9", "--name", "c"],
        ],
        {
            "bridge": [
                {
                    "name": "br0",
                    "controller": [{"name": "c", "address": "127.0.0.1", "port": 9}],
                }
            ],
        },
    ),
    "listener": (
        [["config", "set", f"{BR0}/listen[name='l']", '{"port": 6699}']],
        {
            "bridge": [{"name": "br0", "listen": [{"name": "l", "port": 6699}]}],
        },
    ),
    "static address": (
        [
            ["bridge", "add", "br0"],
            ["config", "set", f"{BR0}/static-mac[vlan='0'][mac='02:00:00:00:00:01']"],
        ],
        {
            "bridge": [{"name": "br0", "static-mac": [{"vlan": 0, "mac": "02:00:00:00:00:01"}]}],
        },
    ),
    "router": (
        [
            ["port", "add", "n1", "--kind", "null"],
            ["config", "set", f"{R}/interface[name='i1']", '{"port": "n1"}'],
            [
                "config",
                "set",
                f"{R}/route[prefix='192.0.2.0/24']",
                '{"next-hop": [{"id": 1, "interface": "i1"}]}',
            ],
            [
                "config",
                "set",
                f"{R}/label[label='100']",
                '{"next-hop": [{"id": 1, "address": "10.0.0.9", "label": [200, 300]}]}',
            ],
            ["config", "set", f"{R}/label[label='101']/ends-here", "true"],
            [
                "config",
                "set",
                f"{R}/tree[group='239.1.1.1'][source='*']",
                '{"outgoing-interface": ["i1"], "local": true}',
            ],
            ["config", "set", f"{R}/nat/pool[name='wan']/interface", "i1"],
            ["config", "set", f"{R}/nat/forward[name='web']", json.dumps(FORWARD)],
            ["config", "set", f"{R}/nat/host[outside='192.0.2.8']/inside", "10.0.0.8"],
        ],
        {
            "port": [PORT],
            "router": [
                {
                    "name": "r",
                    "interface": [{"name": "i1", "port": "n1"}],
                    "route": [
                        {"prefix": "192.0.2.0/24", "next-hop": [{"id": 1, "interface": "i1"}]}
                    ],
                    "label": [
                        {
                            "label": 100,
                            "next-hop": [{"id": 1, "address": "10.0.0.9", "label": [200, 300]}],
                        },
                        {"label": 101, "ends-here": True},
                    ],
                    "tree": [
                        {
                            "group": "239.1.1.1",
                            "source": "*",
                            "outgoing-interface": ["i1"],
                            "local": True,
                        }
                    ],
                    "nat": {
                        "pool": [{"name": "wan", "interface": "i1"}],
                        "forward": [{"name": "web", **FORWARD}],
                        "host": [{"outside": "192.0.2.8", "inside": "10.0.0.8"}],
                    },
                }
            ],
        },
    ),
    "statistics": (
        [["config", "set", "/raicho/statistics/period", "700"]],
        {
            "statistics": {"period": 700},
        },
    ),
    "process": (
        [["config", "set", "/raicho/process[name='openflow']/memory-limit", "4096"]],
        {"process": [{"name": "openflow", "memory-limit": 4096}]},
    ),
    "log": (
        [
            ["config", "set", f"{LOG}/level", "error"],
            ["config", "set", f"{LOG}/topic[name='dataplane']/level", "debug"],
        ],
        {
            "log": {
                "component": [
                    {
                        "name": "dataplane",
                        "level": "error",
                        "topic": [{"name": "dataplane", "level": "debug"}],
                    }
                ]
            },
        },
    ),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with short_folder() as folder, standing(folder) as site:
        compiled(folder)
        yield site


def here(site: Site, text: str) -> str:
    return text.replace(TOY, str(site.folder / "toy.so"))


def projected(node: Node, data: Any) -> Any:
    """Return what of a state the schema knows: no counters, nothing that time changes."""
    if isinstance(data, list):
        return [projected(node, item) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        name: projected(node.children[name], value)
        for name, value in data.items()
        if name in node.children
    }


def states(site: Site) -> dict[str, Any]:
    """Return the state of every component, as far as it is configured."""
    where = {"dataplane": "/", "openflow": "/raicho/bridge", "statesync": "/statistics"}
    raicho = ROOT.children["raicho"]
    nodes = {
        "dataplane": raicho,
        "openflow": raicho.children["bridge"],
        "statesync": raicho.children["statistics"],
    }
    found = {
        name: projected(nodes[name], ask(site.switch.run_dir, name, Get(path)).data)
        for name, path in where.items()
    }
    for what in ("/log", "/process"):
        found[what] = {name: ask(site.switch.run_dir, name, Get(what)).data for name in MODULES}
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_the_same_by_command_and_by_file(site: Site, name: str) -> None:
    """C3: step by step through the API, or all of it as one change of the object."""
    commands, data = OBJECTS[name]
    site.switch.commit(Delete("/"))
    empty = states(site)
    for words in commands:
        site.switch.cli(*(here(site, word) for word in words))
    by_command, configured = states(site), site.switch.configuration()
    assert by_command != empty
    site.switch.commit(Delete("/"))
    assert states(site) == empty
    file = site.folder / "object.json"
    file.write_text(here(site, json.dumps({"raicho": data})))
    site.switch.cli("config", "load", str(file))
    assert states(site) == by_command
    assert site.switch.configuration() == configured


def held(site: Site) -> dict[str, Any]:
    """Return what the datastore has told each component that takes configuration."""
    told = {name: ask(site.switch.run_dir, name, Get("/config")).data for name in MODULES}
    return {name: it["config"] for name, it in told.items() if it}


def tell(site: Site, configs: dict[str, Any]) -> None:
    """Control each component by its own API, past the datastore."""
    for name, config in configs.items():
        txid = f"direct-{uuid.uuid4().hex}"
        ask(site.switch.run_dir, name, Prepare(txid, site.switch.revision(), [], config))
        ask(site.switch.run_dir, name, Commit(txid))


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_the_same_by_the_api_of_its_component(site: Site, name: str) -> None:
    """C3: a component that is told by its API is as one that a change of the object has reached."""
    _, data = OBJECTS[name]
    site.switch.commit(Delete("/"))
    nothing, empty = held(site), states(site)
    file = site.folder / "object.json"
    file.write_text(here(site, json.dumps({"raicho": data})))
    site.switch.cli("config", "load", str(file))
    something, by_change = held(site), states(site)
    assert by_change != empty
    site.switch.commit(Delete("/"))
    assert states(site) == empty
    try:
        tell(site, something)
        assert states(site) == by_change
    finally:
        tell(site, dict(reversed(nothing.items())))
    assert states(site) == empty


def test_every_kind_of_object_is_among_them() -> None:
    def names(data: Any) -> set[str]:
        if not isinstance(data, dict):
            return set().union(*map(names, data)) if isinstance(data, list) else set()
        own = {name for name, value in data.items() if is_list_of_objects(value)}
        return own.union(*map(names, data.values()))

    def is_list_of_objects(value: Any) -> bool:  # and no leaf-list
        return isinstance(value, list) and any(isinstance(item, dict) for item in value)

    def lists(node: Node) -> set[str]:
        own = {child.name for child in node.children.values() if child.keys}
        return own.union(*(lists(child) for child in node.children.values()))

    apart = {"agent"}  # whether one runs: tests/system/test_agents.py
    assert names([data for _, data in OBJECTS.values()]) | apart == lists(ROOT)


def digest(site: Site) -> str:
    """Return a hash of all that every component holds and shows."""
    held = {name: ask(site.switch.run_dir, name, Get("/config")).data for name in MODULES}
    whole = [held, states(site), site.switch.configuration(), site.switch.revision()]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def test_dry_runs_have_no_effect_anywhere(site: Site) -> None:
    """T5, D2: of an edit, a file, a session, a rollback: the hash of all states is the same."""
    site.switch.commit(Delete("/"))
    site.switch.cli("port", "add", "p1", "--device", "p1")
    site.switch.cli("bridge", "add", "br0")
    revision = site.switch.revision()
    site.switch.cli("bridge", "add-port", "br0", "p1", "1")
    file = site.folder / "dry.json"
    file.write_text('{"raicho": {"worker": [{"id": 3}]}}')
    before = digest(site)
    for words in (
        ["port", "add", "p2", "--device", "p2"],
        ["bridge", "remove", "br0"],
        ["config", "load", str(file)],
        ["config", "rollback", str(revision)],
        ["config", "set", f"{BR0}/max-flows", "5"],
    ):
        told = site.switch.cli(*words, "--dry-run")
        assert "could be committed" in told
        assert digest(site) == before
    site.switch.cli("config", "load", str(file))
    assert digest(site) != before


WRITES: list[Request[Any]] = [
    Edit("s", [Set(f"{BR0}/max-flows", 5)]),
    CommitSession("s"),
    Restore("s", 0),
]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"datastore"}))
def test_nobody_but_the_datastore_takes_configuration(site: Site, name: str) -> None:
    """G5, F1: a write that is no transaction is refused."""
    for request in WRITES:
        with pytest.raises(CallError) as refused:
            ask(site.switch.run_dir, name, request)
        assert refused.value.failure.code is Code.UNSUPPORTED


@pytest.mark.parametrize("name", MODULES)
def test_components_are_started_with_nothing_but_where_things_are(name: str) -> None:
    """G5: the rest is configuration; a datastore knows where its data are, and who it is there.

    As whom components run is for whoever starts the switch to say, not for who configures it.
    """
    command = [sys.executable, "-m", MODULES[name], "--help"]
    told = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    options = set(re.findall(r"^\s+--([a-z-]+)", told.stdout, re.MULTILINE))
    common = {"run-dir", "datastore", "identity", "log-level", "keys", "listen"}
    assert options >= common
    own = {
        "datastore": {"data", "host", "without-features"},
        "supervisor": {"data", "user", "group", "cgroup"},
    }
    assert options - {"help"} - common <= own.get(name, set())
