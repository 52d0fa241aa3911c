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


def test_units_keep_components_apart(tmp_path: Path) -> None:
    """C14: each is its user, may have so much memory, and can do no more than it needs."""
    main([str(tmp_path), "--user", "nobody,openflow=daemon", "--memory-max", "1G"])
    users = {}
    for service in SERVICES:
        unit = read(tmp_path / f"raicho-{service.identity}.service")["Service"]
        users[service.identity] = unit.get("User")
        assert unit["Group"] == "nogroup"
        assert unit["UMask"] == "0007"
        assert unit["ExecStartPre"] == "+/usr/bin/install -d -m 2770 -g nogroup /run/raicho"
        assert "RuntimeDirectory" not in unit
        assert unit["MemoryMax"] == ("infinity" if service.needs_root else "1G")
        assert ("StateDirectory" in unit) == (service.identity == "datastore")
        if service.identity == "routing":
            assert unit["AmbientCapabilities"] == "CAP_NET_ADMIN CAP_SYS_ADMIN"
        elif not service.needs_root:
            assert unit["CapabilityBoundingSet"] == ""
    assert users == {
        **dict.fromkeys(users, "nobody"),
        "openflow": "daemon",
        "dataplane": None,
    }


def test_a_user_who_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--user", "no-such-user"])
    assert "there is no user no-such-user" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--user", "daemon", "--memory-max", "1G"]], ids=len)
@pytest.mark.skipif(find("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_finds_no_fault_with_them(tmp_path: Path, options: list[str]) -> None:
    main([str(tmp_path), *options])
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
