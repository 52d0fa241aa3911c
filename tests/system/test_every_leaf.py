"""Every leaf of the schema, written through the datastore and read back from its component.

The leaves come from the schema: one that is added is tested at once, and fails
until its component shows it.
"""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from plugins.compiling import compiled

from bench.peers.raicho import ask
from raicho.control.datastore.library import library_of, shipped_modules
from raicho.control.datastore.nodes import Kind, Node, Type
from raicho.control.message import CommitSession, Delete, Edit, Get, GetConfig, Op, Set
from raicho.control.message.path import find, parse_path

from .conftest import Site, short_folder, standing
from .lab import wait_until
from .needs import needs

pytestmark = needs("ping")

COMPONENTS = {
    "raicho-dataplane": "dataplane",
    "raicho-openflow": "openflow",
    "raicho-statesync": "statesync",
    "raicho-routing": "routing",
}
COMMON = {"/raicho/log/component": "/log", "/raicho/process": "/process"}  # all have: the state
KEYS = {
    "/raicho/port": "[name='p1']",
    "/raicho/port/lane": "[queue='0']",
    "/raicho/port/queue": "[id='1']",
    "/raicho/worker": "[id='1']",
    "/raicho/bridge": "[name='br0']",
    "/raicho/bridge/port": "[name='p1']",
    "/raicho/bridge/static-mac": "[vlan='0'][mac='02:00:00:00:00:01']",
    "/raicho/bridge/controller": "[name='c1']",
    "/raicho/bridge/listen": "[name='l1']",
    "/raicho/router": "[name='r']",
    "/raicho/plugin": "[name='toy']",
    "/raicho/router/interface": "[name='if1']",
    "/raicho/router/nat/pool": "[name='wan']",
    "/raicho/router/nat/forward": "[name='web']",
    "/raicho/router/nat/host": "[outside='192.0.2.8']",
    "/raicho/router/route": "[prefix='198.51.100.0/24']",
    "/raicho/router/route/next-hop": "[id='1']",
    "/raicho/router/tree": "[group='239.1.1.1'][source='*']",
    "/raicho/router/label": "[label='100']",
    "/raicho/router/label/next-hop": "[id='1']",
    "/raicho/log/component": "[name='dataplane']",
    "/raicho/process": "[name='dataplane']",
    "/raicho/log/component/topic": "[name='dataplane.switch']",
}
P1, BR0 = "/raicho/port[name='p1']", "/raicho/bridge[name='br0']"
R, GONE = "/raicho/router[name='r']", object()
BASE = {
    "raicho": {
        "port": [
            {"name": "p1", "kind": "af_packet", "device": "p1"},
            {"name": "n1", "kind": "null"},
            {"name": "n2", "kind": "null"},
        ],
        "worker": [{"id": 1}],
        "bridge": [
            {
                "name": "br0",
                "port": [{"name": "p1", "number": 1}],
                "controller": [{"name": "c1", "address": "127.0.0.1"}],
                "listen": [{"name": "l1"}],
            }
        ],
        "router": [
            {
                "name": "r",
                "interface": [{"name": "if1", "port": "n1"}],
                "nat": {
                    "pool": [{"name": "wan", "first": "192.0.2.7"}],
                    "forward": [
                        {
                            "name": "web",
                            "protocol": "tcp",
                            "outside": "192.0.2.7",
                            "outside-port": 80,
                            "inside": "10.0.0.7",
                            "inside-port": 80,
                        }
                    ],
                    "host": [{"outside": "192.0.2.8", "inside": "10.0.0.8"}],
                },
                "route": [
                    {
                        "prefix": "198.51.100.0/24",
                        "next-hop": [{"id": 1, "interface": "if1", "address": "192.0.2.8"}],
                    }
                ],
                "tree": [{"group": "239.1.1.1", "source": "*"}],
                "label": [{"label": 100, "next-hop": [{"id": 1, "address": "192.0.2.8"}]}],
            }
        ],
    }
}
#: Values of types that have no range and no list of values.
TEXTS = {"datapath-id": "00000000000000ab", "ipv4-address": "127.0.0.9"}
#: Values of leaves where not just any will do: there must be such a device, or file.
VALUES: dict[str, Any] = {
    "/raicho/port/kind": "tap",
    "/raicho/port/device": "p2",
    "/raicho/port/mtu": 1400,
    "/raicho/port/device-queues": 2,
    "/raicho/port/lane/worker": 1,
    "/raicho/port/worker": 1,
    "/raicho/port/xdp-mode": "generic",
    "/raicho/worker/cpu": 0,
    "/raicho/worker/mode": "interrupt",
    "/raicho/plugin/file": "{folder}/toy.so",
    "/raicho/bridge/static-mac/port": "p1",
    "/raicho/bridge/pipeline": "bridge",
    "/raicho/bridge/port/pipeline": "template:7",
    "/raicho/bridge/port/trunk": ["7..9"],
    "/raicho/bridge/port/vlan-mode": "access",
    "/raicho/router/host-namespace": "{namespace}",
    "/raicho/router/interface/port": "n2",
    "/raicho/router/interface/bridge": "br0",
    "/raicho/router/interface/mac": "02:00:00:00:00:07",
    "/raicho/router/interface/address": ["192.0.2.1/24", "2001:db8::1/64"],
    "/raicho/router/interface/router-advertisements/prefix": ["2001:db8:7::/64"],
    "/raicho/router/nat/port-block": 128,
    "/raicho/router/nat/nat64/prefix": "64:ff9b::/96",
    "/raicho/router/nat/pool/interface": "if1",
    "/raicho/router/nat/pool/first": "192.0.2.6",
    "/raicho/router/nat/pool/last": "192.0.2.7",
    "/raicho/router/nat/forward/protocol": "udp",
    "/raicho/router/nat/forward/outside": "192.0.2.7",
    "/raicho/router/nat/forward/inside": "10.0.0.9",
    "/raicho/router/nat/host/inside": "10.0.0.9",
    "/raicho/router/route/next-hop/address": "192.0.2.9",
    "/raicho/router/route/next-hop/interface": "if1",
    "/raicho/router/tree/incoming-interface": "if1",
    "/raicho/router/tree/outgoing-interface": ["if1"],
    "/raicho/router/route/next-hop/label": [200, 300],
    "/raicho/router/label/next-hop/address": "192.0.2.9",
    "/raicho/router/label/next-hop/interface": "if1",
    "/raicho/router/label/next-hop/label": [200],
    "/raicho/process/memory-limit": 1 << 20,
    "/raicho/bridge/tls/private-key": "{folder}/a.key",
    "/raicho/bridge/tls/certificate": "{folder}/a.pem",
    "/raicho/bridge/tls/ca-certificate": "{folder}/a.pem",
}
#: What must be set beside a leaf.
BESIDE: dict[str, list[tuple[str, Any]]] = {
    "/raicho/port/kind": [(f"{P1}/device", "t1")],
    "/raicho/port/lane/worker": [(f"{P1}/device-queues", 2)],
    "/raicho/port/xdp-mode": [(f"{P1}/kind", "af_xdp")],
    "/raicho/router/interface/bridge": [(f"{R}/interface[name='if1']/port", GONE)],
    "/raicho/router/nat/pool/interface": [(f"{R}/nat/pool[name='wan']/first", GONE)],
    "/raicho/router/label/ends-here": [(f"{R}/label[label='100']/next-hop", GONE)],
    "/raicho/router/route/discard": [(f"{R}/route[prefix='198.51.100.0/24']/next-hop", GONE)],
    "/raicho/bridge/port/vlan-mode": [(f"{BR0}/port[name='p1']/vlan", 7)],
}
TLS = [
    (f"{BR0}/tls/{name}", VALUES[f"/raicho/bridge/tls/{name}"])
    for name in ("private-key", "certificate", "ca-certificate")
]
BESIDE |= {
    f"/raicho/bridge/{name}": TLS
    for name in (
        "controller/protocol",
        "listen/protocol",
        "tls/private-key",
        "tls/certificate",
        "tls/ca-certificate",
    )
}


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every leaf that can be configured, but keys, by its path without keys."""
    for name, child in node.children.items():
        if not child.config or name in node.keys:
            continue
        if child.type:
            yield f"{path}/{name}", child
        else:
            yield from leaves(child, f"{path}/{name}")


ROOT = library_of(shipped_modules(), []).root
ELSEWHERE = {"/raicho/agent/enabled"}  # those that are off cannot be asked: test_agents.py
LEAVES = {path: node for path, node in leaves(ROOT) if path not in ELSEWHERE}


BESIDE |= {
    path: [(f"{R}/interface[name='if1']/host", True)]
    for path in LEAVES
    if path.startswith("/raicho/router/routing/")
}


def value_of(path: str, node: Node) -> Any:
    """Return a value that is not the default."""
    assert node.type
    if path in VALUES:
        return VALUES[path]
    value = _another(node.type, node.default)
    return [value] if node.kind is Kind.LEAF_LIST else value


def _another(type_: Type, default: Any) -> Any:
    """Return a value of a type that is not *default*."""
    if type_.base == "boolean":
        return not default
    if type_.members:
        return _another(type_.members[0], default)
    if type_.name in TEXTS:
        return TEXTS[type_.name]
    numbers = [number for low, high in type_.ranges for number in (low, high)]
    others = (each for each in (*type_.values, *numbers) if each != default)
    return next(others, default)


def instance(path: str) -> str:
    """Return the path with the keys of the entries of this test."""
    found = without = ""
    for name in path.split("/")[1:]:
        without += f"/{name}"
        found += f"/{name}{KEYS.get(without, '')}"
    return found


def _has_one_value(node: Node) -> bool:
    return node.type is not None and len(node.type.values) == 1


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One switch for all leaves, and the files that some of them name."""
    with short_folder() as folder, standing(folder) as site:
        subject = ("-subj", "/CN=a", "-days", "2", "-noenc")
        files = ("-keyout", f"{folder}/a.key", "-out", f"{folder}/a.pem")
        if shutil.which("openssl"):
            command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", *files, *subject)
            subprocess.run(command, check=True, capture_output=True)
        compiled(folder)
        yield site


def commit(site: Site, edits: list[tuple[str, Any]]) -> None:
    """Make the configuration that of BASE and *edits*, whatever it was."""
    ops: list[Op] = [
        Delete("/"),
        Set("/", BASE),
        *(Delete(path) if value is GONE else Set(path, value) for path, value in edits),
    ]
    ask(site.switch.run_dir, "datastore", Edit("leaf", ops))
    ask(site.switch.run_dir, "datastore", CommitSession("leaf"), timeout=20)


def state(site: Site, component: str, path: str) -> Any:
    """Ask a component for its state at a path, by the entry at the top of it."""
    top = path.split("/")[1:3]
    rows = ask(site.switch.run_dir, component, Get("/" + "/".join(top))).data
    below = parse_path("/x" + path[len("/" + "/".join(top)) :])[1:]
    return find(rows, below)


@pytest.mark.parametrize("path", LEAVES)
def test_what_is_written_is_read_back(site: Site, path: str) -> None:
    """G3: config arrives at the component, and its state equals config."""
    node = LEAVES[path]
    folder, space = str(site.folder), site.place.name
    value = value_of(path, node)
    edits = [*BESIDE.get(path, []), (instance(path), value)]
    edits = [
        (place, each.format(folder=folder, namespace=space) if isinstance(each, str) else each)
        for place, each in edits
    ]
    commit(site, edits)
    wanted = ask(site.switch.run_dir, "datastore", GetConfig(instance(path))).data
    assert wanted == edits[-1][1]
    assert wanted != node.default or _has_one_value(node), "or a leaf that is ignored passes"
    for place, shown in COMMON.items():
        if path.startswith(place):
            held = ask(site.switch.run_dir, "dataplane", Get(shown)).data
            assert find(held, parse_path(instance(path)[len(instance(place)) :])) == wanted
            return
    component = COMPONENTS[node.module]
    held = ask(site.switch.run_dir, component, Get("/config")).data["config"]
    assert find(held, parse_path(instance(path))) == wanted
    wait_until(lambda: state(site, component, instance(path)) == wanted, f"the state of {path}")


def test_there_are_leaves(site: Site) -> None:
    assert len(LEAVES) > 40
    assert {node.module for node in LEAVES.values()} == {*COMPONENTS, "raicho"}
