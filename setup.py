"""Build the native half; everything declarative is in pyproject.toml."""

import fcntl
import os
import platform
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_clib import build_clib

PLANES = ("control", "dataplane")  # folders that become raicho.<folder>
TREE = Path("build/tree")
COMPILED = bool(os.environ.get("RAICHO_COMPILED"))  # in place already: only say where it is
TRACE = bool(os.environ.get("RAICHO_TRACE"))  # line coverage of .pyx
JOBS = int(os.environ.get("RAICHO_JOBS", os.cpu_count() or 1))
OPTIONAL = {  # .pyx: C files of its own, what pkg-config calls what it needs, who decides
    "dataplane/dpdk.pyx": ("cext/dpdk", "libdpdk", os.environ.get("RAICHO_WITH_DPDK", "auto")),
}
# What Cython writes is not ours.
GENERATED = ["-Wno-sign-compare", "-Wno-discarded-qualifiers", "-Wno-unused-function"]
TRACE_MACROS = [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]
BASELINE = {"x86_64": ["-march=x86-64-v2"]}  # other machines: the compiler's own
CFLAGS = [
    "-std=gnu11", "-O3", "-g", *BASELINE.get(platform.machine(), []),
    "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra",
    *os.environ.get("RAICHO_CFLAGS", "").split(),
]  # fmt: skip


class AtOnce(build_clib):
    """Compiles as many files of a library at once as there are cores."""

    def build_libraries(self, libraries: list[Any]) -> None:
        compiled = self.compiler.compile

        def compiled_at_once(sources: list[str], **how: Any) -> None:
            with ThreadPoolExecutor(JOBS) as pool:
                list(pool.map(lambda source: compiled([source], **how), sources))

        self.compiler.compile = compiled_at_once
        super().build_libraries(libraries)


def package_tree() -> str:
    """Show Cython, mypy and pytest a folder shaped like the package."""
    (TREE / "raicho").mkdir(parents=True, exist_ok=True)
    for name in ("cext", *PLANES):
        link = TREE / "raicho" / name
        if not link.is_symlink():
            link.symlink_to(Path("../../..", name), target_is_directory=True)
    return str(TREE)


def files(*patterns: str) -> list[str]:
    return sorted(str(path) for pattern in patterns for path in Path().glob(pattern))


def extension(pyx: str) -> Extension:
    """Wrap one .pyx; its module name is its path."""
    return Extension(
        ".".join(("raicho", *Path(pyx).with_suffix("").parts)),
        [pyx],
        include_dirs=["cext"],
        depends=files("cext/**/*.[ch]"),
        extra_compile_args=["-std=gnu11", "-g1", "-pthread", *GENERATED],
        extra_link_args=["-pthread"],
        define_macros=TRACE_MACROS if TRACE else [],
    )


def pkg_config(package: str) -> tuple[list[str], list[str]] | None:
    """Return what compiling and linking with a package of the host needs; None: it is not there."""
    flags = []
    for what in ("--cflags", "--libs"):
        try:
            done = subprocess.run(["pkg-config", what, package], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        if done.returncode:
            return None
        flags.append(shlex.split(done.stdout))
    return flags[0], flags[1]


def optional(pyx: str) -> list[Extension]:
    """Wrap a .pyx that needs what not every host has; nothing if it is not there or not wanted."""
    folder, package, wanted = OPTIONAL[pyx]
    if wanted not in ("auto", "0", "1"):
        raise SystemExit(f"bad choice {wanted!r} for {pyx}: it is auto, 0 or 1")
    found = pkg_config(package) if wanted != "0" else None
    if found is None:
        if wanted == "1":
            raise SystemExit(f"{pyx} is wanted, but pkg-config knows no {package}")
        return []
    made = extension(pyx)
    made.sources += files(f"{folder}/*.c")
    made.extra_compile_args += ["-O3", "-fvisibility=hidden", *found[0]]
    made.extra_link_args += found[1]
    made.optional = wanted == "auto"
    return [made]


def build() -> None:
    """Compile the core once as a static library and link every wrapper with it."""
    apart = {folder for folder, _, _ in OPTIONAL.values()}
    core = {
        "sources": [c for c in files("cext/**/*.c") if str(Path(c).parent) not in apart],
        "obj_deps": {"": files("cext/**/*.h")},
        "include_dirs": ["cext"],
        "cflags": CFLAGS,
    }
    pyx = [path for plane in PLANES for path in files(f"{plane}/**/*.pyx") if not COMPILED]
    wrappers = [
        e for path in pyx for e in (optional(path) if path in OPTIONAL else [extension(path)])
    ]
    setup(
        packages=[f"raicho.{p}" for p in find_packages(include=[f"{p}*" for p in PLANES])],
        package_dir={f"raicho.{p}": p for p in PLANES},
        libraries=[("raichocore", core)] if not COMPILED else [],
        ext_modules=cythonize(
            wrappers,
            include_path=[package_tree()],
            build_dir=None if TRACE else "build/cython",
            nthreads=JOBS if len(wrappers) > 1 else 0,
            annotate=bool(os.environ.get("RAICHO_ANNOTATE")),
            compiler_directives={"language_level": 3, "auto_pickle": False, "linetrace": TRACE},
        ),
        cmdclass={"build_clib": AtOnce},
        options={"build_ext": {"parallel": JOBS}},
    )


if __name__ == "__main__":
    package_tree()
    with open("build/lock", "w") as lock:  # two builds at once would tread on each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        build()
