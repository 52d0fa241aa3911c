"""Entries of templates beside entries that say the same themselves: packets a second, and bytes.

Both are measured on one core in turns: 10 000 exact rules for as many flows, whose entries have
their output as an argument, the rest, where there is more, from the template; and the eight tables
of `pipeline`, whose entries that say the same share a template without parameters.
"""

import struct
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from . import cores
from . import openflow as of
from .harness import Row, alternate
from .rig import Rig
from .workload import OUT_PORT, Workload, exact_rules, frames_of, make, random_flows

UNIT = "packets/s"
COUNT = 10_000
DEEP = "8 tables, 10k flows"
THE_ID = 1
ROUTED = (of.set_field("eth_src", 0x020000000009), of.dec_ttl())
SENT = of.output(OUT_PORT)
# What the entries do: the actions that are the template's, before the one that is the entry's own.
SHAPES: dict[str, tuple[bytes, ...]] = {"output": (), "rewrite and output": ROUTED}
# Where the multipart reply about a template has numbers, behind its header of 8 bytes.
FLOWS_AT, BYTES_AT = 8 + 48, 8 + 64


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run (default 0.5)")


def rows(options: Namespace) -> Iterator[Row]:
    """Measure entries with and without templates, run by run."""
    with cores.first():
        for shape in SHAPES:
            pair = plain(shape, options.seed), templated(shape, options.seed)
            yield from measure(*pair, options)
        tables = make(DEEP, options.seed)
        yield next(measure(tables, sharing(tables), options))


def measure(plain: Workload, templated: Workload, options: Namespace) -> Iterator[Row]:
    """Yield the rates, then what an entry of the first template takes."""
    core = cores.measured()
    with Rig(plain, core) as without, Rig(templated, core) as with_one:
        own, peer = (partial(rig.rate, options.seconds) for rig in (with_one, without))
        [found] = alternate(own, [peer], options.runs)
        if lost := with_one.lost() + without.lost():
            raise RuntimeError(f"{plain.name}: {lost} packets were dropped")
        sizes = bytes_each(with_one)
    yield Row(plain.name, UNIT, found.own, "no template", found.peer)
    for name, size in sizes.items():
        yield Row(f"{plain.name}: an entry {name}", "bytes", [size], more_is_better=False)


def plain(shape: str, seed: int) -> Workload:
    """Rules that say all of it themselves."""
    return _workload(shape, seed, b"", of.apply(*SHAPES[shape], SENT))


def templated(shape: str, seed: int) -> Workload:
    """Rules that say where to send it."""
    before = SHAPES[shape]
    define = of.template(THE_ID, 1 << len(before), of.apply(*before, of.output(1)))
    return _workload(shape, seed, define, of.use(THE_ID, SENT))


def sharing(workload: Workload) -> Workload:
    """Give rules with the same instructions a template of them."""
    known: dict[bytes, int] = {b"": 0}
    rules: list[bytes] = []
    for message in of.split(workload.rules):
        head, instructions = of.cut(message)
        if instructions not in known:
            known[instructions] = len(known)
            rules.append(of.template(known[instructions], 0, instructions))
        number = known[instructions]
        rules.append(of.sized(head + of.use(number)) if number else message)
    return replace(workload, rules=b"".join(rules))


def _workload(shape: str, seed: int, first: bytes, instruction: bytes) -> Workload:
    rng = np.random.default_rng(seed)
    flows = random_flows(rng, COUNT)
    frames = frames_of(flows)[rng.permutation(COUNT)]
    name = f"10k exact rules, {shape}"
    return Workload(name, first + exact_rules(flows, instruction), COUNT, frames)


def bytes_each(rig: Rig) -> dict[str, float]:
    """Ask what the entries of the template take, each on average."""
    body = struct.pack("!IIII", of.RAICHO, 1, THE_ID, 0)
    reply = b"".join(rig.multipart(0xFFFF, body))
    (count,) = struct.unpack_from("!I", reply, FLOWS_AT)
    sums = struct.unpack_from("!QQQ", reply, BYTES_AT)
    names = ("itself", "in the table", "in counters")
    return {name: size / count for name, size in zip(names, sums, strict=True)}
