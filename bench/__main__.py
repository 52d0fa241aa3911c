"""python -m bench lists the benchmarks; python -m bench NAME [--json] runs one."""

import argparse
import signal
import sys
from types import FrameType

from . import harness
from .registry import BENCHMARKS, load


def list_all() -> None:
    for name, benchmark in BENCHMARKS.items():
        print(f"{name:12} {benchmark.what}")


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Leave as after an error: what was started ends, what was taken is given back."""
    raise SystemExit(128 + number)


def main(argv: list[str]) -> None:
    if not argv:
        return list_all()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    chosen = argv[0] if argv[0] in BENCHMARKS else None
    for name, benchmark in BENCHMARKS.items():
        command = commands.add_parser(name, help=benchmark.what, description=benchmark.what)
        command.add_argument("--json", action="store_true", help="one JSON object, nothing else")
        command.add_argument("--runs", type=int, default=5, help="how many count (default 5)")
        command.add_argument("--seed", type=int, default=1, help="of everything random")
        if name == chosen:
            load(name).add_arguments(command)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupted)
    rows = load(options.name).rows(options)
    if options.json:
        print(harness.as_json(rows))
        return None
    for line in harness.as_text(rows):
        print(line, flush=True)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
