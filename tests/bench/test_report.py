"""The report runs benchmarks and writes what they say, and no other word of the page changes."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import page, plot, registry, report
from bench.harness import Goal, Row

SVG = "{http://www.w3.org/2000/svg}"
MET = Row("fast", "packets/s", [30e6, 40e6], "floor", [20e6, 20e6], Goal(1.5))
MISSED = Row("slow", "us", [50, 60], "ovs", [10, 20], Goal(1), more_is_better=False, note="poll")
ALONE = Row("alone", "ns", [12.345])


def run(*rows: Row) -> page.Run:
    return page.Run("ports", rows, {"cores": 2}, runs=3, seed=7, seconds=4.2)


def test_a_row_of_the_table_has_medians_ratios_and_the_verdict() -> None:
    assert list(page.cells(MET)) == [
        *("fast", "packets/s", "35 M", "floor 20 M", "1.50 / 1.75 / 2.00", "1.5x, met"),
    ]
    assert list(page.cells(MISSED))[-1] == "1x, missed"
    assert list(page.cells(ALONE)) == ["alone", "ns", "12.3", "", "", ""]


def test_a_section_is_replaced_between_its_marks_and_all_else_stays() -> None:
    before = (
        "# Performance\n\nWhat it means.\n\n<!-- figures of ports -->\nold\n"
        "<!-- end of ports -->\n\nWhat was tried.\n<!-- figures of bus -->\nkept\n"
        "<!-- end of bus -->\n"
    )
    after = page.replaced(before, run(MET), None)
    assert "old" not in after
    assert re.sub(r"<!-- figures of ports.*end of ports -->", "", after, flags=re.DOTALL) == re.sub(
        r"<!-- figures of ports.*end of ports -->", "", before, flags=re.DOTALL
    )
    assert page.replaced(after, run(MET), None) == after


def test_a_benchmark_without_marks_gets_a_section_at_the_end() -> None:
    after = page.replaced("# Performance\n\nText.\n", run(MET), Path("figures/ports.svg"))
    assert after.startswith("# Performance\n\nText.\n\n## Ports\n\n<!-- figures of ports -->\n")
    assert "(figures/ports.svg)" in after


def test_a_fault_is_told_under_the_table() -> None:
    cold = Row("r", "x", [1.0], "p", [1.0], Goal(2), fault="not warm")
    assert "* Not as it should be: r: not warm" in list(page.lines(run(cold), None))


@pytest.mark.parametrize(
    ("value", "text"), [(9.8765, "9.88"), (1234, "1,230"), (45_600, "45.6 k"), (7e9, "7 G")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert page.scaled(value) == text


def test_the_plot_is_svg_with_a_line_for_each_row_that_has_a_peer() -> None:
    drawn = ElementTree.fromstring(plot.ratios([MET, MISSED, ALONE]))
    dots = [float(dot.attrib["cx"]) for dot in drawn.iter(f"{SVG}circle")]
    kinds = [line.attrib["class"] for line in drawn.iter(f"{SVG}line")]
    assert (len(dots), kinds.count("bar"), kinds.count("goal")) == (2, 2, 2)
    one = next(
        float(line.attrib["x1"])
        for line in drawn.iter(f"{SVG}line")
        if line.attrib["class"] == "one"
    )
    assert dots[0] > one > dots[1]
    assert "prefers-color-scheme: dark" in "".join(drawn.itertext())


def test_nothing_to_compare_is_nothing_to_draw() -> None:
    assert plot.ratios([ALONE]) == ""


def test_every_benchmark_takes_what_the_report_asks_of_it() -> None:
    assert set(report.CHAPTERS) <= set(report.ALL)
    for name, chapter in report.CHAPTERS.items():
        parser = report.ArgumentParser()
        registry.load(name).add_arguments(parser)
        for arguments in chapter:
            parser.parse_args(arguments)


def test_the_report_runs_benchmarks_and_writes_page_and_plots(
    bench: Callable[..., str], tmp_path: Path
) -> None:
    words = [word for name in ("pipeline", "tables", "workers") for word in ("--only", name)]
    bench("report", "--quick", "--runs", "1", "--folder", str(tmp_path), *words)
    text = (tmp_path / report.PAGE).read_text()
    for name in ("pipeline", "tables", "workers"):
        assert f"<!-- figures of {name} -->" in text
    assert "| 1 rule, 1 flow | packets/s |" in text
    assert "cpu " in text
    for picture in re.findall(r"\]\((figures/\w+\.svg)\)", text):
        ElementTree.parse(tmp_path / picture)


def test_a_benchmark_that_fails_leaves_its_figures_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str, options: object) -> Iterator[Row]:
        if name == "bus":
            raise RuntimeError("no bus")
        yield MET

    monkeypatch.setattr(report, "measured", fails)
    (tmp_path / report.PAGE).write_text("<!-- figures of bus -->\nold\n<!-- end of bus -->\n")
    options = report.Namespace(only=["bus", "ports"], quick=False, folder=tmp_path, runs=1, seed=1)
    with pytest.raises(RuntimeError, match="no figures of bus: no bus"):
        list(report.rows(options))
    text = (tmp_path / report.PAGE).read_text()
    assert "old" in text
    assert "<!-- figures of ports -->" in text
