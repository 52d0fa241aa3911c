"""Who may import whom: row G2, read from the sources themselves."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = {"message", "component"}  # of control/: what every component may use
CROSSING = Path("dataplane/service.py")  # the one file of the dataplane that meets control/
SUFFIXES = (".py", ".pyx", ".pxd")
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+\S+[ \t]+)?c?import\b"  # or cimport, to the end of the line
    r"(?:[^(\n]*\([^)]*\)|[^\n]*)",  # or of what stands in brackets
    re.MULTILINE,
)


def _modules(plane: str, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    files = sorted(path for path in (ROOT / plane).glob("**/*") if path.suffix in suffixes)
    return [path.relative_to(ROOT) for path in files]


def _parsed(path: Path) -> ast.Module:
    """Return the tree of a file; of one in Cython only what it imports, by either word."""
    text = (ROOT / path).read_text("utf-8")
    if path.suffix == ".py":
        return ast.parse(text)
    lines = (line.strip().replace("cimport", "import") for line in IMPORT.findall(text))
    return ast.parse("\n".join(lines))


def _imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield every module of raicho that 'path' names, as a tuple without "raicho"."""
    package = path.parent.parts
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
            yield from (name[1:] for name in names if name[0] == "raicho")
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node, package)


def _from(node: ast.ImportFrom, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    module = tuple(node.module.split(".")) if node.module else ()
    if node.level:
        base = package[: len(package) - node.level + 1]
    elif module[:1] == ("raicho",):
        base, module = (), module[1:]
    else:
        return
    # `from . import x` may name modules: each is one import.
    yield from (base + module + ((alias.name,) if not module else ()) for alias in node.names)


def _component(module: tuple[str, ...]) -> str | None:
    """Name the component that a module belongs to; None for what all share."""
    if module[:1] == ("dataplane",):
        return "dataplane"
    if module[:1] != ("control",) or len(module) < 2 or module[1] in SHARED:
        return None
    place = ROOT / "control" / module[1]  # a name like __version__ is not a component
    return module[1] if place.is_dir() or place.with_suffix(".py").exists() else None


@pytest.mark.parametrize("path", _modules("control"), ids=str)
def test_a_component_imports_no_other_component(path: Path) -> None:
    """G2: only the shared message types and the component frame cross between components."""
    own = _component(path.with_suffix("").parts)
    foreign = {
        ".".join(module)
        for module in _imported(path)
        if (other := _component(module)) is not None and other != own
    }
    assert foreign == set()


@pytest.mark.parametrize("path", _modules("dataplane"), ids=str)
def test_only_the_service_of_the_dataplane_meets_the_control_plane(path: Path) -> None:
    upward = {".".join(module) for module in _imported(path) if module[:1] == ("control",)}
    if path == CROSSING:
        upward = {name for name in upward if name.split(".")[1] not in SHARED}
    assert upward == set()


@pytest.mark.parametrize("plane", ["control", "dataplane"])
def test_inside_a_plane_imports_are_relative(plane: str) -> None:
    absolute = [
        str(path)
        for path in _modules(plane, (".py",))
        for node in ast.walk(_parsed(path))
        if isinstance(node, ast.ImportFrom)
        and not node.level
        and (node.module or "").split(".")[0] == "raicho"
    ]
    assert absolute == []


def test_the_core_includes_only_itself_and_the_system() -> None:
    """Nothing in cext/ points up to the planes."""
    upward = [
        f"{path.name}: {line}"
        for path in ROOT.glob("cext/**/*")
        if path.suffix in {".c", ".h"}
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("#include") and ("dataplane/" in line or "control/" in line)
    ]
    assert upward == []
