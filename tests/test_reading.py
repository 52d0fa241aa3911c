"""Which files components read: row G5, from the sources themselves."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
READING = re.compile(
    r"(?<!def )(?<![.\w])open\(|\b(?:os|io)\.open\(|\.open\(\"|\.read_(?:text|bytes)\("
)
PARSING = re.compile(
    r"^\s*(?:import|from) (?:json|tomllib|configparser|csv|plistlib|yaml)\b"
    r"|\bmsgspec\.(?:json|yaml|toml)\.",
    re.MULTILINE,
)
#: Where configuration is kept, and where people hand it over: both speak to the datastore.
CONFIGURATION = ("control/datastore", "control/cli")
KERNEL = "what the kernel says of processes and control groups"
SCHEMA, NAMESPACE = "its YANG modules, which are installed with it", "a network namespace"
READ = {
    "control/component": KERNEL + ", and the PID of who holds an identity",
    "control/message/keys.py": "keys",
    "control/openflow/agent.py": SCHEMA,
    "control/routing/namespace.py": NAMESPACE,
    "control/routing/routing.py": SCHEMA,
    "control/statesync/statesync.py": SCHEMA,
    "control/supervisor": KERNEL,
    "dataplane/host.py": NAMESPACE,
    "dataplane/router_config.py": "the host's identity, for addresses that no other host has",
    "dataplane/service.py": SCHEMA,
}
PARSED = {"control/message/path.py": "values in paths"}


def found(what: re.Pattern[str]) -> set[str]:
    files = [each for plane in ("control", "dataplane") for each in (ROOT / plane).rglob("*.py*")]
    sources = (each for each in files if each.suffix in (".py", ".pyx"))
    names = {str(each.relative_to(ROOT)) for each in sources if what.search(each.read_text())}
    return {name for name in names if not name.startswith(CONFIGURATION)}


def test_components_read_no_file_of_configuration() -> None:
    """G5: each file or folder that reads one is listed with what that is."""
    names = found(READING)
    listed = {next((each for each in READ if name.startswith(each)), name) for name in names}
    assert listed == set(READ)


def test_components_parse_no_format_of_files() -> None:
    """G5."""
    assert found(PARSING) == set(PARSED)
