"""The benchmark of templates compares entries that say the same."""

from argparse import Namespace

from bench.rig import Rig
from bench.templates import SHAPES, bytes_each, measure, plain, sharing, templated
from bench.workload import make


def test_entries_of_templates_carry_what_the_others_do() -> None:
    for shape in SHAPES:
        options = Namespace(seconds=0.02, runs=1, seed=1)
        rate, *sizes = measure(plain(shape, 1), templated(shape, 1), options)
        assert (len(rate.runs), len(rate.peer_runs), rate.peer) == (1, 1, "no template")
        assert sizes[0].value <= 128


def test_the_tables_share_what_they_say_alike() -> None:
    whole = make("8 tables, 10k flows", 1)
    shared = sharing(whole)
    with Rig(shared) as rig:
        assert rig.rate(0.02) > 0
        assert rig.lost() == 0
        assert bytes_each(rig)["itself"] <= 128
    assert shared.n_rules == whole.n_rules
    assert len(shared.rules) != len(whole.rules)
