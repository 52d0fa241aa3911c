"""What several tests of the OpenFlow agent need."""

import importlib.util
from pathlib import Path

import pytest


def capture_files() -> list[Path]:
    """Find the OpenFlow 1.3 captures that os-ken ships."""
    spec = importlib.util.find_spec("os_ken")
    if spec is None or spec.origin is None:
        return []
    return sorted((Path(spec.origin).parent / "tests/packet_data/of13").glob("*.packet"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes *capture_file* once for each capture."""
    if "capture_file" in metafunc.fixturenames:
        files = capture_files()
        metafunc.parametrize("capture_file", files, ids=[file.stem for file in files])


@pytest.fixture(scope="session")
def captures() -> dict[str, bytes]:
    """Return the captures by name."""
    return {file.stem: file.read_bytes() for file in capture_files()}
