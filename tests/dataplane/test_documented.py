"""docs/dataplane.md names everything that there is."""

from pathlib import Path

import pytest

from raicho.dataplane import apis
from raicho.dataplane.service import LISTENING
from raicho.dataplane.state import VIEWS
from raicho.dataplane.worker import DROP_REASONS, STAGES

WORKERS = (Path(__file__).parents[2] / "docs/workers.md").read_text()
TEXT = (Path(__file__).parents[2] / "docs/dataplane.md").read_text()


@pytest.mark.parametrize(("name", "text"), DROP_REASONS.items(), ids=DROP_REASONS)
def test_every_drop_reason_is_documented(name: str, text: str) -> None:
    assert f"| `{name}` | {text} |" in TEXT


@pytest.mark.parametrize("name", [name for table in (*apis.TABLES, LISTENING) for name in table])
def test_every_bulk_operation_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_of_the_state_is_documented(name: str) -> None:
    assert f"`/{name}`" in TEXT


@pytest.mark.parametrize(("name", "text"), STAGES.items(), ids=STAGES)
def test_every_stage_of_the_profile_is_documented(name: str, text: str) -> None:
    assert f"| `{name}` | {text} |" in WORKERS
