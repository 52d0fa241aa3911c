"""The datastore where it can touch nothing but its own data."""

import json
import sys

from .conftest import short_folder
from .lab import Lab, wait_until
from .needs import needs
from .switch import Switch, environment

READ_ONLY = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 1
if touch "$2" 2>/dev/null; then exit 1; fi
shift 2; exec "$@"
"""


pytestmark = needs("unshare")


def test_the_datastore_runs_where_it_can_write_nothing_but_its_own_data() -> None:
    """D1: files are loaded and saved by the command, outside; the datastore sees requests."""
    with short_folder() as folder, short_folder() as outside, Lab() as lab:
        switch = Switch(lab, lab.namespace("sw"), folder)
        switch.run_dir.mkdir()
        place = ("--run-dir", str(switch.run_dir), "--data", str(folder / "run/config.db"))
        datastore = (sys.executable, "-P", "-m", "raicho.control.datastore", *place)
        sandbox = ("unshare", "-m", "sh", "-c", READ_ONLY, "sh")
        own = (str(switch.run_dir), str(outside / "witness"))
        lab.start([*sandbox, *own, *datastore], switch.log, env=environment())
        wait_until(lambda: switch.information("datastore"), f"it: {switch.log.read_text()}")
        first, second = outside / "first.json", outside / "second.json"
        first.write_text(json.dumps({"raicho": {"bridge": [{"name": "br0"}]}}))
        switch.cli("config", "load", str(first))
        switch.cli("config", "save", str(second))
        assert json.loads(second.read_text()) == json.loads(first.read_text())
        assert not (outside / "witness").exists()
