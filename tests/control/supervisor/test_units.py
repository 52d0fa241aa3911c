"""The units for systemd say what the supervisor would do."""

import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from system.needs import find

from raicho.control.supervisor.services import SERVICES
from raicho.control.supervisor.units import _quoted, main


def read(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(path.read_text())
    return parser


def test_there_is_a_unit_for_each_service_in_the_order_of_need(tmp_path: Path) -> None:
    """G6."""
    main([str(tmp_path), "--data", "/x.db", "--keys", "/etc/raicho keys"])
    names = [f"raicho-{service.identity}.service" for service in SERVICES]
    assert {file.name for file in tmp_path.iterdir()} == {*names, "raicho.target"}
    assert read(tmp_path / "raicho.target")["Unit"]["Wants"].split() == names
    for i, (name, service) in enumerate(zip(names, SERVICES, strict=True)):
        unit = read(tmp_path / name)
        assert unit["Unit"]["After"].split() == ["network.target", *names[:i]]
        assert unit["Service"]["Type"] == "notify"
        assert unit["Service"]["WatchdogSec"] == "30"
        assert f"-m {service.module} " in unit["Service"]["ExecStart"]
        assert '--keys "/etc/raicho keys"' in unit["Service"]["ExecStart"]
    assert "--data /x.db" in read(tmp_path / "raicho-datastore.service")["Service"]["ExecStart"]


@pytest.mark.skipif(find("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_finds_no_fault_with_them(tmp_path: Path) -> None:
    main([str(tmp_path)])
    files = [str(file) for file in tmp_path.iterdir()]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
    )
    own = [line for line in done.stderr.splitlines() if "raicho" in line]
    assert (done.returncode, own) == (0, [])


def test_words_are_quoted_as_systemd_reads_them() -> None:
    assert _quoted("a b") == '"a b"'
    assert _quoted("100%$x\\") == "100%%$$x\\\\"
