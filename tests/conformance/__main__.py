"""python -m conformance: run the switch tests and print what passed.

`make conformance` runs all 991 cases. Everything happens in network namespaces of its own, which
are gone at the end, however it comes. Needs root and Debian's openvswitch-switch.
"""

import argparse
import fnmatch
import signal
import sys
import tempfile
import time
from pathlib import Path

from system.lab import Lab
from system.needs import missing

from . import environment, openvswitch
from .results import NOT_RUN, Verdict, category, failures, table, write
from .site import Site
from .targets import TARGETS

LOG_TAIL = 3000  # characters


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.splitlines()[0])
    parser.add_argument(
        "pattern",
        nargs="*",
        default=["*"],
        help="files of cases to run, such as 'match/*' or 'action/1?_*'; all by default",
    )
    parser.add_argument("--target", choices=sorted(TARGETS), default="raicho")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all verdicts")
    parser.add_argument("--settle", type=float, help="seconds after a barrier of the target")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for all of it")
    parser.add_argument("--load-seconds", type=float, help="shorten loads, for a quick look")
    parser.add_argument("--logs", type=Path, help="a new folder in which the logs are to stay")
    parser.add_argument("--list", action="store_true", help="list the files of cases and stop")
    return parser.parse_args()


def chosen(patterns: list[str], files: environment.Files) -> environment.Files:
    """Return the files that the patterns name, those last that take long."""
    wanted = [f"*{pattern.lower()}*" for pattern in patterns]
    names = (name for name in files if any(fnmatch.fnmatch(name.lower(), w) for w in wanted))
    return {name: files[name] for name in sorted(names, key=lambda name: (_slow(name), name))}


def _slow(file: str) -> bool:
    """Tell whether the cases of a file last long."""
    return category(file) in ("Group", "Meter")


class Progress:
    """Prints a line for each file of cases and one for each case that did not pass."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._file = ""

    def show(self, verdict: Verdict) -> None:
        if verdict.reason == NOT_RUN:
            return
        if verdict.file != self._file:
            self._file = verdict.file
            print(f"[{time.monotonic() - self._start:6.1f} s] {verdict.file}", flush=True)
        if not verdict.passed:
            print(f"    {verdict.number}: {verdict.reason}", flush=True)


def judge(options: argparse.Namespace, files: environment.Files, folder: Path) -> list[Verdict]:
    """Run the cases and print the result."""
    start, verdicts, progress = time.time(), [], Progress()
    with Lab() as lab:
        site = Site(lab, folder, TARGETS[options.target])
        settle = site.target.settle if options.settle is None else options.settle
        for verdict in site.run(files, settle, options.load_seconds, options.timeout):
            progress.show(verdict)
            verdicts.append(verdict)
    facts = {
        "target": site.target.version(),
        "tester": openvswitch.version(),
        "date": time.strftime("%Y-%m-%d", time.localtime(start)),
        "seconds": round(time.time() - start, 1),
        "settle": settle,
        "load_seconds": options.load_seconds,
    }
    if options.json:
        write(options.json, facts, verdicts)
    if any(verdict.reason == NOT_RUN for verdict in verdicts):
        print(
            f"\nthe log of the tool ends so:\n{site.log.read_text()[-LOG_TAIL:]}", file=sys.stderr
        )
    print(f"\n{failures(verdicts)}\n" if failures(verdicts) else "")
    print(f"{facts['target']}, {facts['date']}, {facts['seconds']:.0f} s")
    print(table(verdicts))
    return verdicts


def main() -> int:
    options = arguments()
    if reason := missing("ip", *openvswitch.PROGRAMS):
        print(f"the switch test {reason} (Debian: openvswitch-switch)", file=sys.stderr)
        return 2
    environment.prepare()
    files = chosen(options.pattern, environment.cases())
    if options.list or not files:
        print("\n".join(f"{count:4} {file}" for file, count in files.items()))
        return 0 if files else 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the lab cleans up
    if options.logs:
        options.logs.mkdir(parents=True)
        verdicts = judge(options, files, options.logs)
    else:
        with tempfile.TemporaryDirectory(prefix="rch") as folder:
            verdicts = judge(options, files, Path(folder))
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
