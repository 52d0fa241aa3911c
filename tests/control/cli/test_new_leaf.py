"""A leaf that is added to a YANG file is there at every face, with no other change."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .test_cli import Result, ok, refused, wait_for

TREE = Path(__file__).parents[3] / "build/tree/raicho"
YANG = "dataplane/schema/raicho-dataplane.yang"
BEFORE = """      leaf fail-mode {"""
NEW = """\
      leaf colour {
        type enumeration {
          enum red { description "As the sky at dawn."; }
          enum green { description "As grass."; }
        }
        default "green";
        description "What the bridge is painted with.";
      }
"""
BR0 = "/raicho/bridge[name='br0']"


def linked(source: str, target: str) -> None:
    os.symlink(os.path.realpath(source), target)


@pytest.fixture
def raicho(processes: Any, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """Run a datastore and the command from a tree in which one YANG file has one more leaf."""
    tree = tmp_path / "tree" / "raicho"
    for plane in ("control", "dataplane"):
        shutil.copytree(TREE / plane, tree / plane, copy_function=linked)
    yang = tree / YANG
    text = yang.read_text("utf-8")
    assert text.count(BEFORE) == 1
    yang.unlink()
    yang.write_text(text.replace(BEFORE, NEW + BEFORE))
    path = str(tree.parent)
    data = tmp_path / "config.db"
    processes.start("raicho.control.datastore", "--data", data, path=path)
    wait_for(processes, "datastore")

    def run(*words: str, **environment: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "raicho.control.cli", *words],
            env=processes.environment(
                path=path, RAICHO_RUN_DIR=str(processes.run_dir), **environment
            ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield run


def offered(run: Callable[..., Result], *words: str) -> list[str]:
    """Return what a shell would offer after *words*, the last of which is not complete."""
    line = " ".join(["raicho", *(f'"{word}"' for word in words)])
    asked = {"_RAICHO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    return [each.partition(",")[2] for each in ok(run(**asked)).splitlines() if each]


def test_a_new_leaf_is_validated_completed_shown_and_saved(
    raicho: Callable[..., Result], tmp_path: Path
) -> None:
    """D5: nobody has written a line of code for it."""
    ok(raicho("bridge", "add", "br0"))
    told = refused(raicho("config", "set", f"{BR0}/colour", "blue"))
    assert "'blue' is none of red, green" in told
    shown = json.loads(ok(raicho("config", "get", BR0, "--defaults", "--json")))
    assert shown["colour"] == "green"
    ok(raicho("config", "set", f"{BR0}/colour", "red"))
    assert ok(raicho("config", "get", f"{BR0}/colour")) == "red\n"
    file = tmp_path / "a.json"
    ok(raicho("config", "save", str(file)))
    assert '"colour": "red"' in file.read_text()

    assert offered(raicho, "config", "set", f"{BR0}/co") == [f"{BR0}/colour", f"{BR0}/controller"]
    assert offered(raicho, "config", "set", f"{BR0}/colour", "") == ["red", "green"]
    assert offered(raicho, "config", "get", "/raicho/br") == ["/raicho/bridge", BR0]


def test_where_nothing_answers_nothing_is_offered(processes: Any) -> None:
    def run(**asked: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "raicho.control.cli"],
            env=processes.environment(RAICHO_RUN_DIR=str(processes.run_dir), **asked),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert offered(run, "config", "get", "/rai") == []
