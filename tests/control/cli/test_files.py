"""Configuration files, against a datastore that runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

from raicho.control.cli.main import cli
from raicho.control.datastore.library import library_of, shipped_modules
from raicho.control.message import Register

from ..configurations import configurations
from .test_cli import Raicho, call, command, ok, process, raicho, refused, running, wait_for

__all__ = ["raicho", "running"]  # fixtures

ROOT = library_of(shipped_modules(), []).root
P1 = "/raicho/port[name='p1']"


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines))
    return str(path)


def test_what_was_saved_is_loaded(raicho: Raicho, tmp_path: Path) -> None:
    """D2: and what is not in the file is gone, in one transaction."""
    file = str(tmp_path / "a.json")
    ok(raicho("port", "add", "p1", "--kind", "null"))
    ok(raicho("bridge", "add", "br0"))
    saved = json.loads(ok(raicho("config", "save", file, "--json")))
    before = ok(raicho("config", "show", "--json"))
    assert json.loads(Path(file).read_text()) == json.loads(before)
    ok(raicho("bridge", "remove", "br0"))
    ok(raicho("port", "add", "p2", "--kind", "null"))
    dry = ok(raicho("config", "load", file, "--dry-run"))
    assert dry.splitlines()[0].startswith("- /raicho/port[name='p2']")
    assert dry.endswith("could be committed: 3 changes\n")
    loaded = json.loads(ok(raicho("config", "load", file, "--json")))
    assert loaded["revision"] == saved["revision"] + 3
    assert len(loaded["changes"]) == 3, "p1 is as it was"
    assert ok(raicho("config", "show", "--json")) == before
    (newest, *_) = json.loads(ok(raicho("config", "history", "--json")))
    assert newest["comment"] == f"load {file}"


def test_what_was_saved_for_other_tools_is_loaded(raicho: Raicho, tmp_path: Path) -> None:
    """D6: names have their modules, by RFC 7951."""
    file = tmp_path / "ietf.json"
    ok(raicho("bridge", "add", "br0"))
    ok(raicho("config", "save", str(file), "--ietf"))
    saved = json.loads(file.read_text())
    assert saved == {"raicho:raicho": {"raicho-dataplane:bridge": [{"name": "br0"}]}}
    assert json.loads(ok(raicho("config", "load", str(file), "--json")))["changes"] == []


def test_an_order_is_edited_saved_and_loaded(raicho: Raicho, running: Any, tmp_path: Path) -> None:
    """D2, D4: of a list that its user orders, as the words of the command say."""
    yang = """module steps { yang-version 1.1; namespace "urn:steps"; prefix s; revision 2026-01-01;
        list step { key n; ordered-by user; leaf n { type string; } leaf by { type string; } } }"""
    call(running, "datastore", Register("steps", "1", modules=[yang]))
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    given = {"step": [{"n": "c", "by": "me"}, {"n": "a"}, {"n": "b"}]}
    first.write_text(json.dumps(given))
    try:
        ok(raicho("config", "load", str(first)))
        ok(raicho("config", "move", "/step[n='b']", "before", "/step[n='c']", "--session", "s"))
        assert ok(raicho("config", "diff", "--session", "s")) == "~ /step c, a, b -> b, c, a\n"
        ok(raicho("config", "commit", "--session", "s"))
        ok(raicho("config", "save", str(second)))
        assert json.loads(second.read_text())["step"] == [{"n": "b"}, *given["step"][:2]]
        ok(raicho("config", "load", str(first)))
        assert ok(raicho("config", "load", str(second), "--dry-run")).startswith("~ /step c, a, b")
        ok(raicho("config", "move", "/step[n='c']", "last"))
        shown = json.loads(ok(raicho("config", "get", "/step", "--json")))
        assert [step["n"] for step in shown] == list("abc")
        told = refused(raicho("config", "move", "/step[n='c']", "after"))
        assert "to move it after, name another one of its list" in told
    finally:
        raicho("config", "delete", "/step")


def test_a_file_is_merged_or_goes_into_a_session(raicho: Raicho, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", '{"raicho": {"bridge": [{"name": "br0"}]}}')
    ok(raicho("port", "add", "p1", "--kind", "null"))
    ok(raicho("config", "load", file, "--merge"))
    assert "name: p1" in ok(raicho("config", "show"))
    told = ok(raicho("config", "load", file, "--session", "candidate"))
    assert told.splitlines()[-1].startswith("- /raicho/port[name='p1']")
    ok(raicho("config", "save", str(tmp_path / "b.json"), "--session", "candidate"))
    ok(raicho("config", "discard"))
    assert json.loads((tmp_path / "b.json").read_text()) == json.loads(Path(file).read_text())


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["{", '"raicho": 1,,'], "a.json:2: Expecting property name"),
        (
            ['{"raicho": {"port": [{"name": "p1",', '"kind": "null",', '"mtu": 5}]}}'],
            f"a.json:3: {P1}/mtu: 5 is out of range; 68..65535 is right (range)",
        ),
        (
            ['{"raicho": {"port": [{"name": "p1"},', '{"name": "p2", "kind": "tap"}]}}'],
            f"a.json:1: {P1}/kind: kind must be set (mandatory)",
        ),
        (
            ['{"raicho": {"port": [{"name": "p1", "kind": "null"},', '{"name": "p2", "kind": "x"}'],
            "a.json:2: Expecting ',' delimiter",
        ),
        (['{"raicho":', '{"prot": []}}'], "a.json:2: /raicho/prot: no prot below /raicho; did"),
        (
            ['{"raicho": {"port": [', '{"name": "p1", "kind": "tap"}]}}'],
            "needs a device (must)",
        ),
    ],
)
def test_what_is_wrong_with_a_file_has_file_line_path_and_rule(
    raicho: Raicho, tmp_path: Path, lines: list[str], told: str
) -> None:
    """D2, D4: and nothing has changed."""
    ok(raicho("bridge", "add", "br0"))
    before = ok(raicho("config", "show"))
    file = write(tmp_path / "a.json", *lines)
    assert told in refused(raicho("config", "load", file))
    assert ok(raicho("config", "show")) == before


def test_all_that_is_wrong_is_told_at_once_also_to_programs(raicho: Raicho, tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.json",
        '{"raicho": {"port": [{"name": "p1", "kind": "pen"},',
        '{"name": "p2", "mtu": "small"}]}}',
    )
    result = raicho("config", "load", file, "--json")
    faults = json.loads(result.stderr)["error"]["faults"]
    assert [(fault["line"], fault["rule"]) for fault in faults] == [(1, "enumeration"), (2, "type")]
    assert refused(raicho("config", "load", file)).count(f"{file}:") == 2
    assert "json: no such file" in refused(raicho("config", "load", str(tmp_path / "none.json")))
    (tmp_path / "b.json").write_bytes(b'{\n"\xff": 1}')
    assert "b.json:2: invalid start byte" in refused(
        raicho("config", "load", str(tmp_path / "b.json"))
    )


def test_a_configuration_goes_through_a_pipe(running: Any, raicho: Raicho) -> None:
    ok(raicho("bridge", "add", "br0"))
    config = ["--run-dir", str(running.run_dir), "config"]
    saved = CliRunner().invoke(cli, [*config, "save", "-"], catch_exceptions=False).output
    ok(raicho("bridge", "remove", "br0"))
    CliRunner().invoke(cli, [*config, "load", "-"], input=saved, catch_exceptions=False)
    assert "br0" in saved
    assert "name: br0" in ok(raicho("config", "show"))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configurations(ROOT))
def test_every_configuration_is_loaded_and_saved_as_it_was(
    running: Any, tmp_path: Path, config: Any
) -> None:
    """D2: load(save(x)) == x, through the datastore, for whatever the schema allows."""
    run_dir = ["--run-dir", str(running.run_dir)]
    first, second = tmp_path / "x.json", tmp_path / "y.json"
    first.write_text(json.dumps(config))
    for words in (["load", str(first)], ["save", str(second)]):
        result = CliRunner().invoke(cli, [*run_dir, "config", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert json.loads(second.read_text()) == config
    first.write_text("{}")
    CliRunner().invoke(cli, [*run_dir, "config", "load", str(first)], catch_exceptions=False)


def test_a_switch_that_was_never_configured_begins_with_the_startup_file(
    processes: Any, tmp_path: Path
) -> None:
    """D2: startup, running and candidate; it is read once, then what was committed counts."""
    run_dir = processes.run_dir
    startup = tmp_path / "startup.json"
    up = ("up", "--detach", "--startup", startup, "--data", tmp_path / "config.db")
    write(startup, '{"raicho": {"port": [{"name": "p1",', '"kind": "lamp"}]}}')
    told = refused(process(processes, *up))
    assert f"{startup}:2: {P1}/kind: 'lamp' is none of" in told
    assert "nothing runs" in ok(command(processes, "status")), "and nothing was started"

    write(startup, '{"raicho": {"port": [{"name": "p1",', '"kind": "null"}]}}')
    result = process(processes, *up)
    assert (result.returncode, result.stderr) == (0, f"began with {startup}\n")
    try:
        assert "null" in ok(command(processes, "show", "ports"))
        ok(command(processes, "port", "add", "p2", "--kind", "null"))
        ok(command(processes, "down"))
        ok(process(processes, *up))
        wait_for(processes, "datastore")
        assert "name: p2" in ok(command(processes, "config", "show"))
    finally:
        command(processes, "down")
    assert run_dir.exists()
