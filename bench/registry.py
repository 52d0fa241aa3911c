"""The table of benchmarks: a name, the module that measures, and what it says."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple, Protocol

from .harness import Row


class Module(Protocol):
    """What a benchmark's module offers."""

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def rows(self, options: Namespace) -> Iterable[Row]: ...


class Benchmark(NamedTuple):
    module: str
    what: str


BENCHMARKS = {
    "pipeline": Benchmark(
        "bench.pipeline",
        "packets per second of one worker: parse, tables, one output, between memory ports",
    ),
    "templates": Benchmark(
        "bench.templates",
        "packets per second of one worker by entries of a template against entries without; memory",
    ),
    "workers": Benchmark(
        "bench.workers",
        "packets per second of several workers against one: what they take from each other",
    ),
    "bus": Benchmark(
        "bench.bus",
        "what the bus carries: events a second, how long one is on its way, idle subscribers",
    ),
    "ports": Benchmark(
        "bench.ports",
        "raicho between two hosts: small frames a second, a stream of TCP, a round trip of UDP",
    ),
    "datastore": Benchmark(
        "bench.datastore",
        "what the datastore takes: to read, to tell of a change, to commit, to check; commits/s",
    ),
    "tables": Benchmark(
        "bench.tables",
        "tables alone: nanoseconds of a lookup, inserts a second, bytes of a rule",
    ),
    "kv": Benchmark(
        "bench.kv",
        "keys and values alone, what sessions and addresses are kept in: lookups, inserts a second",
    ),
    "route": Benchmark(
        "bench.route",
        "tables of routes alone: nanoseconds of a lookup, puts/s, a single change, memory",
    ),
    "nat": Benchmark(
        "bench.nat",
        "packets of many sessions through NAT, from both sides, and new sessions a second",
    ),
    "restart": Benchmark(
        "bench.restart",
        "from `kill -9` of the dataplane to the first packet that is forwarded again; needs root",
    ),
    "resync": Benchmark(
        "bench.resync",
        "a full table told again to a killed routing component: seconds, packets lost; needs root",
    ),
    "control": Benchmark(
        "bench.control",
        "what a controller gets over TCP: flow-mods, dumps, packets a second; memory of flows",
    ),
    "running": Benchmark(
        "bench.running",
        "a switch with 100 000 flows: one more, statistics and what they cost; needs root",
    ),
    "report": Benchmark(
        "bench.report",
        "all of these in one go, written into docs/performance.md with plots",
    ),
}


def load(name: str) -> Module:
    """Import a benchmark only when it is wanted: a list needs no compiled code."""
    module: Module = import_module(BENCHMARKS[name].module)
    return module
