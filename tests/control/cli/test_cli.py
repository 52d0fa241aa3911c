"""The command line against a bus and a datastore that run."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import zmq

from raicho.control.cli.main import cli, main
from raicho.control.component import holder
from raicho.control.message import ControlClient, Get, PutSample, Request

Result = subprocess.CompletedProcess[str]
Raicho = Callable[..., Result]

BRIDGE = "/raicho/bridge[name='br0']"


def command(processes: Any, *words: str | Path) -> Result:
    """Run `raicho` with *words*, in this process: another one takes as long as all else."""
    argv, out, err = [str(word) for word in words], StringIO(), StringIO()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["raicho", *argv])
        patch.setenv("RAICHO_RUN_DIR", str(processes.run_dir))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        end = stack.enter_context(pytest.raises(SystemExit))
        main()
    code = end.value.code
    return Result(argv, code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def process(processes: Any, *words: str | Path) -> Result:
    """Run `raicho` with *words*, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "raicho.control.cli", *words],
        env=processes.environment(RAICHO_RUN_DIR=str(processes.run_dir)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_for(processes: Any, component: str) -> None:
    """Wait until a component answers."""
    deadline = time.monotonic() + 20
    while command(processes, "ping", component).returncode and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running(lasting_processes: Any) -> Any:
    """Start a bus and a datastore."""
    lasting_processes.start("raicho.control.bus")
    data = lasting_processes.run_dir / "config.db"
    lasting_processes.start("raicho.control.datastore", "--data", data)
    for component in ("bus", "datastore"):
        wait_for(lasting_processes, component)
    return lasting_processes


@pytest.fixture
def raicho(running: Any) -> Iterator[Raicho]:
    """Give a way to run commands; the configuration is empty again after the test."""
    yield lambda *words: command(running, *words)
    tree = json.loads(command(running, "config", "get", "/raicho", "--json").stdout) or {}
    for what in ("bridge", "port"):
        for entry in tree.get(what, []):
            ok(command(running, what, "remove", entry["name"]))


def ok(result: Result) -> str:
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def refused(result: Result) -> str:
    """Return the message of a command that failed as it should."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr.removeprefix("error: ").strip()


def call(processes: Any, component: str, request: Request[Any]) -> Any:
    """Ask a component what no command asks."""

    async def once() -> Any:
        context = zmq.Context()
        client = ControlClient(context, f"ipc://{processes.run_dir}/{component}.control")
        try:
            return await client.call(request)
        finally:
            client.close()
            context.term()

    return asyncio.run(once())


def bus_level(processes: Any) -> Any:
    """Ask the bus how much it logs."""
    return call(processes, "bus", Get("/log/level")).data


def commands(command: click.Command, name: str = "raicho") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for word, child in command.commands.items():
            yield from commands(child, f"{name} {word}")


@pytest.mark.parametrize(("name", "each"), list(commands(cli)), ids=lambda item: str(item))
def test_every_command_says_what_it_does(name: str, each: click.Command) -> None:
    assert each.help
    options = [option for option in each.params if isinstance(option, click.Option)]
    assert [f"{name} {option.name}" for option in options if not option.help] == []


def test_help_loads_nothing_that_is_slow() -> None:
    code = (
        "import sys, raicho.control.cli.main; "
        "print([name for name in ('zmq', 'rich', 'msgspec', 'asyncio') if name in sys.modules])"
    )
    tree = str(Path(__file__).parents[3] / "build/tree")
    environment = {**os.environ, "PYTHONPATH": tree}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_where_nothing_runs_it_says_how_to_start(processes: Any) -> None:
    """M21, M22."""
    for words in (["config", "show"], ["show", "flows"], ["ping", "bus"], ["port", "add", "p1"]):
        told = refused(process(processes, *words))
        assert f"runs in {processes.run_dir}; start the switch by `raicho up`" in told
    assert "nothing runs" in ok(process(processes, "status"))
    assert ok(process(processes, "down")) == "nothing runs\n"


def test_what_is_added_is_shown_and_what_is_removed_is_gone(raicho: Raicho) -> None:
    ok(raicho("port", "add", "p1", "--device", "veth1"))
    ok(raicho("bridge", "add", "br0", "--datapath-id", "0xab"))
    ok(raicho("bridge", "add-port", "br0", "p1", "7"))
    ok(raicho("bridge", "add-controller", "br0", "127.0.0.1", "--port", "6654"))
    shown = json.loads(ok(raicho("config", "get", BRIDGE, "--json")))
    assert shown["port"] == [{"name": "p1", "number": 7}]
    (controller,) = shown["controller"]
    wanted = {"name": "tcp:127.0.0.1:6654", "address": "127.0.0.1", "port": 6654}
    assert wanted.items() <= controller.items()
    text = ok(raicho("config", "show"))
    assert "  port:\n    - name: p1\n      kind: af_packet\n      device: veth1" in text

    ok(raicho("bridge", "remove-controller", "br0", "tcp:127.0.0.1:6654"))
    ok(raicho("bridge", "remove-port", "br0", "p1"))
    assert json.loads(ok(raicho("config", "get", f"{BRIDGE}/port", "--json"))) in (None, [])
    ok(raicho("bridge", "remove", "br0"))
    ok(raicho("port", "remove", "p1"))
    assert "nothing is configured" in ok(raicho("config", "get", "/raicho/port"))


def test_an_edit_without_a_session_is_committed_at_once(raicho: Raicho) -> None:
    first = json.loads(ok(raicho("--json", "bridge", "add", "br0")))
    second = json.loads(ok(raicho("config", "set", f"{BRIDGE}/fail-mode", "standalone", "--json")))
    assert second["revision"] == first["revision"] + 1
    change = {"path": f"{BRIDGE}/fail-mode", "old": None, "new": "standalone"}
    assert second["changes"] == [change]
    assert ok(raicho("config", "get", f"{BRIDGE}/fail-mode")) == "standalone\n"
    assert "nothing to change" in ok(raicho("config", "set", f"{BRIDGE}/fail-mode", "standalone"))


def test_a_session_waits_for_its_commit(raicho: Raicho) -> None:
    """D9."""
    ok(raicho("bridge", "add", "br0"))
    added = ok(raicho("config", "set", f"{BRIDGE}/max-flows", "0x10", "--session", "s"))
    assert added == f"+ {BRIDGE}/max-flows 16\n"
    assert ok(raicho("config", "diff", "--session", "s")) == added
    assert "max-flows" not in ok(raicho("config", "show"))
    assert "max-flows: 16" in ok(raicho("config", "show", "--session", "s"))
    dry = ok(raicho("config", "commit", "--session", "s", "--dry-run"))
    assert dry == "could be committed: 1 change\n"
    assert "max-flows" not in ok(raicho("config", "show"))
    ok(raicho("config", "commit", "--session", "s"))
    assert ok(raicho("config", "get", f"{BRIDGE}/max-flows")) == "16\n"
    ok(raicho("config", "delete", BRIDGE, "--session", "t"))
    ok(raicho("config", "discard", "--session", "t"))
    assert ok(raicho("config", "get", f"{BRIDGE}/max-flows")) == "16\n"


@pytest.mark.parametrize(
    ("words", "where", "what"),
    [
        (["bridge", "add", "br0", "--fail-mode", "open"], "fail-mode", "secure, standalone"),
        (["port", "add", "p1", "--kind", "carrier"], "kind", "af_packet, af_xdp, tap"),
        (["port", "add", "p1"], "/raicho/port[name='p1']", "needs a device"),
        (["config", "set", "/raicho/bridg", "x"], "/raicho/bridg", "bridg"),
        (["bridge", "add-port", "none", "p1", "1"], "name='none'", "`raicho bridge add none`"),
        (["config", "set", "/raicho/port[name='p1']", "{bad"], "{bad", "bad JSON"),
    ],
)
def test_a_refusal_names_where_and_what_would_be_right(
    raicho: Raicho, words: list[str], where: str, what: str
) -> None:
    """F15, M22: and nothing has changed."""
    before = ok(raicho("config", "show"))
    told = refused(raicho(*words))
    assert where in told
    assert what in told
    assert ok(raicho("config", "show")) == before


def test_an_error_for_a_program_is_json(raicho: Raicho) -> None:
    """M22."""
    result = raicho("bridge", "add", "br0", "--fail-mode", "open", "--json")
    assert result.returncode == 1
    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["path"]) == ("INVALID", f"{BRIDGE}/fail-mode")


def test_a_dry_run_changes_nothing(raicho: Raicho) -> None:
    """T5, M4."""
    assert "could be committed" in ok(raicho("bridge", "add", "br0", "--dry-run"))
    assert "nothing is configured" in ok(raicho("config", "get", "/raicho/bridge"))


def test_ports_and_bridges_are_shown_also_without_the_agent(raicho: Raicho) -> None:
    ok(raicho("port", "add", "p1", "--device", "veth1"))
    ok(raicho("bridge", "add", "br0"))
    ok(raicho("bridge", "add-port", "br0", "p1", "7"))
    ports = raicho("show", "ports")
    assert ports.stdout.split("\n")[1].split()[:6] == [
        "p1",
        "af_packet",
        "veth1",
        "yes",
        "br0",
        "7",
    ]
    assert "warning: without port-stats: no openflow runs" in ports.stderr
    (bridge,) = json.loads(raicho("show", "bridges", "--json").stdout)
    assert (bridge["name"], bridge["ports"]) == ("br0", ["7:p1"])


def test_api_lists_what_can_be_asked_of_whoever_is_there(raicho: Raicho) -> None:
    """G10: the requests of components, and the lists that a commit changes."""
    rows = json.loads(ok(raicho("api", "--json")))
    told = {(row["component"], row["api"], row["operation"]): row for row in rows}
    for component in ("bus", "datastore"):
        assert told[component, "control", "Ping"]["text"] == "Ask whether the component is alive."
    commit = told["datastore", "control/datastore", "CommitSession"]
    assert (commit["by"], commit["text"][-1]) == ("control", ".")
    path = "/raicho/bridge/static-mac"
    assert told["datastore", f"config{path}", path]["verbs"] == ["add", "del", "get", "bulk"]
    some = json.loads(ok(raicho("api", "config/raicho/bridge", "--json")))
    assert some == [row for row in rows if row["api"].startswith("config/raicho/bridge")]
    assert "no such API" in ok(raicho("api", "nothing"))


def test_components_topics_and_counters_are_shown(raicho: Raicho) -> None:
    """K13, C11, T8."""
    listed = json.loads(ok(raicho("show", "components", "--json")))
    assert "bus" in [row["component"] for row in listed]
    ok(raicho("bridge", "add", "br0"))
    ok(raicho("show", "topics"))
    assert "messages:" in ok(raicho("show", "stats", "bus", "bus"))
    rows = json.loads(ok(raicho("status", "--json")))
    assert {row["component"]: row["state"] for row in rows} == {
        "bus": "ready",
        "datastore": "ready",
    }
    assert ok(raicho("ping", "datastore")).startswith("datastore answered in ")


def test_the_log_level_of_a_component_follows_the_configuration(
    raicho: Raicho, running: Any
) -> None:
    """F11, C4: through the datastore and both phases, at once."""
    level = "/raicho/log/component[name='bus']/level"
    for wanted in ("debug", "warning"):
        ok(raicho("config", "set", level, wanted))
        assert bus_level(running) == wanted
    ok(raicho("config", "delete", "/raicho/log/component[name='bus']"))
    assert bus_level(running) == "info"


def test_without_a_supervisor_down_stops_what_runs(processes: Any) -> None:
    processes.start("raicho.control.bus")
    wait_for(processes, "bus")
    assert ok(command(processes, "down")) == "stopped bus\n"
    assert holder(processes.run_dir, "bus") is None


def test_a_commit_waits_for_its_confirmation(raicho: Raicho) -> None:
    """D2."""
    ok(raicho("bridge", "add", "br0", "--session", "candidate"))
    told = ok(raicho("commit", "--confirm", "60", "--comment", "a try"))
    assert "unless `raicho confirm` comes" in told
    assert "waits to be confirmed" in refused(raicho("bridge", "add", "br1"))
    assert ok(raicho("confirm")).startswith("confirmed, as revision ")
    confirmed, tried = json.loads(ok(raicho("config", "history", "--json")))[:2]
    assert (tried["comment"], tried["changes"][0]["path"]) == ("a try", BRIDGE)
    assert confirmed["comment"] == f"revision {tried['revision']} is confirmed"
    assert tried["who"] == confirmed["who"] != ""

    ok(raicho("bridge", "remove", "br0", "--session", "candidate"))
    ok(raicho("config", "commit", "--confirm", "60"))
    assert f"+ {BRIDGE}" in ok(raicho("config", "rollback"))
    assert "no commit waits" in refused(raicho("config", "rollback"))


def test_a_rollback_is_shown_tried_and_done(raicho: Raicho) -> None:
    """D2: to any revision, by a new transaction."""
    revision = json.loads(ok(raicho("--json", "bridge", "add", "br0")))["revision"]
    ok(raicho("config", "set", f"{BRIDGE}/max-flows", "5"))
    ok(raicho("bridge", "remove", "br0"))
    before = ok(raicho("config", "show"))
    dry = ok(raicho("config", "rollback", str(revision + 1), "--dry-run"))
    assert dry.splitlines()[:2] == [f"+ {BRIDGE} {{'name': 'br0'}}", f"+ {BRIDGE}/max-flows 5"]
    assert ok(raicho("config", "show")) == before
    ok(raicho("config", "rollback", str(revision)))
    assert json.loads(ok(raicho("config", "get", BRIDGE, "--json"))) == {"name": "br0"}
    told = ok(raicho("config", "history", "--changes", "--limit", "1"))
    assert f"rollback to revision {revision}\n  + {BRIDGE}" in told
    assert "no revision 9999" in refused(raicho("config", "rollback", "9999"))


def test_statistics_are_shown_by_pages_and_by_what_has_changed(
    running: Any, raicho: Raicho
) -> None:
    """K21."""

    def put(**bytes_: int) -> None:
        rows = {
            name: msgspec.Raw(msgspec.msgpack.encode({"name": name, "rx_bytes": n}))
            for name, n in bytes_.items()
        }
        call(running, "datastore", PutSample("dataplane", "one", 0.0, {"port": rows}))

    def shown(*options: str) -> Any:
        return json.loads(ok(raicho("show", "statistics", "port", *options, "--json")))

    put(p1=1, p2=1, p3=1)
    first = shown("--limit", "2")
    rest = shown("--limit", "2", "--page", first["page"])
    assert [*first["sets"]["port"], *rest["sets"]["port"]] == ["p1", "p2", "p3"]
    assert rest["page"] == ""
    put(p1=1, p2=2)
    changed = shown("--since", rest["mark"])
    assert changed["sets"]["port"] == {"p2": {"name": "p2", "rx_bytes": 2}}
    assert (changed["whole"], changed["gone"]) == (False, {"port": ["p3"]})
    text = ok(raicho("show", "statistics", "--since", rest["mark"], "--limit", "1"))
    assert f"mark {changed['mark']}" in text and "no more in port: p3" in text
    assert "more: --page" in ok(raicho("show", "statistics", "--limit", "1"))
    assert "no page 'x'" in refused(raicho("show", "statistics", "--page", "x"))
