"""What the command line refuses of a switch on another host."""

import click
import pytest

from raicho.control.cli.main import cli

THERE = ("--datastore", "tcp://192.0.2.1:7000")


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_switch_is_started_and_stopped_on_its_own_host(command: str) -> None:
    """Or `up` would give the other one what this one begins with."""
    with pytest.raises(click.UsageError, match="on the switch's own host"):
        cli([command, *THERE, "--keys", "/nowhere"], standalone_mode=False)


@pytest.mark.parametrize("command", [["status"], ["config", "show"], ["show", "routes"]])
def test_nobody_talks_to_a_network_without_keys(command: list[str]) -> None:
    with pytest.raises(click.UsageError, match="takes --keys"):
        cli([*command, *THERE], standalone_mode=False)
